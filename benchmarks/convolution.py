"""Gradients a second of full-batch HMC on a network with two convolutions.

512 digits enlarged to 16×16, convolutions of 8 and 16 channels with ReLU and max pooling after each,
a linear readout. Ours samples the torch module, lowered; BlackJAX samples the same network written
in JAX with XLA's convolution, and with shifted images and a matrix product (im2col); torch takes bare
gradients of the module.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch import nn

from bayes_vs_sgd import Dataset, Network, Posterior, data, likelihoods, priors, samplers

from .lowering import convolution_by_product, convolution_by_xla
from .measure import Effort, Form, Params, Row, compare, require_matched

# The work, and the CPU devices that JAX shows.
CASES = {"1 chain": 1, "4 chains": 1}
N_LEAPFROG = 10
STEP_SIZE = 1e-3
WIDTH = 8


class Problem(NamedTuple):
    """One classification of images.

    Attributes:
        network: The lowered module.
        module: The module.
        posterior: What is sampled.
        dataset: Its rows.
        start: Starting points with a leading chain axis.
    """

    network: Network
    module: nn.Module
    posterior: Posterior
    dataset: Dataset
    start: Params


def network_of(width: int = WIDTH) -> nn.Module:
    """Two convolutions and a linear readout."""
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(2 * width * 16, 10),
    )


def problem(n_chains: int, n_rows: int = 512) -> Problem:
    """The digits as images, and draws of the prior."""
    digits = data.digits(n_train=n_rows, n_test=10)
    enlarge = np.ones((2, 2), np.float32)
    train, test = (
        np.kron(x.reshape(-1, 1, 8, 8), enlarge) for x in (digits.x_train, digits.x_test)
    )
    dataset = Dataset(train, digits.y_train, test, digits.y_test, n_classes=10)
    torch.manual_seed(0)
    module = network_of()
    network = Network(module, train[:2])
    posterior = Posterior.of(
        network, dataset, likelihoods.Categorical(), priors.FanIn(std=2.0, bias_std=1.0)
    )
    start = posterior.draw_prior(jax.random.key(0), n_chains)
    return Problem(network, module, posterior, dataset, start)


def by_hand(convolution: Callable[..., jax.Array]) -> Callable[[Any, jax.Array], jax.Array]:
    """The network in JAX with one form of the convolution."""

    def forward(p: Any, x: jax.Array) -> jax.Array:
        x = x.transpose(0, 2, 3, 1)
        for name in ("0", "3"):
            x = jax.nn.relu(convolution(x, p[f"{name}.weight"]) + p[f"{name}.bias"])
            n, height, width, channels = x.shape
            x = x.reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))
        flat = x.transpose(0, 3, 1, 2).reshape(len(x), -1)
        return flat @ p["7.weight"].T + p["7.bias"]

    return forward


def log_density_of(work: Problem, forward: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """The posterior of the same network by hand."""
    x, y = work.posterior.data
    likelihood = likelihoods.Categorical()

    def log_density(p: Params) -> jax.Array:
        return work.posterior.log_prior(p) + likelihood.log_prob(forward(p, x), y).sum()

    return log_density


def points(work: Problem) -> list[Params]:
    """Where the log densities are compared."""
    first = jax.tree.map(lambda a: a[0], work.start)
    return [jax.tree.map(lambda a, s=scale: s * a, first) for scale in (1.0, 0.5, 0.0)]


def log_densities(work: Problem) -> dict[str, Callable[[Any], Any]]:
    """Those of all forms."""
    log_density = torch_log_density(work)
    return {
        "samplers.HMC": work.posterior.log_density,
        "lax.conv": log_density_of(work, by_hand(convolution_by_xla)),
        "im2col": log_density_of(work, by_hand(convolution_by_product)),
        "torch": lambda p: log_density(work.network.to_torch(p)),
    }


def rows(case: str, effort: Effort) -> Iterator[Row]:
    """All forms of one case."""
    n_chains = int(case.split()[0])
    work = problem(n_chains)
    densities = log_densities(work)
    require_matched(densities, points(work))
    # ``sample`` begins with a quarter of a second that does not grow with the run.
    n_draws = max(1, round(effort.seconds * 24 / n_chains))
    peers = [
        blackjax_scan(work, f"BlackJAX, {name}", densities[name], n_draws=1, goal=goal)
        for name, goal in (("lax.conv", 5.0), ("im2col", 1.0))
    ]
    ours = [ours_form(work, n_draws)]
    peers.append(torch_gradients(work))
    yield from compare("convolution", case, "gradients", ours, peers, effort)


def ours_form(work: Problem, n_draws: int) -> Form:
    """``samplers.sample`` of the lowered network, all of the call."""
    sampler = samplers.HMC(n_leapfrog=N_LEAPFROG, step_size=STEP_SIZE)

    def run() -> None:
        samplers.sample(
            jax.random.key(1), work.posterior, work.start, sampler,
            n_warmup=0, n_draws=n_draws, progress=False,
        )  # fmt: skip

    return Form("samplers.HMC, lowered", run, _n_chains(work) * n_draws * N_LEAPFROG)


def blackjax_scan(
    work: Problem, name: str, log_density: Callable[..., jax.Array], *, n_draws: int, goal: float
) -> Form:
    """BlackJAX's HMC in a scan, chains by vmap."""
    import blackjax

    n_chains = _n_chains(work)
    inverse_mass = jnp.ones(work.network.n_parameters)
    hmc = blackjax.hmc(log_density, STEP_SIZE, inverse_mass, N_LEAPFROG)

    def step(state: Any, keys: jax.Array) -> Any:
        state, _ = jax.vmap(hmc.step)(keys, state)
        return state, state.position

    def loop(key: jax.Array, start: Any) -> Any:
        return jax.lax.scan(step, start, jax.random.split(key, (n_draws, n_chains)))

    compiled, states = jax.jit(loop), jax.jit(jax.vmap(hmc.init))(work.start)

    def run() -> None:
        jax.block_until_ready(compiled(jax.random.key(1), states))

    return Form(name, run, n_chains * n_draws * N_LEAPFROG, goal)


def torch_log_density(work: Problem) -> Callable[[nn.Module], torch.Tensor]:
    """The log density of a torch module, up to a constant."""
    x, y = torch.from_numpy(work.dataset.x_train), torch.from_numpy(work.dataset.y_train)
    prior = priors.FanIn(std=2.0, bias_std=1.0)
    scales = {name: prior.scale(shape) for name, shape in work.network.shapes.items()}

    def log_density(module: nn.Module) -> torch.Tensor:
        terms = [((p / scales[n]) ** 2).sum() for n, p in module.named_parameters()]
        misfit = nn.functional.cross_entropy(module(x), y, reduction="sum")
        return -misfit - 0.5 * torch.stack(terms).sum()

    return log_density


def torch_gradients(work: Problem) -> Form:
    """A bare loop of torch's gradients of the module, chain after chain."""
    log_density = torch_log_density(work)
    modules = [
        work.network.to_torch(jax.tree.map(lambda a, c=c: a[c], work.start))
        for c in range(_n_chains(work))
    ]

    def run() -> None:
        for module in modules:
            torch.autograd.grad(log_density(module), list(module.parameters()))

    return Form("torch, bare gradients", run, len(modules), goal=1.0)


def _n_chains(work: Problem) -> int:
    return len(work.start["7.bias"])


if __name__ == "__main__":
    from .command import main

    main(["--only", "convolution"])
