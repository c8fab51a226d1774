"""Dropout: the law of its masks, training against a plain loop, and prediction by the mean network."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from bayes_vs_sgd import Dataset, Network, likelihoods, priors, sgd
from bayes_vs_sgd.sgd import run, wave
from bayes_vs_sgd.sgd.batches import Batches
from bayes_vs_sgd.sgd.dropout import Masks, count_uniforms, in_training
from bayes_vs_sgd.types import Draws
from tests.conftest import within

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 4))
Y = RNG.integers(0, 3, 30)
DATASET = Dataset(X, Y, X[:9], Y[:9], n_classes=3)


class Twice(nn.Module):
    """One dropout layer in two places, or the function in its stead.

    The layer has copies to itself, which it may change in place.
    """

    def __init__(self, p: float, *, by_layer: bool = True, inplace: bool = False) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 5), nn.Linear(5, 3)
        self.dropout, self.p, self.by_layer = nn.Dropout(p, inplace), p, by_layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.by_layer:
            return self.second(self.dropout(self.first(self.dropout(x.clone())).tanh().clone()))
        h = self.first(functional.dropout(x, self.p, self.training)).tanh()
        return self.second(functional.dropout(h, self.p, self.training))


def mlp(p: float, q: float) -> nn.Module:
    """Two dropout layers, and one without effect between them."""
    layers = [nn.Linear(4, 6), nn.Tanh(), nn.Dropout(p), nn.Dropout(0.0), nn.Linear(6, 5)]
    return nn.Sequential(*layers, nn.Dropout(q), nn.Linear(5, 3))


def image(dropout: nn.Module) -> nn.Module:
    """Rows are seen as images of 2×2."""
    layers = [nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 4, 2, padding=1), nn.Tanh(), dropout]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(36, 3))


MODULES: dict[str, Callable[[], nn.Module]] = {
    "two layers": lambda: mlp(0.5, 0.2),
    "a layer used twice": lambda: Twice(0.4),
    "channels of images": lambda: image(nn.Dropout2d(0.3)),
}


def network_of(module: nn.Module, x: np.ndarray = X) -> Network:
    return Network(module.eval(), x[:1].astype(np.float32))


def starts(network: Network, n: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {name: rng.normal(size=(n, *s)) for name, s in network.shapes.items()}


def mask_by(module: nn.Module, numbers: list[torch.Tensor]) -> None:
    """Let dropout layers, which are in evaluation mode, multiply by masks of ``numbers[0]``."""

    def multiply(layer: nn.Module, inputs: tuple, output: torch.Tensor) -> torch.Tensor:
        if layer.p == 0:
            return output
        shape = output.shape[:2] if isinstance(layer, nn.Dropout2d) else output.shape
        n = shape[1:].numel()
        kept, numbers[0] = numbers[0][:, :n].reshape(shape) >= layer.p, numbers[0][:, n:]
        kept = kept.reshape(*shape, *[1] * (output.ndim - len(shape)))
        return torch.where(kept, output / (1 - layer.p), 0.0)

    for layer in module.modules():
        if isinstance(layer, nn.Dropout | nn.Dropout2d):
            layer.register_forward_hook(multiply)


def plain_loop(
    module: nn.Module, batch_size: int, seed: int, number: int, augment: sgd.Jitter | None = None
) -> None:
    """One network, trained the ordinary way for 100 steps."""
    rule = torch.optim.SGD(module.parameters(), 0.05, 0.9)
    batches = Batches(seed, len(X), batch_size)
    x, y, seeds = torch.from_numpy(X), torch.from_numpy(Y), np.array([number])
    n_augment = 0 if augment is None else 4
    n = n_augment + count_uniforms(in_training(module), x[:batch_size])
    numbers = [x]
    mask_by(module, numbers)
    for step in range(100):
        epoch, k = divmod(step, batches.steps_per_epoch)
        order = batches.orders(seeds, np.array([epoch]))[0, 0]
        rows = order[k * batch_size : (k + 1) * batch_size]
        u = torch.from_numpy(batches.uniforms(seeds, step, n)[0])
        inputs = x[rows] if augment is None else augment(x[rows], u[:, :n_augment])
        numbers[0] = u[:, n_augment:]
        rule.zero_grad()
        functional.cross_entropy(module(inputs), y[rows]).backward()
        rule.step()
        assert numbers[0].shape == (batch_size, 0)


@pytest.mark.parametrize(("batch_size", "augment"), [(7, None), (30, sgd.Jitter(0.1))])
@pytest.mark.parametrize("name", MODULES)
def test_every_network_is_what_a_plain_loop_with_the_same_masks_makes_of_it(
    name: str, batch_size: int, augment: sgd.Jitter | None
) -> None:
    network = network_of(MODULES[name]())
    initial = starts(network, 2)
    trained = sgd.train(
        network, DATASET, n_seeds=2, initial=initial, optimizer=sgd.SGD(0.05, 0.9),
        batch_size=batch_size, augment=augment, max_steps=100, seed=5, dropout=True, progress=False,
    )  # fmt: skip
    module = network.to_torch({n: v[1] for n, v in initial.items()})
    plain_loop(module, batch_size, 5, 1, augment)
    for parameter, value in network.from_torch(module).items():
        np.testing.assert_allclose(trained.params[parameter][1, -1], value, atol=1e-12)


SETTINGS = {"optimizer": sgd.Adam(0.03), "batch_size": 8, "max_steps": 50, "progress": False}


def trained_with(module: nn.Module, **changes: object) -> Draws:
    network = network_of(module)
    initial = starts(network, 3)
    return sgd.train(
        network,
        DATASET,
        **({"n_seeds": 3, "initial": initial, "dropout": True} | SETTINGS | changes),
    )


def assert_same(found: Draws, expected: Draws, chains: slice = slice(None)) -> None:
    """Parameters and statistics agree in every bit."""
    for name, value in expected.params.items():
        np.testing.assert_array_equal(found.params[name], value[chains])
    for name, value in expected.stats.items():
        np.testing.assert_array_equal(found.stats[name], value[chains])


@pytest.fixture(scope="module")
def trained() -> Draws:
    return trained_with(mlp(0.5, 0.2))


def test_layers_functions_and_dropout_in_place_are_the_same() -> None:
    layers = trained_with(Twice(0.4))
    assert_same(trained_with(Twice(0.4, by_layer=False)), layers)
    assert_same(trained_with(Twice(0.4, inplace=True)), layers)


@pytest.mark.parametrize("batch_size", [8, None])
def test_dropout_of_nothing_is_training_without_dropout(
    trained: Draws, batch_size: int | None
) -> None:
    nothing = trained_with(mlp(0.0, 0.0), batch_size=batch_size)
    without = trained_with(mlp(0.5, 0.2), batch_size=batch_size, dropout=False)
    assert_same(nothing, without)
    assert not np.allclose(without.params["0.weight"], trained.params["0.weight"], atol=0.01)


def test_layers_that_normalise_by_running_statistics_keep_them() -> None:
    module = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.3)).eval()
    batch_norm, dropout = in_training(module)
    assert [batch_norm.training, dropout.training, module[1].training] == [False, True, False]
    assert batch_norm.running_mean is module[0].running_mean


@pytest.mark.parametrize("name", ["two layers", "channels of images"])
def test_a_seed_becomes_the_same_whoever_runs_beside_it(name: str) -> None:
    """Matrices lie at multiples of 64 bytes, or networks are trained one at a time."""
    wide = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 4))
    network = network_of(wide if name == "two layers" else MODULES[name]())
    x = X.astype(np.float32)
    dataset = Dataset(x, Y, x, Y, n_classes=3)
    settings = {"initial": priors.FanIn(), "dropout": True} | SETTINGS
    many = sgd.train(network, dataset, n_seeds=21, **settings)
    alone = sgd.train(network, dataset, n_seeds=1, first_seed=19, **settings)
    assert_same(alone, many, slice(19, 20))


def test_a_killed_run_ends_as_one_that_was_not_killed(
    trained: Draws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_SECONDS_BETWEEN_SAVES", 0.0)
    advance = wave.Wave.advance

    def killed(self: wave.Wave, stop: int) -> None:
        if stop > 23:
            raise KeyboardInterrupt
        advance(self, stop)

    with monkeypatch.context() as patch:
        patch.setattr(wave.Wave, "advance", killed)
        with pytest.raises(KeyboardInterrupt):
            trained_with(mlp(0.5, 0.2), checkpoint=tmp_path)
    assert_same(trained_with(mlp(0.5, 0.2), checkpoint=tmp_path), trained)


def test_predictions_and_losses_are_those_of_the_mean_network(trained: Draws) -> None:
    network = network_of(mlp(0.5, 0.2))
    params = {name: value[1, -1] for name, value in trained.params.items()}
    outputs = network.to_torch(params).eval()(torch.from_numpy(X)).detach()
    np.testing.assert_allclose(network.apply(params, X), outputs, atol=1e-5)
    loss = functional.cross_entropy(outputs, torch.from_numpy(Y))
    np.testing.assert_allclose(trained.stats["train_loss"][1, -1], loss)


def test_dropout_goes_with_mixed_precision() -> None:
    x = X.astype(np.float32)
    trained = sgd.train(
        network_of(mlp(0.5, 0.2)), Dataset(x, Y, x, Y, n_classes=3), n_seeds=2,
        initial=priors.FanIn(), dropout=True, mixed_precision=True, **SETTINGS,
    )  # fmt: skip
    assert np.isfinite(trained.stats["train_loss"]).all()
    assert (trained.params["0.weight"][0] != trained.params["0.weight"][1]).all()


P, SHAPE = 0.3, (40, 12, 25)  # steps, seeds, rows


@pytest.fixture(scope="module")
def masks() -> np.ndarray:
    """Masks of 8 and then 6 units, of every step, seed and row; axes (step, seed, row, unit)."""
    n_steps, n_seeds, n_rows = SHAPE
    batches, found = Batches(0, n_rows, n_rows), np.empty((*SHAPE, 14))
    for step in range(n_steps):
        uniforms = torch.from_numpy(batches.uniforms(np.arange(n_seeds), step, 14))
        for number in range(n_seeds):
            with Masks(uniforms[number]):
                layers = [functional.dropout(torch.ones(n_rows, n), P) for n in (8, 6)]
            found[step, number] = torch.cat(layers, 1).numpy()
    return found


def test_masks_drop_a_share_p_and_have_mean_one(masks: np.ndarray) -> None:
    n, std = masks.size, (P * (1 - P)) ** 0.5
    within((masks == 0).mean(), np.array(P), np.array(std / n**0.5))
    within(masks.mean(), np.array(1.0), np.array(std / (1 - P) / n**0.5))
    np.testing.assert_allclose(masks[masks > 0], 1 / (1 - P), rtol=1e-6)


def test_masks_are_independent_over_steps_seeds_rows_and_units(masks: np.ndarray) -> None:
    z = (masks - 1) * ((1 - P) / P) ** 0.5
    for axis, length in enumerate(z.shape):
        for lag in (1, 2, length // 2):
            products = np.take(z, range(lag, length), axis) * np.take(z, range(length - lag), axis)
            within(products.mean(), np.array(0.0), np.array(products.size**-0.5))


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_channels_are_dropped_whole(kind: int) -> None:
    layer = getattr(nn, f"Dropout{kind}d")(0.5)
    masks = Masks(torch.rand(50, 4))
    with masks:
        dropped = layer(torch.ones(50, 4, *[3] * kind)).flatten(2)
    assert masks.n_taken == 4
    assert (dropped == dropped[:, :, :1]).all()
    assert dropped.unique().tolist() == [0.0, 2.0]
    assert len(dropped[:, :, 0].unique(dim=0)) > 10


@pytest.mark.parametrize(("shape", "n"), [((7, 5, 3), 21), ((3,), 1), ((10, 7), 14)])
def test_rows_may_lie_along_any_axis(shape: tuple[int, ...], n: int) -> None:
    u = torch.rand(5, n)
    masks = Masks(u)
    with masks:
        dropped = functional.dropout(torch.ones(shape), 0.5)
    assert masks.n_taken == n
    expected = u.flatten()[: dropped.numel()].reshape(shape) >= 0.5
    torch.testing.assert_close(dropped, 2.0 * expected)


def test_dropout_of_everything_is_zero() -> None:
    with Masks(torch.rand(5, 4)):
        assert (functional.dropout(torch.ones(5, 4), 1.0) == 0).all()


def test_linear_regression_ends_at_the_known_ridge_solution() -> None:
    """E|y − X̃w|² = |y − Xw|² + p/(1 − p)·wᵀdiag(XᵀX)w (Srivastava et al. 2014, section 9.1).

    The gradient is affine in w with masks that do not depend on w, so the mean of the iterates
    solves the expected normal equations exactly, whatever the step.
    """
    p, rng = 0.4, np.random.default_rng(1)
    x = rng.normal(size=(20, 3)) @ np.array([[1.0, 0.6, 0.0], [0.0, 1.0, 0.3], [0.0, 0.0, 2.0]])
    y = x @ np.array([[1.0], [-2.0], [0.5]]) + 0.1 * rng.normal(size=(20, 1))
    network = network_of(nn.Sequential(nn.Dropout(p), nn.Linear(3, 1, bias=False)), x)
    trained = sgd.train(
        network, Dataset(x, y, x, y), n_seeds=64, initial={"1.weight": np.zeros((64, 1, 3))},
        likelihood=likelihoods.Gaussian(1.0), optimizer=sgd.SGD(0.05, 0.0), max_steps=1500,
        average=sgd.SWA(start=500), dropout=True, progress=False,
    )  # fmt: skip
    weights = trained.params["1.weight"][:, -1, 0]
    sem = weights.std(0, ddof=1) / 8
    gram = x.T @ x
    ridge = np.linalg.solve(gram + p / (1 - p) * np.diag(np.diag(gram)), x.T @ y)[:, 0]
    within(weights.mean(0), ridge, sem)
    assert (np.abs(np.linalg.solve(gram, x.T @ y)[:, 0] - ridge) > 20 * sem).all()


class Noisy(nn.Module):
    """Noise of its own in training."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.dropout = nn.Linear(4, 3), nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.dropout(self.linear(x))
        return h + torch.randn_like(h) if self.training else h


def encoder(dropout_of_attention: float) -> nn.Module:
    layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.1, batch_first=True)
    layer.self_attn.dropout = dropout_of_attention
    return nn.Sequential(nn.Unflatten(1, (1, 4)), layer, nn.Flatten(), nn.Linear(4, 3))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Linear(4, 3), r"finds no dropout in the module; add torch.nn.Dropout"),
        (nn.Sequential(nn.Linear(4, 3), nn.AlphaDropout(0.1)), "look at AlphaDropout '1'"),
        (encoder(0.1), r"MultiheadAttention '1.self_attn'.*built into attention.* to 0\."),
        (Noisy(), "draws random numbers by aten.randn_like.default, and"),
        (nn.Sequential(nn.Linear(4, 3), nn.Dropout1d(0.1)), r"3 axes, and here .* \(8, 3\)"),
    ],
)
def test_what_has_no_masks_is_refused(module: nn.Module, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        trained_with(module, checkpoint=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_layers_of_a_transformer_have_masks() -> None:
    """4 numbers each after the attention and the feed-forward part, 8 inside that."""
    assert count_uniforms(in_training(encoder(0.0)), torch.zeros(7, 4)) == 16
