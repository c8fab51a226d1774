"""Steps a second of SGD on many small networks at once, and on one convolutional network.

5,000 networks 7–40–40–1 on the 128 Boolean inputs of 7 bits, one logit, each with its own start and its
own batches, by ``sgd.train``; beside a loop of torch over networks and steps, and beside the plain
``torch.vmap`` of ``functional_call``. A 5-layer CNN on 10,000 CIFAR images, one network, beside torch's
loop, both judged on all rows at the beginning and at the end.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from bayes_vs_sgd import Dataset, Network, likelihoods, priors, sgd
from models import CNN

from .measure import Effort, Form, Missing, Row, compare

# The work, and the CPU devices that JAX shows.
CASES = {
    "batch 32, 1 thread": 1,
    "batch 32, 2 threads": 1,
    "batch 1, 1 thread": 1,
    "batch 1, 2 threads": 1,
    "CNN, batch 128, 1 thread": 1,
    "CNN, batch 128, 2 threads": 1,
}
N_NETWORKS = 5000
SIZES = (7, 40, 40, 1)
LR = 0.01
IMAGES = Path(__file__).parents[2] / "shared" / "data" / "cifar10_10k.npz"
_CNN_BATCH, _CNN_STEPS = 128, 160


def rows(case: str, effort: Effort) -> Iterator[Row]:
    """All forms of one case."""
    n_threads = int(case.split(", ")[-1].split()[0])
    if case.startswith("CNN"):
        yield from cnn_rows(case, n_threads, effort)
        return
    batch_size = int(case.split(", ")[0].split()[1])
    n_steps = 640 if batch_size == 32 else 2560
    ours = ours_form(batch_size, n_steps, n_threads)
    peers = [
        torch_loop(batch_size, goal=60.0 if batch_size == 32 else 100.0),
        torch_vmap(batch_size, N_NETWORKS, n_threads, goal=1.5),
        torch_vmap(batch_size, 128, n_threads),
        jax_scan(batch_size),
        matrix_product(batch_size, n_threads),
    ]
    work = f"{N_NETWORKS:,} networks, {case}"
    yield from compare("sgd", work, "network-steps", [ours], peers, effort)


def problem() -> tuple[Network, Dataset]:
    """The network and a Boolean function of 7 bits, drawn at random."""
    torch.manual_seed(0)
    a, b, c, d = SIZES
    module = nn.Sequential(nn.Linear(a, b), nn.ReLU(), nn.Linear(b, c), nn.ReLU(), nn.Linear(c, d))
    x = ((np.arange(128)[:, None] >> np.arange(7)) & 1).astype(np.float32)
    y = np.random.default_rng(0).integers(0, 2, 128)
    return Network(module, x[:2]), Dataset(x, y, x, y, n_classes=2)


def operations(batch_size: int) -> float:
    """Additions and multiplications in the matrix products of one step of one network."""
    products = [a * b for a, b in pairwise(SIZES)]
    # Forward, towards the weights, and towards the inputs, but for the first layer's.
    return 2.0 * batch_size * (3 * sum(products) - products[0])


def with_threads(n: int, run: Callable[[], object]) -> Callable[[], None]:
    """The same with ``n`` threads of torch."""

    def run_with() -> None:
        before = torch.get_num_threads()
        torch.set_num_threads(n)
        try:
            run()
        finally:
            torch.set_num_threads(before)

    return run_with


def ours_form(batch_size: int, n_steps: int, n_threads: int) -> Form:
    """``sgd.train``, all of the call."""
    network, dataset = problem()

    def run() -> None:
        sgd.train(
            network, dataset, n_seeds=N_NETWORKS, initial=priors.FanIn(), batch_size=batch_size,
            optimizer=sgd.SGD(LR, 0.0), likelihood=likelihoods.Bernoulli(), max_steps=n_steps,
            look_every=n_steps, progress=False,
        )  # fmt: skip

    return Form("sgd.train", with_threads(n_threads, run), N_NETWORKS * n_steps)


def _loss(outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return nn.functional.binary_cross_entropy_with_logits(outputs[..., 0], y)


def _rows(dataset: Dataset, *shape: int) -> torch.Tensor:
    """Random rows without repetition along the last axis."""
    n_steps, *rest = shape
    size = rest[-1]
    per_epoch = len(dataset.x_train) // size
    n = int(np.prod(rest[:-1], initial=1))
    orders = np.random.default_rng(0).permuted(
        np.tile(np.arange(len(dataset.x_train)), (n, 1)), axis=1
    )[:, : per_epoch * size]
    batches = torch.from_numpy(orders).reshape(*rest[:-1], per_epoch, size).movedim(-2, 0)
    return batches.repeat(-(-n_steps // per_epoch), *[1] * len(rest))[:n_steps].contiguous()


def torch_loop(batch_size: int, *, goal: float, n_steps: int = 400) -> Form:
    """One network after another, one thread, batches by indexing."""
    network, dataset = problem()
    x, y = torch.from_numpy(dataset.x_train), torch.from_numpy(dataset.y_train).float()
    batches = _rows(dataset, n_steps, batch_size)
    start = priors.sample_many(priors.FanIn(), jax.random.key(0), network.shapes, 1)
    module = network.to_torch({name: value[0] for name, value in start.items()})

    def run() -> None:
        rule = torch.optim.SGD(module.parameters(), LR)
        for rows in batches:
            rule.zero_grad()
            _loss(module(x[rows]), y[rows]).backward()
            rule.step()

    return Form("torch, loop", with_threads(1, run), n_steps, goal)


def torch_vmap(
    batch_size: int, n_networks: int, n_threads: int, *, goal: float | None = None
) -> Form:
    """``vmap`` of the gradient of ``functional_call``, ``torch.optim.SGD`` on the stack."""
    network, dataset = problem()
    x, y = torch.from_numpy(dataset.x_train), torch.from_numpy(dataset.y_train).float()
    n_steps = max(3, 20_000 // n_networks)
    batches = _rows(dataset, n_steps, n_networks, batch_size)
    starts = priors.sample_many(priors.FanIn(), jax.random.key(0), network.shapes, n_networks)
    stacked = {n: torch.from_numpy(np.array(starts[n])).requires_grad_() for n in network.shapes}
    module = network.to_torch({name: value[0] for name, value in starts.items()})

    def loss(params: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return _loss(functional_call(module, params, (x,)), y)

    gradient = vmap(grad(loss))

    def run() -> None:
        rule = torch.optim.SGD(stacked.values(), LR)
        for rows in batches:
            with torch.no_grad():
                found = gradient({n: p.detach() for n, p in stacked.items()}, x[rows], y[rows])
            for name, parameter in stacked.items():
                parameter.grad = found[name]
            rule.step()

    name = "torch.vmap" if n_networks == N_NETWORKS else f"torch.vmap, {n_networks} at once"
    return Form(name, with_threads(n_threads, run), n_networks * n_steps, goal)


def jax_scan(batch_size: int, n_networks: int = 512, n_steps: int = 64) -> Form:
    """``vmap`` of a scan in JAX of the lowered network; XLA takes all cores."""
    network, dataset = problem()
    x, y = jnp.asarray(dataset.x_train), jnp.asarray(dataset.y_train)
    batches = jnp.asarray(_rows(dataset, n_steps, n_networks, batch_size).numpy()).swapaxes(0, 1)
    starts = priors.sample_many(priors.FanIn(), jax.random.key(0), network.shapes, n_networks)
    likelihood = likelihoods.Bernoulli()

    def loss(params: dict[str, jax.Array], rows: jax.Array) -> jax.Array:
        return -likelihood.log_prob(network.apply(params, x[rows]), y[rows]).mean()

    def step(params: dict[str, jax.Array], rows: jax.Array) -> tuple[dict[str, jax.Array], None]:
        gradient = jax.grad(loss)(params, rows)
        return jax.tree.map(lambda p, g: p - LR * g, params, gradient), None

    compiled = jax.jit(jax.vmap(lambda params, rows: jax.lax.scan(step, params, rows)[0]))

    def run() -> None:
        jax.block_until_ready(compiled(starts, batches))

    return Form("JAX, vmapped scan", run, n_networks * n_steps)


def matrix_product(batch_size: int, n_threads: int, size: int = 2048) -> Form:
    """One large matrix product, counted in network-steps: the ratio is our share of the peak."""
    a, b = torch.randn(2, size, size)
    out = torch.empty(size, size)
    run = with_threads(n_threads, partial(torch.mm, a, b, out=out))
    return Form(f"torch.mm, {size}×{size}: the peak", run, 2 * size**3 / operations(batch_size))


def images() -> Dataset:
    """The CIFAR images, channels first, standardised by one mean and spread."""
    with np.load(IMAGES) as arrays:
        x_train, x_test = (
            np.ascontiguousarray(arrays[name].transpose(0, 3, 1, 2), np.float32)
            for name in ("x_train", "x_test")
        )
        y_train, y_test = (arrays[name].astype(np.int64) for name in ("y_train", "y_test"))
    mean, std = x_train.mean(), x_train.std()
    return Dataset((x_train - mean) / std, y_train, (x_test - mean) / std, y_test, n_classes=10)


def cnn_rows(case: str, n_threads: int, effort: Effort) -> Iterator[Row]:
    """One network, ours and torch's loop, from the same start."""
    if not IMAGES.exists():
        missing = Missing("sgd.train", f"{IMAGES.name} is not on this machine")
        yield from compare("sgd", case, "steps", [missing], [], effort)
        return
    dataset = images()
    torch.manual_seed(0)
    module = CNN(3, 8, 10)
    network = Network(module, dataset.x_train[:2])
    start = {n: v[None] for n, v in network.from_torch(module).items()}

    def ours() -> None:
        sgd.train(
            network, dataset, n_seeds=1, initial=start, batch_size=_CNN_BATCH,
            optimizer=sgd.SGD(LR, 0.9), max_steps=_CNN_STEPS, look_every=_CNN_STEPS, progress=False,
        )  # fmt: skip

    yield from compare(
        "sgd", case, "steps",
        [Form("sgd.train", with_threads(n_threads, ours), _CNN_STEPS)],
        [cnn_loop(network, dataset, start, n_threads)],
        effort,
    )  # fmt: skip


def cnn_loop(
    network: Network, dataset: Dataset, start: dict[str, np.ndarray], n_threads: int
) -> Form:
    """Torch's loop, which judges on all training rows twice and on the test rows once, as ours does."""
    module = network.to_torch({name: value[0] for name, value in start.items()})
    x, y = torch.from_numpy(dataset.x_train), torch.from_numpy(dataset.y_train)
    test = torch.from_numpy(dataset.x_test)
    batches = _rows(dataset, _CNN_STEPS, _CNN_BATCH)

    def judge(x: torch.Tensor) -> None:
        with torch.no_grad():
            for piece in x.split(_CNN_BATCH):
                module(piece)

    def run() -> None:
        judge(x)
        rule = torch.optim.SGD(module.parameters(), LR, 0.9)
        for rows in batches:
            rule.zero_grad()
            nn.functional.cross_entropy(module(x[rows]), y[rows]).backward()
            rule.step()
        judge(x)
        judge(test)

    return Form("torch, loop", with_threads(n_threads, run), _CNN_STEPS, 1.0)
