from collections.abc import Iterable

import numpy as np
import pytest
import torch
from torch import nn

from bayes_vs_sgd import Dataset, Network, likelihoods, priors, sgd
from bayes_vs_sgd.sgd.batches import Batches
from bayes_vs_sgd.types import StoppedChainWarning

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 4))
Y = RNG.integers(0, 3, 30)
DATASET = Dataset(X, Y, X, Y, n_classes=3)
MODULE = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
OPTIMIZERS = {
    "sgd": (sgd.SGD(0.1, 0.9, 0.01), lambda p: torch.optim.SGD(p, 0.1, 0.9, weight_decay=0.01)),
    "adam": (sgd.Adam(0.02), lambda p: torch.optim.Adam(p, 0.02)),
}


@pytest.fixture(scope="module")
def network() -> Network:
    return Network(MODULE, np.zeros((1, 4), np.float32))


def starts(network: Network, n: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {name: rng.normal(size=(n, *s)) for name, s in network.shapes.items()}


def plain_loop(
    network: Network,
    start: dict,
    build: object,
    seed: int,
    number: int,
    batch_size: int,
    epochs: int,
) -> dict[str, np.ndarray]:
    """One network, trained the ordinary way."""
    module = network.to_torch(start)
    optimizer = build(module.parameters())
    batches = Batches(seed, len(X), batch_size)
    x, y = torch.from_numpy(X), torch.from_numpy(Y)
    for epoch in range(epochs):
        order = batches.orders(np.array([number]), np.array([epoch]))[0, 0]
        for first in range(0, len(X) - batch_size + 1, batch_size):
            rows = order[first : first + batch_size]
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(x[rows]), y[rows]).backward()
            optimizer.step()
    return network.from_torch(module)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("batch_size", [1, 7, 30])
def test_every_network_is_what_a_plain_torch_loop_makes_of_it(
    network: Network, name: str, batch_size: int
) -> None:
    mine, build = OPTIMIZERS[name]
    initial = starts(network, 3)
    trained = sgd.train(
        network, DATASET, n_seeds=3, initial=initial, optimizer=mine, batch_size=batch_size,
        max_epochs=4, seed=5, progress=False,
    )  # fmt: skip
    for number in range(3):
        start = {n: v[number] for n, v in initial.items()}
        expected = plain_loop(network, start, build, 5, number, batch_size, 4)
        for parameter, value in expected.items():
            np.testing.assert_allclose(trained.params[parameter][number, -1], value, atol=1e-12)


FACTORS = {"0.weight": 4.0, "0.bias": 0.25, "2.weight": 0.25}


def groups(parameters: Iterable[nn.Parameter], lr: float) -> list[dict]:
    """One torch parameter group a parameter of MODULE, with its own learning rate."""
    names = [name for name, _ in MODULE.named_parameters()]
    return [
        {"params": [parameter], "lr": lr * FACTORS.get(name, 1.0)}
        for name, parameter in zip(names, parameters, strict=True)
    ]


GROUPED = {
    "sgd": (
        sgd.SGD(0.1, 0.9, 0.01),
        lambda p: torch.optim.SGD(groups(p, 0.1), 0.1, 0.9, weight_decay=0.01),
    ),
    "adam": (sgd.Adam(0.02), lambda p: torch.optim.Adam(groups(p, 0.02), 0.02)),
}


@pytest.mark.parametrize("name", GROUPED)
def test_learning_rate_factors_are_torchs_parameter_groups(network: Network, name: str) -> None:
    mine, build = GROUPED[name]
    initial = starts(network, 3)
    trained = sgd.train(
        network, DATASET, n_seeds=3, initial=initial, optimizer=mine, lr_factors=FACTORS,
        batch_size=7, max_epochs=4, seed=5, progress=False,
    )  # fmt: skip
    for number in range(3):
        start = {n: v[number] for n, v in initial.items()}
        expected = plain_loop(network, start, build, 5, number, 7, 4)
        for parameter, value in expected.items():
            np.testing.assert_allclose(trained.params[parameter][number, -1], value, atol=1e-12)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_factors_of_one_change_no_bit(network: Network, name: str) -> None:
    settings = {
        "n_seeds": 2, "initial": starts(network, 2), "optimizer": OPTIMIZERS[name][0],
        "max_epochs": 12, "progress": False,
    }  # fmt: skip
    without = sgd.train(network, DATASET, **settings)
    ones = sgd.train(network, DATASET, lr_factors={"0.weight": 1.0, "2.bias": 1.0}, **settings)
    for parameter, value in without.params.items():
        np.testing.assert_array_equal(ones.params[parameter], value)


@pytest.mark.parametrize("optimizer", [sgd.SGD(0.1, 0.9, 0.01), sgd.Adam(0.02)])
def test_a_factor_of_0_freezes_a_parameter_and_trains_the_others(
    network: Network, optimizer: sgd.Optimizer
) -> None:
    initial = starts(network, 2)
    trained = sgd.train(
        network, DATASET, n_seeds=2, initial=initial, optimizer=optimizer,
        lr_factors={"0.weight": 0.0}, max_epochs=5, progress=False,
    )  # fmt: skip
    np.testing.assert_array_equal(trained.params["0.weight"][:, -1], initial["0.weight"])
    assert all(
        abs(trained.params[name][:, -1] - initial[name]).min() > 0
        for name in initial
        if name != "0.weight"
    )


def test_factors_stay_when_networks_leave(network: Network) -> None:
    """Network 1 has stopped long before network 0, whose path it must not change."""
    initial = starts(network, 2)
    initial["0.weight"][1] = np.nan
    settings = {"optimizer": sgd.Adam(0.02), "lr_factors": FACTORS, "progress": False}
    with pytest.warns(StoppedChainWarning):
        both = sgd.train(network, DATASET, n_seeds=2, initial=initial, max_epochs=40, **settings)
    first = {n: v[:1] for n, v in initial.items()}
    alone = sgd.train(network, DATASET, n_seeds=1, initial=first, max_epochs=40, **settings)
    assert both.stats["epoch"][:, -1].tolist() == [40, 0]
    for parameter, value in alone.params.items():
        np.testing.assert_allclose(both.params[parameter][0], value[0], rtol=1e-9, atol=1e-9)


def test_networks_that_stop_do_not_change_the_others(network: Network) -> None:
    initial = starts(network, 6)
    settings = {
        "initial": initial,
        "optimizer": sgd.Adam(0.05),
        "max_epochs": 400,
        "progress": False,
    }
    free = sgd.train(network, DATASET, n_seeds=6, checkpoints=range(10, 400, 10), **settings)
    stopped = sgd.train(network, DATASET, n_seeds=6, stop_at_interpolation=True, **settings)
    epochs = stopped.stats["epoch"][:, -1].astype(int)
    assert len(set(epochs)) > 1
    for number, epoch in enumerate(epochs):
        k = min(epoch // 10, 40) - 1
        assert free.stats["epoch"][number, k] == epoch
        for parameter, value in stopped.params.items():
            np.testing.assert_allclose(
                value[number, -1], free.params[parameter][number, k], rtol=1e-9, atol=1e-9
            )


def test_a_network_stops_when_its_training_error_is_zero(network: Network) -> None:
    trained = sgd.train(
        network, DATASET, n_seeds=6, initial=starts(network, 6), optimizer=sgd.Adam(0.05),
        max_epochs=400, stop_at_interpolation=True, progress=False,
    )  # fmt: skip
    fits = trained.stats["train_error"][:, -1] == 0
    assert fits.sum() == trained.info["interpolated"] > 0
    assert (trained.stats["epoch"][fits, -1] < 400).all()
    assert (trained.stats["epoch"][~fits, -1] == 400).all()


def test_a_network_stops_when_it_is_stuck(network: Network) -> None:
    zeros = {n: np.zeros((2, *s)) for n, s in network.shapes.items()}
    trained = sgd.train(
        network, DATASET, n_seeds=2, initial=zeros, optimizer=sgd.SGD(1e-9), max_epochs=500,
        patience=50, progress=False,
    )  # fmt: skip
    assert (trained.stats["epoch"] == 50).all()


def test_checkpoints_are_draws_and_the_end_is_always_kept(network: Network) -> None:
    initial = starts(network, 2)
    many = sgd.train(
        network,
        DATASET,
        n_seeds=2,
        initial=initial,
        max_epochs=9,
        checkpoints=[2, 5],
        progress=False,
    )
    short = sgd.train(network, DATASET, n_seeds=2, initial=initial, max_epochs=5, progress=False)
    assert many.stats["epoch"].tolist() == [[2, 5, 9]] * 2
    np.testing.assert_array_equal(many.params["0.weight"][:, 1], short.params["0.weight"][:, 0])


def test_checkpoints_after_the_stop_repeat_the_final_parameters(network: Network) -> None:
    zeros = {n: np.zeros((1, *s)) for n, s in network.shapes.items()}
    trained = sgd.train(
        network, DATASET, n_seeds=1, initial=zeros, optimizer=sgd.SGD(1e-9), max_epochs=100,
        patience=20, checkpoints=[10, 50, 100], progress=False,
    )  # fmt: skip
    assert trained.stats["epoch"].tolist() == [[10, 20, 20]]


def test_a_network_without_finite_loss_is_stopped_named_and_kept_out() -> None:
    """Networks 0 and 2 start at the minimum and stay; the step is too long for network 1."""
    network = Network(nn.Linear(4, 1, bias=False), np.zeros((1, 4), np.float32))
    weight, y = np.zeros((3, 1, 4)), np.zeros((30, 1))
    weight[1] = 1
    settings = {
        "initial": {"weight": weight}, "likelihood": likelihoods.Gaussian(1.0),
        "optimizer": sgd.SGD(10.0, 0.0), "max_epochs": 500, "checkpoints": [1], "progress": False,
    }  # fmt: skip
    dataset = Dataset(X, y, X, y)
    with pytest.warns(StoppedChainWarning, match=r"1 of 3 networks .*\(chains 1\)"):
        trained = sgd.train(network, dataset, n_seeds=3, **settings)
    assert (trained.info["nonfinite"], trained.info["stopped_chains"]) == (1, "1")
    assert np.isfinite(trained.params["weight"][:, 0]).all()
    assert np.isfinite(trained.params["weight"][:, 1]).all(axis=(1, 2)).tolist() == [
        True,
        False,
        True,
    ]
    assert trained.stats["epoch"][1, 1] < 500
    left = trained.running()
    assert left.n_chains == 2
    np.testing.assert_allclose(left.params["weight"][:, -1], weight[[0, 2]])


def test_starts_come_from_the_prior_by_seed(network: Network) -> None:
    dataset = Dataset(X.astype(np.float32), Y, X.astype(np.float32), Y, n_classes=3)
    settings = {"initial": priors.FanIn(), "max_epochs": 1, "progress": False}
    few = sgd.train(network, dataset, n_seeds=2, seed=1, **settings)
    many = sgd.train(network, dataset, n_seeds=4, seed=1, **settings)
    other = sgd.train(network, dataset, n_seeds=2, seed=2, **settings)
    np.testing.assert_allclose(few.params["0.weight"], many.params["0.weight"][:2], rtol=1e-5)
    assert not np.allclose(few.params["0.weight"], other.params["0.weight"])


def test_regression_minimises_the_squared_error() -> None:
    module = nn.Linear(4, 1)
    y = X @ np.array([[1.0], [2.0], [0.0], [-1.0]])
    network = Network(module, np.zeros((1, 4), np.float32))
    trained = sgd.train(
        network, Dataset(X, y, X, y), n_seeds=2, initial=starts(network, 2),
        likelihood=likelihoods.Gaussian(1.0), optimizer=sgd.SGD(0.1), max_epochs=500, progress=False,
    )  # fmt: skip
    expected = np.tile([[[1.0, 2.0, 0.0, -1.0]]], (2, 1, 1))
    np.testing.assert_allclose(trained.params["weight"][:, -1], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 31}, "batch_size=31 exceeds the 30 training rows; pass at most 30"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"n_seeds": 0}, "n_seeds=0"),
        ({"max_epochs": 0}, "max_epochs=0"),
        ({"checkpoints": [5, 99]}, r"checkpoints=\[99\]"),
        ({"device": "abacus"}, "unknown to PyTorch"),
        ({"lr_factors": {"1.weight": 2.0}}, r"lr_factors has unknown \['1.weight'\]"),
        ({"lr_factors": {"0.weight": -1.0}}, r"lr_factors\['0.weight'\]=-1.0 is not possible"),
        ({"initial": {"0.weight": np.zeros((1, 5, 4))}}, "must hold n_seeds=2"),
    ],
)
def test_what_cannot_be_trained_is_refused(network: Network, changes: dict, message: str) -> None:
    settings = {"n_seeds": 2, "initial": priors.Normal(), "max_epochs": 10, "progress": False}
    with pytest.raises(ValueError, match=message):
        sgd.train(network, DATASET, **(settings | changes))
