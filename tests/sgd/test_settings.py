"""Every setting against a plain torch loop, one network at a time, on the same batches."""

import shutil
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.optim import lr_scheduler

from bayes_vs_sgd import Dataset, Draws, Network, Posterior, likelihoods, priors, sgd
from bayes_vs_sgd.sgd.agd import AutomaticGradientDescent
from bayes_vs_sgd.sgd.batches import Batches

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 4))
LABELS = RNG.integers(0, 3, 30)
COINS = RNG.integers(0, 2, 30)
REALS = RNG.normal(size=(30, 3))
BATCH_SIZE, N_STEPS, SEED = 7, 100, 5
N_NETWORKS = 2

TorchLoss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Parameters = Iterable[tuple[str, nn.Parameter]]


@dataclass(frozen=True)
class Problem:
    """A module, data of one kind, and the loss as torch has it."""

    module: nn.Module
    likelihood: likelihoods.Likelihood
    y: np.ndarray
    loss: TorchLoss
    x: np.ndarray

    def dataset(self, dtype: type) -> Dataset:
        y = self.y.astype(dtype) if self.y.dtype == np.float64 else self.y
        x = self.x.astype(dtype)
        # As many test rows as training rows: one trace fewer.
        return Dataset(x, y, x[::-1], y[::-1], n_classes=0 if y is not self.y else 3)


def mlp(n_outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, n_outputs))


def two_class(outputs: torch.Tensor, y: torch.Tensor, **settings: float) -> torch.Tensor:
    """A logit as the second of two, the first being 0."""
    return functional.cross_entropy(torch.cat([0 * outputs, outputs], 1), y, **settings)


PROBLEMS = {
    "categorical": Problem(mlp(3), likelihoods.Categorical(), LABELS, functional.cross_entropy, X),
    "bernoulli": Problem(
        mlp(1),
        likelihoods.Bernoulli(),
        COINS,
        lambda z, y: functional.binary_cross_entropy_with_logits(z[:, 0], y.to(z.dtype)),
        X,
    ),
    "gaussian": Problem(
        mlp(3),
        likelihoods.Gaussian(0.5),
        REALS,
        lambda z, y: functional.gaussian_nll_loss(z, y, torch.full_like(z, 0.25), full=True) * 3,
        X,
    ),
}


@pytest.fixture(scope="module")
def networks() -> dict[str, Network]:
    return {n: Network(p.module, p.x[:1].astype(np.float32)) for n, p in PROBLEMS.items()}


@pytest.fixture(scope="module")
def network(networks: dict[str, Network]) -> Network:
    return networks["categorical"]


def starts(network: Network, dtype: type, n: int = N_NETWORKS) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {k: rng.normal(size=(n, *s)).astype(dtype) for k, s in network.shapes.items()}


def train(network: Network, problem: Problem, dtype: type = np.float64, **changes: Any) -> Draws:
    settings: dict[str, Any] = {
        "n_seeds": N_NETWORKS, "initial": starts(network, dtype), "likelihood": problem.likelihood,
        "batch_size": BATCH_SIZE, "max_steps": N_STEPS, "seed": SEED, "progress": False,
    } | changes  # fmt: skip
    return sgd.train(network, problem.dataset(dtype), **settings)


def plain_loop(
    module: nn.Module,
    problem: Problem,
    number: int,
    rule: torch.optim.Optimizer,
    *,
    scheduler: lr_scheduler.LRScheduler | None = None,
    clip_norm: float = float("inf"),
    augment: sgd.Augmentation | None = None,
) -> list[float]:
    """Train one network in place the ordinary way; returns the norms of its gradients."""
    dtype = next(module.parameters()).dtype
    batches = Batches(SEED, len(problem.x), BATCH_SIZE)
    x, y = torch.from_numpy(problem.x).to(dtype), torch.from_numpy(problem.y)
    y = y.to(dtype) if y.is_floating_point() else y
    norms = []
    for step in range(N_STEPS):
        epoch, k = divmod(step, len(x) // BATCH_SIZE)
        if k == 0:
            order = batches.orders(np.array([number]), np.array([epoch]))[0, 0]
        rows = order[k * BATCH_SIZE : (k + 1) * BATCH_SIZE]
        inputs = x[rows]
        if augment is not None:
            n = augment.n_uniforms(tuple(x.shape[1:]))
            uniforms = batches.uniforms(np.array([number]), step, n)[0]
            inputs = augment(inputs, torch.from_numpy(uniforms))
        rule.zero_grad()
        problem.loss(module(inputs), y[rows]).backward()
        norms.append(float(nn.utils.clip_grad_norm_(module.parameters(), clip_norm)))
        rule.step()
        if scheduler is not None:
            scheduler.step()
    return norms


def check(
    network: Network,
    problem: Problem,
    settings: Mapping[str, Any],
    build: Callable[[Parameters], torch.optim.Optimizer],
    *,
    schedule: Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler] | None = None,
    dtypes: Iterable[type] = (np.float64,),
    **loop: Any,
) -> np.ndarray:
    """All networks that ``train`` makes are those of the loop; returns the norms, (network, step)."""
    for dtype in dtypes:
        trained = train(network, problem, dtype, **settings)
        norms = []
        for number in range(N_NETWORKS):
            start = {n: v[number] for n, v in starts(network, dtype).items()}
            module = network.to_torch(start)
            rule = build(module.named_parameters())
            scheduler = None if schedule is None else schedule(rule)
            norms.append(plain_loop(module, problem, number, rule, scheduler=scheduler, **loop))
            for name, value in network.from_torch(module).items():
                found = trained.params[name][number, -1]
                assert found.dtype == dtype
                assert not np.allclose(found, start[name], atol=1e-4)
                if dtype is np.float64:
                    np.testing.assert_allclose(found, value, rtol=0, atol=1e-12)
                else:
                    # Relative above 1, where floats of 32 bits lie further apart.
                    assert (np.abs(found - value) <= 1e-6 * np.maximum(1, np.abs(value))).all()
    return np.array(norms)


def of_torch(name: str, **settings: Any) -> Callable[[Parameters], torch.optim.Optimizer]:
    return lambda parameters: getattr(torch.optim, name)([p for _, p in parameters], **settings)


def elementwise(name: str, **settings: Any) -> tuple[sgd.Optimizer, Callable]:
    return sgd.Elementwise(name, settings), of_torch(name, **settings)


OPTIMIZERS = {
    "sgd": (sgd.SGD(0.05, 0.0), of_torch("SGD", lr=0.05)),
    "momentum": (sgd.SGD(0.02, 0.9), of_torch("SGD", lr=0.02, momentum=0.9)),
    "nesterov": (
        sgd.SGD(0.02, 0.8, 0.1, nesterov=True),
        of_torch("SGD", lr=0.02, momentum=0.8, weight_decay=0.1, nesterov=True),
    ),
    "adam": (
        sgd.Adam(0.003, (0.8, 0.99), 1e-6, 0.1),
        of_torch("Adam", lr=0.003, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.1),
    ),
    "adamw": (
        sgd.AdamW(0.003, (0.8, 0.99), 1e-6, 0.3),
        of_torch("AdamW", lr=0.003, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.3),
    ),
    "rmsprop": elementwise("RMSprop", lr=1e-3, alpha=0.9, momentum=0.5, centered=True, eps=1e-4),
    "nadam": elementwise("NAdam", lr=0.003, weight_decay=0.1),
    "radam": elementwise("RAdam", lr=0.01, decoupled_weight_decay=True, weight_decay=0.1),
    "adagrad": elementwise("Adagrad", lr=0.02, lr_decay=0.01, eps=1e-4),
    "adadelta": elementwise("Adadelta", lr=1.0, weight_decay=0.01),
    "adamax": elementwise("Adamax", lr=0.003),
    "asgd": elementwise("ASGD", lr=0.05, t0=20, lambd=0.01),
    # Its steps double where two gradients in a row agree, and rounding decides a few of them.
    "rprop": elementwise("Rprop", lr=1e-3, step_sizes=(1e-5, 1e-2)),
    # On a GPU torch takes this form by itself: it writes into the gradients.
    "foreach": elementwise("SGD", lr=0.02, momentum=0.8, nesterov=True, foreach=True),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser_is_torchs(network: Network, name: str) -> None:
    mine, build = OPTIMIZERS[name]
    settings = {"optimizer": mine}
    check(network, PROBLEMS["categorical"], settings, build, dtypes=(np.float64, np.float32))


@pytest.mark.parametrize("name", ["bernoulli", "gaussian"])
def test_every_likelihood_has_torchs_loss(networks: dict[str, Network], name: str) -> None:
    build = of_torch("SGD", lr=0.005, momentum=0.9)
    settings = {"optimizer": sgd.SGD(0.005, 0.9)}
    check(networks[name], PROBLEMS[name], settings, build, dtypes=(np.float64, np.float32))


def warm(n: int, then: Callable) -> Callable:
    def build(rule: torch.optim.Optimizer) -> lr_scheduler.LRScheduler:
        ramp = lr_scheduler.LinearLR(rule, start_factor=1 / n, total_iters=n - 1)
        return lr_scheduler.SequentialLR(rule, [ramp, then(rule)], [n])

    return build


SCHEDULES = {
    "warm up": (
        sgd.Constant(n_warmup=9),
        lambda rule: lr_scheduler.LinearLR(rule, start_factor=1 / 9, total_iters=8),
    ),
    "cosine": (sgd.Cosine(), lambda rule: lr_scheduler.CosineAnnealingLR(rule, N_STEPS)),
    "warm cosine": (
        sgd.Cosine(n_warmup=6),
        warm(6, lambda rule: lr_scheduler.CosineAnnealingLR(rule, N_STEPS - 6)),
    ),
    "steps": (
        sgd.Steps((20, 70), 0.3, n_warmup=5),
        warm(5, lambda rule: lr_scheduler.MultiStepLR(rule, [15, 65], gamma=0.3)),
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_acts_on_every_group_as_torchs_scheduler_does(
    network: Network, name: str
) -> None:
    """With Adam and factors on the learning rate of two parameters."""
    mine, schedule = SCHEDULES[name]
    factors = {"0.weight": 3.0, "2.bias": 0.5}

    def build(parameters: Parameters) -> torch.optim.Optimizer:
        groups = [{"params": [p], "lr": 0.01 * factors.get(n, 1.0)} for n, p in parameters]
        return torch.optim.Adam(groups)

    settings = {"optimizer": sgd.Adam(0.01), "schedule": mine, "lr_factors": factors}
    check(network, PROBLEMS["categorical"], settings, build, schedule=schedule)


def test_a_gradient_is_clipped_network_by_network_where_it_is_too_long(network: Network) -> None:
    limit = 0.6
    settings = {"optimizer": sgd.SGD(0.05), "clip_norm": limit}
    build = of_torch("SGD", lr=0.05, momentum=0.9)
    norms = check(network, PROBLEMS["categorical"], settings, build, clip_norm=limit)
    bites = norms > limit
    assert bites.any(axis=1).all()
    assert not bites.all(axis=1).any()
    assert (bites[0] != bites[1]).any()


@pytest.mark.parametrize(("name", "smoothing"), [("categorical", 1.0), ("bernoulli", 0.2)])
def test_labels_are_smoothed_as_torch_does(
    networks: dict[str, Network], name: str, smoothing: float
) -> None:
    of_logits = two_class if name == "bernoulli" else functional.cross_entropy
    problem = PROBLEMS[name]
    smoothed = Problem(
        problem.module, problem.likelihood, problem.y,
        lambda z, y: of_logits(z, y, label_smoothing=smoothing), problem.x,
    )  # fmt: skip
    settings = {"optimizer": sgd.SGD(0.05), "label_smoothing": smoothing}
    build = of_torch("SGD", lr=0.05, momentum=0.9)
    check(networks[name], smoothed, settings, build)


DECAYS = {"0.weight": 0.3, "0.bias": 0.0, "2.weight": 0.02}
DECAYED = {
    "sgd": (sgd.SGD(0.05, 0.9, 0.1), torch.optim.SGD, {"lr": 0.05, "momentum": 0.9}),
    "adam": (sgd.Adam(0.01, weight_decay=0.1), torch.optim.Adam, {"lr": 0.01}),
    "adamw": (sgd.AdamW(0.01, weight_decay=0.1), torch.optim.AdamW, {"lr": 0.01}),
}


@pytest.mark.parametrize("name", DECAYED)
def test_weight_decay_by_name_is_that_of_torchs_groups(network: Network, name: str) -> None:
    """A name that is missing keeps the optimiser's."""
    mine, of_groups, settings = DECAYED[name]

    def build(parameters: Parameters) -> torch.optim.Optimizer:
        groups = [{"params": [p], "weight_decay": DECAYS.get(n, 0.1)} for n, p in parameters]
        return of_groups(groups, **settings)

    changes = {"optimizer": mine, "weight_decay": DECAYS}
    check(network, PROBLEMS["categorical"], changes, build)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_with_the_priors_weight_decay_descent_ends_at_the_maximum_of_the_posterior(
    temperature: float, float64: None
) -> None:
    prior = priors.FanIn(std=1.5, bias_std=0.7)
    network = Network(nn.Linear(4, 3), X[:1].astype(np.float32))
    problem = PROBLEMS["categorical"]
    decay = priors.weight_decay(prior, network.shapes, len(X), temperature=temperature)
    trained = train(
        network, problem, optimizer=sgd.SGD(0.5), weight_decay=decay, batch_size=None,
        max_steps=600,
    )  # fmt: skip
    posterior = Posterior.of(
        network, problem.dataset(np.float64), problem.likelihood, prior, temperature=temperature
    )
    slopes = jax.vmap(jax.grad(posterior.log_density))(trained.last)
    for slope in slopes.values():
        np.testing.assert_allclose(slope, 0, atol=1e-8)
    at_start = jax.vmap(jax.grad(posterior.log_density))(starts(network, np.float64))
    assert max(float(abs(s).max()) for s in at_start.values()) > 1


IMAGES = RNG.normal(size=(30, 1, 3, 4))
AUGMENTATIONS = {
    "jitter": sgd.Jitter(0.3),
    "composed": sgd.Compose((sgd.Flip(), sgd.Shift(1), sgd.Jitter(0.1))),
}


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_inputs_are_changed_as_a_loop_with_the_same_numbers_changes_them(name: str) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.Tanh(), nn.Linear(5, 3))
    problem = Problem(
        module, likelihoods.Categorical(), LABELS, functional.cross_entropy, IMAGES
    )  # fmt: skip
    network = Network(module, IMAGES[:1].astype(np.float32))
    settings = {"optimizer": sgd.SGD(0.05), "augment": AUGMENTATIONS[name]}
    build = of_torch("SGD", lr=0.05, momentum=0.9)
    check(network, problem, settings, build, augment=AUGMENTATIONS[name])


def test_automatic_gradient_descent_is_one_a_network() -> None:
    module = nn.Sequential(nn.Linear(4, 5, bias=False), nn.ReLU(), nn.Linear(5, 3, bias=False))
    problem = Problem(module, likelihoods.Categorical(), LABELS, functional.cross_entropy, X)
    check(
        Network(module, X[:1].astype(np.float32)),
        problem,
        {"optimizer": sgd.AGD(gain=0.7), "schedule": sgd.Cosine(0.2)},
        lambda parameters: AutomaticGradientDescent([p for _, p in parameters], gain=0.7),
        schedule=lambda rule: lr_scheduler.CosineAnnealingLR(rule, N_STEPS, eta_min=0.2 * 0.7),
    )


def test_keeping_networks_changes_neither_them_nor_when_they_stop(network: Network) -> None:
    settings = {"optimizer": sgd.SGD(0.1), "n_seeds": 6, "patience": 20, "look_every": 10}
    settings |= {"initial": starts(network, np.float64, 6)}
    problem = PROBLEMS["categorical"]
    without = train(network, problem, **settings)
    kept = train(network, problem, checkpoints=range(N_STEPS + 1), **settings)
    assert len(set(without.stats["step"][:, -1])) > 1
    for name, value in without.stats.items():
        np.testing.assert_array_equal(kept.stats[name][:, -1], value[:, -1])
    for name, value in without.last.items():
        np.testing.assert_array_equal(kept.last[name], value)


def test_mixed_precision_is_close_to_single_and_keeps_its_parameters(network: Network) -> None:
    problem = PROBLEMS["categorical"]
    settings = {"optimizer": sgd.Adam(0.01), "dtype": np.float32}
    single, mixed = (train(network, problem, mixed_precision=m, **settings) for m in (False, True))
    start = starts(network, np.float32)
    for name, value in mixed.params.items():
        assert value.dtype == np.float32
        moved = np.abs(single.params[name][:, -1] - start[name]).max()
        away = np.abs(value - single.params[name]).max()
        assert 0 < away < 0.1 * moved
    np.testing.assert_allclose(mixed.stats["train_loss"], single.stats["train_loss"], rtol=0.02)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_gradient_is_the_same(network: Network) -> None:
    settings = {"optimizer": sgd.Adam(0.01), "clip_norm": 0.5}
    problem = PROBLEMS["categorical"]
    with warnings.catch_warnings():
        # The compiler's own, of its parts that are to change.
        warnings.simplefilter("ignore")
        compiled = train(network, problem, compiled=True, **settings)
    plain = train(network, problem, **settings)
    for name, value in plain.params.items():
        np.testing.assert_allclose(compiled.params[name], value, rtol=0, atol=1e-10)
