"""Many networks at once are each what it is alone.

Here all matrices lie at multiples of 64 bytes; where they do not, matrix products may round by place.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bayes_vs_sgd import Dataset, Network, likelihoods, priors, sgd
from bayes_vs_sgd.sgd import run, wave
from bayes_vs_sgd.sgd.batches import Batches
from bayes_vs_sgd.sgd.objective import Objective
from bayes_vs_sgd.types import Draws

RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 4)).astype(np.float32)
Y = RNG.integers(0, 4, 32)
DATASET = Dataset(X, Y, X[:16], Y[:16], n_classes=4)
MODULE = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 4))
SETTINGS = {
    "initial": priors.FanIn(),
    "optimizer": sgd.Adam(0.03),
    "batch_size": 8,
    "max_epochs": 12,
    "checkpoints": [0, 5],
    "look_every": 2,
    "progress": False,
}


@pytest.fixture(scope="module")
def network() -> Network:
    return Network(MODULE, X[:1])


def assert_same(found: Draws, expected: Draws, chains: slice = slice(None)) -> None:
    """Parameters, statistics and final iterates agree in every bit."""
    for name, value in expected.params.items():
        np.testing.assert_array_equal(found.params[name], value[chains])
        np.testing.assert_array_equal(found.last[name], expected.last[name][chains])
    for name, value in expected.stats.items():
        np.testing.assert_array_equal(found.stats[name], value[chains])


VARIANTS = {
    "plain": {},
    "full batch": {"batch_size": None},
    "batch of one": {"batch_size": 1, "max_epochs": 2, "checkpoints": []},
    "stopping": {"stop_at_loss": 1.0, "checkpoints": [], "max_epochs": 30},
    "descent": {"optimizer": sgd.SGD(0.3, 0.0)},
    "descent on single rows": {
        "optimizer": sgd.SGD(0.1, 0.0),
        "batch_size": 1,
        "max_epochs": 2,
        "checkpoints": [],
    },
    "augmented": {"augment": sgd.Jitter(0.3)},
    "clipped": {"clip_norm": 0.1},
    "averaged": {"average": sgd.SWAG(n_draws=3, rank=4, start=20, every=2), "checkpoints": []},
    "automatic": {"optimizer": sgd.Elementwise("RMSprop", {"lr": 0.01, "momentum": 0.5})},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_seed_becomes_the_same_whoever_runs_beside_it(network: Network, name: str) -> None:
    settings = SETTINGS | VARIANTS[name]
    many = sgd.train(network, DATASET, n_seeds=37, **settings)
    alone = sgd.train(network, DATASET, n_seeds=1, first_seed=35, **settings)
    assert_same(alone, many, slice(35, 36))
    if name == "stopping":
        assert len(set(many.stats["step"][:, -1])) > 1
        assert (many.stats["step"] < 120).any()


@pytest.mark.parametrize("changes", [{}, {"stop_at_loss": 1.0, "checkpoints": []}])
def test_waves_chunks_and_threads_change_nothing(
    network: Network, changes: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """70 networks: as one stack of 128; and in waves of 32, in chunks of 16, with two threads."""
    settings = SETTINGS | changes
    whole = sgd.train(network, DATASET, n_seeds=70, **settings)
    monkeypatch.setattr(wave, "_room", lambda device: 1)
    monkeypatch.setattr(run, "_WAVE", 32 * 9 * 148 * 4)
    n_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        pieces = sgd.train(network, DATASET, n_seeds=70, **settings)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(n_threads)
    assert_same(pieces, whole)


@pytest.mark.parametrize(("n", "largest", "sizes"), [
    (1, 64, [16]), (16, 64, [16]), (17, 64, [32]), (64, 64, [64]), (200, 64, [64, 64, 64, 16]),
    (3, 1, [1, 1, 1]), (0, 64, []),
])  # fmt: skip
def test_few_sizes_of_chunks_hold_any_number(n: int, largest: int, sizes: list[int]) -> None:
    assert wave.places(n, largest) == sizes


@pytest.mark.parametrize(("n_bytes", "device", "cache", "largest"), [
    (2**24, "cpu", 2**25, 1), (2**10, "cuda", 0, 2**18), (75_000, "cpu", 0, 128),
    (75_000, "cpu", 2**25, 128), (75_000, "cpu", 2**26, 256), (75_000, "cpu", 2**32, 512),
    (2**20, "cpu", 2**25, 16), (2**20, "cuda", 0, 256),
])  # fmt: skip
def test_a_chunk_holds_what_the_cache_holds(
    n_bytes: int,
    device: str,
    cache: int,
    largest: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wave, "last_cache", lambda: cache)
    assert wave.largest_chunk(n_bytes, device) == largest


def test_networks_that_have_stopped_are_computed_no_more(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 100 networks 99 start where the loss is at its limit already; 16 places are left."""
    advance, seen = wave.Chunk.advance, []

    def watched(self: wave.Chunk, stop: int) -> None:
        seen.append(len(self.seeds))
        advance(self, stop)

    monkeypatch.setattr(wave.Chunk, "advance", watched)
    start = {name: np.zeros((100, *s), np.float32) for name, s in network.shapes.items()}
    start["2.bias"][57] = (5, 0, -5, 0)
    trained = sgd.train(
        network, DATASET, n_seeds=100, initial=start, stop_at_loss=1.4, optimizer=sgd.SGD(1e-6, 0),
        max_epochs=20, progress=False,
    )  # fmt: skip
    assert set(seen) == {16}
    assert (trained.stats["step"][:, -1] > 0).nonzero()[0].tolist() == [57]


def conv() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 3, 2), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(3, 2)
    )


def plain_loop(
    network: Network, dataset: Dataset, start: dict, batch_size: int, n_steps: int, **sizes: int
) -> dict[str, np.ndarray]:
    module = network.to_torch(start)
    rule = torch.optim.SGD(module.parameters(), 0.1, 0.9)
    batches = Batches(0, len(dataset.x_train), batch_size)
    order = batches.orders(np.array([sizes["number"]]), np.arange(100))[:, 0]
    x, y = torch.from_numpy(dataset.x_train), torch.from_numpy(dataset.y_train)
    for step in range(n_steps):
        epoch, k = divmod(step, batches.steps_per_epoch)
        rows = order[epoch, k * batch_size : (k + 1) * batch_size]
        rule.zero_grad()
        nn.functional.cross_entropy(module(x[rows]), y[rows]).backward()
        rule.step()
    return network.from_torch(module)


def test_convolutions_are_trained_one_at_a_time_as_a_plain_loop_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = []
    judge = Objective.judge

    def noted(self: Objective, params: Sequence[torch.Tensor], split: str) -> Any:
        sizes.append(len(params[0]))
        return judge(self, params, split)

    monkeypatch.setattr(Objective, "judge", noted)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(20, 1, 3, 3))
    dataset = Dataset(x, rng.integers(0, 2, 20), x, rng.integers(0, 2, 20), n_classes=2)
    network = Network(conv(), x[:1].astype(np.float32))
    start = {n: rng.normal(size=(3, *s)) for n, s in network.shapes.items()}
    trained = sgd.train(
        network, dataset, n_seeds=3, initial=start, optimizer=sgd.SGD(0.1, 0.9), batch_size=6,
        max_steps=100, progress=False,
    )  # fmt: skip
    for number in range(3):
        one = {n: v[number] for n, v in start.items()}
        expected = plain_loop(network, dataset, one, 6, 100, number=number)
        for name, value in expected.items():
            np.testing.assert_allclose(trained.params[name][number, -1], value, atol=1e-12)
    assert set(sizes) == {1}


def test_curves_come_without_weights(network: Network) -> None:
    grid = sgd.log_grid(40, n=8)
    settings = SETTINGS | {"max_epochs": None, "max_steps": 48, "checkpoints": grid}
    curves = sgd.train(network, DATASET, n_seeds=5, collect=lambda params: {}, **settings)
    whole = sgd.train(network, DATASET, n_seeds=5, **settings)
    assert curves.params == {}
    assert (curves.n_chains, curves.n_draws) == (5, len(grid) + 1)
    assert curves.stats["step"].tolist() == [[*grid, 48]] * 5
    np.testing.assert_array_equal(curves.stats["epoch"], curves.stats["step"] / 4)
    for name, value in whole.stats.items():
        np.testing.assert_array_equal(curves.stats[name], value)
    np.testing.assert_array_equal(curves.last["0.weight"], whole.params["0.weight"][:, -1])


def test_curves_are_the_losses_of_the_kept_networks(network: Network) -> None:
    trained = sgd.train(network, DATASET, n_seeds=2, **SETTINGS)
    likelihood = likelihoods.Categorical()
    for split in ("train", "test"):
        x, y = getattr(DATASET, f"x_{split}"), getattr(DATASET, f"y_{split}")
        for chain, draw in np.ndindex(2, 3):
            params = {n: v[chain, draw] for n, v in trained.params.items()}
            outputs = network.apply(params, x)
            loss = -float(likelihood.log_prob(outputs, y).mean())
            error = float((np.asarray(outputs).argmax(-1) != y).mean())
            found = [trained.stats[f"{split}_{name}"][chain, draw] for name in ("loss", "error")]
            np.testing.assert_allclose(found, [loss, error], rtol=1e-5)


def test_collect_keeps_what_it_returns(network: Network) -> None:
    predictions = sgd.train(
        network, DATASET, n_seeds=3, collect=lambda p: network.apply(p, DATASET.x_test), **SETTINGS
    )
    whole = sgd.train(network, DATASET, n_seeds=3, **SETTINGS)
    params = {n: v[2, 1] for n, v in whole.params.items()}
    assert predictions.params.shape == (3, 3, 16, 4)
    np.testing.assert_allclose(
        predictions.params[2, 1], network.apply(params, DATASET.x_test), atol=1e-5
    )


def test_a_run_starts_where_another_ended(network: Network) -> None:
    settings = SETTINGS | {"optimizer": sgd.SGD(0.1, 0.0), "batch_size": None, "checkpoints": []}
    twice = sgd.train(network, DATASET, n_seeds=2, **(settings | {"max_epochs": 24}))
    first = sgd.train(network, DATASET, n_seeds=2, **settings)
    second = sgd.train(network, DATASET, n_seeds=2, **(settings | {"initial": first}))
    for name, value in twice.params.items():
        np.testing.assert_array_equal(second.params[name], value)


def test_orders_that_are_written_over_others_are_the_same() -> None:
    batches, seeds = Batches(0, 5, 1), np.arange(3)
    memory = batches.orders(seeds, np.arange(2))
    found = batches.orders(seeds, np.arange(2, 4), memory)
    assert np.shares_memory(found, memory)
    np.testing.assert_array_equal(found, batches.orders(seeds, np.arange(2, 4)))


def test_orders_are_uniform_and_independent() -> None:
    """Every row is first as often as any other, whatever row was first in the epoch before."""
    orders = Batches(0, 5, 1).orders(np.arange(20_000), np.arange(2))
    assert (np.sort(orders, axis=-1) == np.arange(5)).all()
    counts = np.zeros((5, 5))
    np.add.at(counts, (orders[0, :, 0], orders[1, :, 0]), 1)
    expected = 20_000 / 25
    assert ((counts - expected) ** 2 / expected).sum() < 24 + 5 * np.sqrt(48)
    places = orders[0].argsort(axis=-1)
    covariance = np.cov(places.T)
    np.testing.assert_allclose(covariance, 2.5 * np.eye(5) - 0.5, atol=0.1)


def test_log_grids_name_every_number_once() -> None:
    assert sgd.log_grid(8, n=4) == [1, 2, 4, 8]
    grid = sgd.log_grid(10_000, n=30)
    assert (grid[0], grid[-1]) == (1, 10_000)
    assert len(set(grid)) == len(grid)
    assert sgd.log_grid(3, n=100) == [1, 2, 3]


STOPS: dict[str, tuple[dict, Callable[[dict[str, np.ndarray]], np.ndarray]]] = {
    "at a loss": ({"stop_at_loss": 1.0}, lambda s: s["train_loss"][:, -1] <= 1.0),
    "at interpolation": ({"stop_at_interpolation": True}, lambda s: s["train_error"][:, -1] == 0),
}


@pytest.mark.parametrize("name", STOPS)
def test_a_network_stops_at_the_first_look_that_meets_the_rule(network: Network, name: str) -> None:
    rule, is_met = STOPS[name]
    settings = SETTINGS | {"max_epochs": None, "max_steps": 400, "look_every": 3, "checkpoints": []}
    stopped = sgd.train(network, DATASET, n_seeds=6, **(settings | rule))
    steps = stopped.stats["step"][:, -1].astype(int)
    assert is_met(stopped.stats)[steps < 400].all()
    assert (steps[steps < 400] % 3 == 0).all()
    assert len(set(steps)) > 1
    for number in np.flatnonzero(steps < 400):
        before = sgd.train(
            network, DATASET, n_seeds=1, first_seed=int(number),
            **(settings | {"max_steps": int(steps[number]) - 3}),
        )  # fmt: skip
        assert not is_met(before.stats).any()
