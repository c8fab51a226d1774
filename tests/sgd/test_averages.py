"""Averages of iterates, against the iterates themselves and against what is known of quadratics."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

from bayes_vs_sgd import Dataset, Draws, Network, averaging, diagnostics, likelihoods, sgd
from tests.conftest import within

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 4))
Y = RNG.integers(0, 3, 30)
DATASET = Dataset(X, Y, X[:12], Y[:12], n_classes=3)
MODULE = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
N_STEPS, START, EVERY = 40, 7, 3
AVERAGES: dict[str, sgd.Average] = {
    "swa": sgd.SWA(start=START, every=EVERY),
    "ema": sgd.EMA(decay=0.8, start=START, every=EVERY),
}


@pytest.fixture(scope="module")
def network() -> Network:
    return Network(MODULE, np.zeros((1, 4), np.float32))


def train(network: Network, **changes: object) -> Draws:
    """Two networks or more in float64, looked at after every step."""
    rng = np.random.default_rng(3)
    settings: dict = {
        "n_seeds": 2, "optimizer": sgd.SGD(0.1), "batch_size": 7, "max_steps": N_STEPS,
        "look_every": 1, "progress": False,
    } | changes  # fmt: skip
    shapes = network.shapes.items()
    initial = {name: rng.normal(size=(6, *s))[: settings["n_seeds"]] for name, s in shapes}
    return sgd.train(network, DATASET, **({"initial": initial} | settings))


def mean_of(iterates: np.ndarray) -> np.ndarray:
    return iterates.mean(axis=0)


def exponential(iterates: np.ndarray) -> np.ndarray:
    mean = iterates[0]
    for iterate in iterates[1:]:
        mean = 0.8 * mean + 0.2 * iterate
    return mean


FORMULAS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"swa": mean_of, "ema": exponential}


def averaged(name: str, iterates: np.ndarray) -> np.ndarray:
    """The average after the last of these iterates, counted from that of step 0."""
    counted = iterates[START::EVERY]
    return FORMULAS[name](counted) if len(counted) else iterates[-1]


class TestAgainstCheckpoints:
    @pytest.fixture(scope="class")
    @classmethod
    def iterates(cls, network: Network) -> Draws:
        return train(network, checkpoints=range(N_STEPS + 1))

    @pytest.fixture(scope="class")
    @classmethod
    def averages(cls, network: Network) -> dict[str, Draws]:
        steps = range(N_STEPS + 1)
        return {n: train(network, checkpoints=steps, average=a) for n, a in AVERAGES.items()}

    @pytest.mark.parametrize("name", AVERAGES)
    def test_checkpoints_hold_the_average_so_far(
        self, iterates: Draws, averages: dict[str, Draws], name: str
    ) -> None:
        for parameter, found in averages[name].params.items():
            kept = iterates.params[parameter]
            assert found.shape == kept.shape
            for seed, step in product(range(2), range(N_STEPS + 1)):
                expected = averaged(name, kept[seed, : step + 1])
                np.testing.assert_allclose(found[seed, step], expected, rtol=0, atol=1e-12)

    @pytest.mark.parametrize("name", AVERAGES)
    def test_averaging_leaves_the_iterates_as_they_are(
        self, iterates: Draws, averages: dict[str, Draws], name: str
    ) -> None:
        for parameter, kept in iterates.params.items():
            np.testing.assert_array_equal(averages[name].last[parameter], kept[:, -1])
            assert not np.allclose(averages[name].params[parameter][:, -1], kept[:, -1])

    @pytest.mark.parametrize("name", AVERAGES)
    def test_the_statistics_are_those_of_the_average(
        self, network: Network, averages: dict[str, Draws], name: str
    ) -> None:
        draws = averages[name]
        for seed, step in product(range(2), (0, START, N_STEPS)):
            module = network.to_torch({n: v[seed, step] for n, v in draws.params.items()})
            for split, rows in (("train", X), ("test", X[:12])):
                labels = torch.from_numpy(Y[: len(rows)])
                with torch.no_grad():
                    outputs = module(torch.from_numpy(rows))
                loss = float(nn.functional.cross_entropy(outputs, labels))
                error = float((outputs.argmax(1) != labels).double().mean())
                found = [draws.stats[f"{split}_{n}"][seed, step] for n in ("loss", "error")]
                np.testing.assert_allclose(found, [loss, error], rtol=1e-12)
        assert draws.stats["step"].tolist() == [list(range(N_STEPS + 1))] * 2

    def test_a_network_that_stops_before_the_start_keeps_its_iterate(
        self, network: Network
    ) -> None:
        settings = {"n_seeds": 6, "optimizer": sgd.Adam(0.05), "max_steps": 60, "stop_at_loss": 1.0}
        start = 13
        plain = train(network, checkpoints=range(61), **settings)
        average = sgd.SWA(start=start)
        found = train(network, average=average, **settings)
        ends = plain.stats["step"][:, -1].astype(int)
        assert (found.stats["step"][:, -1] == ends).all()
        assert (ends < start).any()
        assert (ends > start).any()
        for seed, end in enumerate(ends):
            first = min(start, end)
            for parameter, kept in plain.params.items():
                expected = kept[seed, first : end + 1].mean(axis=0)
                np.testing.assert_allclose(found.params[parameter][seed, -1], expected, atol=1e-12)


class Quadratic(nn.Module):
    """½ Σ_k (√h_k·θ_k − y_k)²: every row of x is √h, and the rows of y pull θ to and fro."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(n))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.theta


H = np.array([1.0, 0.25, 4.0])
ETA = 0.2
BURN_IN, T = 300, 200
# Batches of 3 of 5 rows: an epoch is one step, and the noise of steps is independent.
PULLS = np.random.default_rng(5).normal(size=(5, 3)) * [1.0, 30.0, 0.1]
N_SEEDS = 4000


def noise_variance(y: np.ndarray, batch_size: int) -> np.ndarray:
    """Of the gradient: h·Var of the mean of ``batch_size`` rows of y without replacement."""
    n = len(y)
    return H * y.var(axis=0) / batch_size * (n - batch_size) / (n - 1)


def descend(y: np.ndarray, batch_size: int, n_steps: int, average: sgd.Average) -> Draws:
    """SGD of constant step from the minimum."""
    x = np.tile(np.sqrt(H), (len(y), 1))
    minimum = y.mean(axis=0) / np.sqrt(H)
    return sgd.train(
        Network(Quadratic(3), x[:1].astype(np.float32)),
        Dataset(x, y, x, y),
        n_seeds=N_SEEDS,
        initial={"theta": np.tile(minimum, (N_SEEDS, 1))},
        likelihood=likelihoods.Gaussian(1.0),
        optimizer=sgd.SGD(ETA, momentum=0.0),
        batch_size=batch_size,
        max_steps=n_steps,
        average=average,
        progress=False,
    )


def share_of_noise(n_steps: int, start: int) -> np.ndarray:
    """w (n_steps, 3): the mean of iterates ``start``…``n_steps`` is the minimum − Σ_j w_j·noise_j."""
    k = np.arange(1, n_steps + 1)
    first = np.maximum(k, start)
    a = 1 - ETA * H[None]
    # Iterate t has η·a^(t − j) of the noise of step j ≤ t, both counted from 1.
    powers = (a ** (first - k)[:, None] - a ** (n_steps + 1 - k)[:, None]) / (1 - a)
    return ETA * powers / (n_steps + 1 - start)


def variance_within(values: np.ndarray, expected: np.ndarray) -> None:
    """The variance of values (n, d) around their known mean 0 is as expected."""
    squares = values**2
    within(squares.mean(axis=0), expected, squares.std(axis=0) / len(values) ** 0.5)


class TestKnownQuadratic:
    """θ ← θ − η(hθ − noise): an autoregression whose law is known at every step."""

    @pytest.fixture(scope="class")
    @classmethod
    def draws(cls) -> Draws:
        return descend(PULLS, 3, BURN_IN + T, sgd.SWA(start=BURN_IN + 1))

    @pytest.fixture(scope="class")
    @classmethod
    def minimum(cls) -> np.ndarray:
        return PULLS.mean(axis=0) / np.sqrt(H)

    def test_the_last_iterate_has_the_variance_of_a_constant_step(
        self, draws: Draws, minimum: np.ndarray
    ) -> None:
        expected = ETA * noise_variance(PULLS, 3) / (H * (2 - ETA * H))
        variance_within(draws.last["theta"] - minimum, expected)

    def test_the_average_has_the_variance_of_so_many_iterates(
        self, draws: Draws, minimum: np.ndarray
    ) -> None:
        noise = noise_variance(PULLS, 3)
        expected = noise * (share_of_noise(BURN_IN + T, BURN_IN + 1) ** 2).sum(axis=0)
        away = draws.params["theta"][:, 0] - minimum
        variance_within(away, expected)
        within(away.mean(axis=0), np.zeros(3), (expected / N_SEEDS) ** 0.5)

        # With a = 1 − ηh and σ² of the last iterate, as textbooks write the same.
        a, last = 1 - ETA * H, ETA * noise / (H * (2 - ETA * H))
        textbook = last / T * ((1 + a) / (1 - a) - 2 * a * (1 - a**T) / (T * (1 - a) ** 2))
        np.testing.assert_allclose(expected, textbook, rtol=1e-10)
        # s²/(h²T) but for the ends, which 1/(ηh) iterates feel; η has dropped out.
        missing = 1 - expected / (noise / (H**2 * T))
        np.testing.assert_allclose(missing, 2 * a * (1 - a**T) / (T * (1 - a**2)), rtol=1e-10)
        assert (missing < 1.05 / (ETA * H * T)).all()

    def test_averaging_gains_what_it_should(self, draws: Draws, minimum: np.ndarray) -> None:
        weights = share_of_noise(BURN_IN + T, BURN_IN + 1)
        expected = ETA / (H * (2 - ETA * H)) / (weights**2).sum(axis=0)
        last, mean = (
            (values - minimum) ** 2 for values in (draws.last["theta"], draws.params["theta"][:, 0])
        )
        found = last.mean(axis=0) / mean.mean(axis=0)
        relative = [v.std(axis=0) / v.mean(axis=0) / N_SEEDS**0.5 for v in (last, mean)]
        within(found, expected, expected * np.hypot(*relative))
        assert (found > [15, 4, 50]).all()

    def test_rows_without_replacement_leave_the_average_less_noise(self) -> None:
        """Within an epoch the rows' noise adds up to 0: covariance −v/(n − 1) between two steps."""
        n_rows, n_steps = 8, 160
        y = np.random.default_rng(6).normal(size=(n_rows, 3))
        found = descend(y, 1, n_steps, sgd.SWA(start=81)).params["theta"][:, 0]
        of_epoch = (n_rows * np.eye(n_rows) - 1) / (n_rows - 1)
        covariance = np.kron(np.eye(n_steps // n_rows), of_epoch)
        weights = share_of_noise(n_steps, 81)
        expected = H * y.var(axis=0) * np.einsum("ik,ij,jk->k", weights, covariance, weights)
        variance_within(found - y.mean(axis=0) / np.sqrt(H), expected)
        independent = H * y.var(axis=0) * (weights**2).sum(axis=0)
        assert (expected < 0.6 * independent).all()

    def test_draws_of_diagonal_swag_have_the_variance_of_the_iterates(
        self, minimum: np.ndarray
    ) -> None:
        """Var θ̄ + E σ² is the variance of one iterate, however far iterates depend on each other."""
        average = sgd.SWAG(n_draws=1, rank=0, start=BURN_IN + 1, every=5)
        draws = descend(PULLS, 3, BURN_IN + T, average).params["theta"][:, 0]
        expected = ETA * noise_variance(PULLS, 3) / (H * (2 - ETA * H))
        variance_within(draws - minimum, expected)


class TestMultiSWAG:
    SWAG = {"rank": 4, "start": 10, "every": 2}  # noqa: RUF012

    @pytest.fixture(scope="class")
    @classmethod
    def many(cls, network: Network) -> Draws:
        return train(network, n_seeds=3, average=sgd.SWAG(n_draws=60, **cls.SWAG))

    @pytest.fixture(scope="class")
    @classmethod
    def few(cls, network: Network) -> Draws:
        return train(network, n_seeds=3, average=sgd.SWAG(n_draws=5, **cls.SWAG))

    def test_a_shorter_run_has_the_first_draws_of_a_longer_one(
        self, few: Draws, many: Draws
    ) -> None:
        assert (few.n_chains, few.n_draws) == (3, 5)
        for name, value in few.params.items():
            np.testing.assert_array_equal(value, many.params[name][:, :5])
        assert all(value.shape == (3, 5) for value in few.stats.values())

    def test_what_is_averaged_takes_the_draws(self, network: Network, few: Draws) -> None:
        log_probs = averaging.predict(network, few, X[:12].astype(np.float32))
        assert log_probs.shape == (3, 5, 12, 3)
        expected = np.log(np.exp(log_probs).mean(axis=(0, 1)))
        np.testing.assert_allclose(averaging.bma(log_probs), expected, atol=1e-5)
        np.testing.assert_allclose(
            -np.take_along_axis(log_probs, Y[None, None, :12, None], -1).mean(axis=(2, 3)),
            few.stats["test_loss"],
            rtol=1e-4,
        )
        tree = diagnostics.to_datatree(few, log_probs, dataset=DATASET)
        assert dict(tree["sample_stats"].sizes) == {"chain": 3, "draw": 5}
        assert tree["predictions"]["probability"].sizes["draw"] == 5

    def test_a_deep_ensemble_is_the_last_draw_of_several_seeds(self, network: Network) -> None:
        log_probs = averaging.predict(network, train(network, n_seeds=3), X.astype(np.float32))
        found = averaging.ensembles(log_probs, 3)
        np.testing.assert_allclose(found[0], averaging.bma(log_probs[:, -1:]), atol=1e-6)

    def test_draws_of_a_seed_do_not_depend_on_the_others(
        self, network: Network, few: Draws
    ) -> None:
        rng = np.random.default_rng(3)
        initial = {n: rng.normal(size=(6, *s))[2:3] for n, s in network.shapes.items()}
        average = sgd.SWAG(n_draws=5, **self.SWAG)
        alone = train(network, n_seeds=1, first_seed=2, initial=initial, average=average)
        for name, value in alone.params.items():
            np.testing.assert_allclose(value[0], few.params[name][2], rtol=1e-9, atol=1e-9)

    def test_every_draw_is_another_and_their_mean_is_that_of_the_iterates(
        self, network: Network, many: Draws
    ) -> None:
        swa = train(network, n_seeds=3, average=sgd.SWA(start=10, every=2))
        for name, value in many.params.items():
            flat = value.reshape(3, 60, -1)
            assert len(np.unique(flat, axis=1)[0]) == 60
            assert not np.isclose(flat[0], flat[1]).all(axis=1).any()
            sem = value.std(axis=1) / 60**0.5
            within(value.mean(axis=1), swa.params[name][:, 0], sem)
            np.testing.assert_array_equal(many.last[name], swa.last[name])
        assert len(np.unique(many.stats["test_loss"])) == 180


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sgd.SWA(start=0), "start=0 is not possible; pass an integer of at least 1"),
        (lambda: sgd.SWA(every=0), "every=0 is not possible"),
        (lambda: sgd.EMA(decay=1.5), "decay=1.5 is not possible; pass a fraction"),
        (lambda: sgd.EMA(decay=float("nan")), "decay=nan is not possible"),
        (lambda: sgd.EMA(0.9, start=-1), "start=-1 is not possible"),
        (lambda: sgd.EMA(0.9, every=2.0), "every=2.0 is not possible"),
        (lambda: sgd.SWAG(rank=1), "rank=1 is not possible; pass an integer of at least 2"),
        (lambda: sgd.SWAG(rank=-2), "rank=-2 is not possible"),
        (lambda: sgd.SWAG(n_draws=0), "n_draws=0 is not possible"),
        (lambda: sgd.SWAG(scale=0.0), "scale=0.0 is not possible"),
        (lambda: sgd.SWAG(start=0), "start=0 is not possible"),
        (lambda: sgd.SWAG(every=0), "every=0 is not possible"),
    ],
)
def test_averages_that_are_not_possible_are_refused(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_draws_that_are_taken_at_the_end_leave_no_checkpoints(network: Network) -> None:
    with pytest.raises(ValueError, match=r"checkpoints=\[5\] cannot be kept beside SWAG.*leave"):
        train(network, average=sgd.SWAG(), checkpoints=[5])
