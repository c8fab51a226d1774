"""Gradients a second inside HMC, beside a bare loop of the same gradients and beside peers.

Regression by an MLP 8-16-16-1 on 512 rows, 50 leapfrog steps, a fixed step size, no warm-up. Every
form evaluates the gradient of one log density 50 times a transition and keeps all draws.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch
from jax.sharding import NamedSharding, PartitionSpec

from bayes_vs_sgd import Posterior, samplers

from .measure import Effort, Form, Missing, Params, Row, compare, load_peer, require_matched

# The work, and the CPU devices that JAX shows. NumPyro's parallel chains need a device each.
CASES = {
    "1 chain": 1,
    "4 chains on 2 devices": 2,
    "4 chains on 4 devices": 4,
    "16 chains on 2 devices": 2,
}
SIZES = (8, 16, 16, 1)
N_LEAPFROG = 50
STEP_SIZE = 1e-3
NOISE = 0.1


class Problem(NamedTuple):
    """One regression.

    Attributes:
        posterior: What is sampled.
        start: Starting points with a leading chain axis.
        data: Inputs and targets.
    """

    posterior: Posterior
    start: Params
    data: tuple[np.ndarray, np.ndarray]


def forward(p: Any, x: Any, tanh: Any = jnp.tanh) -> Any:
    """The MLP, of JAX or of torch."""
    for i in range(len(SIZES) - 2):
        x = tanh(x @ p[f"w{i}"] + p[f"b{i}"])
    last = len(SIZES) - 2
    return x @ p[f"w{last}"] + p[f"b{last}"]


def problem(n_chains: int) -> Problem:
    """Rows of a smooth function with noise, and draws of the prior."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(512, SIZES[0])).astype(np.float32)
    y = (np.sin(2 * x[:, :1]) + NOISE * rng.normal(size=(512, 1))).astype(np.float32)

    def log_prior(p: Params) -> jax.Array:
        return -0.5 * jnp.sum(jnp.stack([(v**2).sum() for v in p.values()]))

    def log_likelihood(p: Params, data: tuple[jax.Array, jax.Array]) -> jax.Array:
        return -0.5 * (((data[1] - forward(p, data[0])) / NOISE) ** 2).sum(-1)

    start: Params = {}
    for i, (n_in, n_out) in enumerate(pairwise(SIZES)):
        weights = rng.normal(size=(n_chains, n_in, n_out)) / n_in**0.5
        start[f"w{i}"] = jnp.asarray(weights, jnp.float32)
        start[f"b{i}"] = jnp.zeros((n_chains, n_out))
    posterior = Posterior(log_prior, log_likelihood, (jnp.asarray(x), jnp.asarray(y)))
    return Problem(posterior, start, (x, y))


def rows(case: str, effort: Effort) -> Iterator[Row]:
    """All forms of one case."""
    n_chains, n_devices = int(case.split()[0]), CASES[case]
    work = problem(n_chains)
    n_draws = max(2, round(effort.seconds * (300 if n_chains == 1 else 500) / n_chains))
    if n_devices == n_chains > 1:
        peers: list[Form | Missing] = [
            blackjax_mapped(work, n_draws),
            *numpyro_forms(work, n_draws, "parallel"),
        ]
    else:
        method = "vectorized" if n_chains > 1 else "sequential"
        peers = [blackjax_scan(work, n_draws), blackjax_steps(work, n_draws)]
        peers += numpyro_forms(work, n_draws, method)
    if n_chains == 1:
        peers.append(hamiltorch_form(work))
    # ``sample`` begins with two hundredths of a second that do not grow with the run.
    mine = ours(work, 4 * n_draws)
    yield from compare("hmc", case, "gradients", [mine], [bare(work, n_draws), *peers], effort)


def ours(work: Problem, n_draws: int) -> Form:
    """``samplers.sample`` with ``samplers.HMC``, all of the call."""
    sampler = samplers.HMC(n_leapfrog=N_LEAPFROG, step_size=STEP_SIZE)

    def run() -> None:
        samplers.sample(
            jax.random.key(1), work.posterior, work.start, sampler,
            n_warmup=0, n_draws=n_draws, progress=False,
        )  # fmt: skip

    return Form("samplers.HMC", run, _n_gradients(work, n_draws))


def bare(work: Problem, n_draws: int) -> Form:
    """Steps along the gradient in one compiled loop, chains spread over the same devices."""
    n_chains = _n_chains(work)
    n_devices = max(n for n in range(1, len(jax.devices()) + 1) if n_chains % n == 0)
    mesh = jax.make_mesh((n_devices,), ("chain",))
    gradient = jax.vmap(jax.value_and_grad(work.posterior.log_density))

    def loop(start: Params) -> tuple[Params, jax.Array]:
        def step(_: int, carry: tuple[Params, jax.Array]) -> tuple[Params, jax.Array]:
            value, slope = gradient(carry[0])
            moved = jax.tree.map(lambda a, b: a + 1e-6 * b, carry[0], slope)
            return moved, carry[1] + value

        total = jnp.zeros(len(start["b0"]))
        return jax.lax.fori_loop(0, n_draws * N_LEAPFROG, step, (start, total))

    chains = PartitionSpec("chain")
    spread = jax.shard_map(loop, mesh=mesh, in_specs=chains, out_specs=chains, check_vma=False)
    compiled, start = jax.jit(spread), jax.device_put(work.start, NamedSharding(mesh, chains))

    def run() -> None:
        jax.block_until_ready(compiled(start))

    return Form("bare loop of gradients", run, _n_gradients(work, n_draws), goal=0.9)


def _blackjax(work: Problem) -> Any:
    import blackjax

    inverse_mass = jnp.ones(sum(v[0].size for v in work.start.values()))
    return blackjax.hmc(work.posterior.log_density, STEP_SIZE, inverse_mass, N_LEAPFROG)


def _inference_loop(step: Any, start: Any, keys: jax.Array) -> Any:
    """BlackJAX's documented loop: the steps in a scan, all states kept."""

    def one_step(state: Any, key: jax.Array) -> Any:
        state, _ = step(key, state)
        return state, state

    return jax.lax.scan(one_step, start, keys)


def blackjax_scan(work: Problem, n_draws: int) -> Form:
    """The documented scan, and for many chains the documented vmap inside of it."""
    hmc, n_chains = _blackjax(work), _n_chains(work)
    states = jax.vmap(hmc.init)(work.start)
    name, step, shape = "BlackJAX, scan of vmap", jax.vmap(hmc.step), [n_draws, n_chains]
    if n_chains == 1:
        name, step, shape = "BlackJAX, scan", hmc.step, [n_draws]
        states = jax.tree.map(lambda a: a[0], states)
    compiled = jax.jit(
        lambda k, start: _inference_loop(step, start, jax.random.split(k, tuple(shape)))
    )

    def run() -> None:
        jax.block_until_ready(compiled(jax.random.key(1), states))

    return Form(name, run, _n_gradients(work, n_draws), goal=1.0)


def blackjax_mapped(work: Problem, n_draws: int) -> Form:
    """The documented pmap: every chain's scan on a device of its own."""
    hmc = _blackjax(work)
    states = jax.vmap(hmc.init)(work.start)

    def chain(key: jax.Array, start: Any) -> Any:
        return _inference_loop(hmc.step, start, jax.random.split(key, n_draws))

    compiled, keys = jax.pmap(chain), jax.random.split(jax.random.key(1), _n_chains(work))

    def run() -> None:
        jax.block_until_ready(compiled(keys, states))

    return Form("BlackJAX, pmap of scan", run, _n_gradients(work, n_draws), goal=1.0)


def blackjax_steps(work: Problem, n_draws: int) -> Form:
    """A Python loop over a jitted step."""
    hmc = _blackjax(work)
    n_chains = _n_chains(work)
    states, step = jax.vmap(hmc.init)(work.start), jax.jit(jax.vmap(hmc.step))

    def run() -> None:
        state, key = states, jax.random.key(1)
        for i in range(n_draws):
            keys = jax.random.split(jax.random.fold_in(key, i), n_chains)
            state, _ = step(keys, state)
        jax.block_until_ready(state)

    return Form("BlackJAX, jitted step", run, _n_gradients(work, n_draws), goal=1.0)


def numpyro_forms(work: Problem, n_draws: int, method: str) -> list[Form]:
    """NumPyro's MCMC with its progress bar and without."""
    from numpyro.infer import HMC, MCMC

    n_chains = _n_chains(work)
    start = work.start if n_chains > 1 else jax.tree.map(lambda a: a[0], work.start)
    forms = []
    for bar in (True, False):
        kernel = HMC(
            potential_fn=lambda p: -work.posterior.log_density(p),
            step_size=STEP_SIZE,
            num_steps=N_LEAPFROG,
            trajectory_length=None,
            adapt_step_size=False,
            adapt_mass_matrix=False,
        )
        chains = MCMC(
            kernel, num_warmup=0, num_samples=n_draws, num_chains=n_chains,
            chain_method=method, progress_bar=bar,
        )  # fmt: skip

        def run(chains: Any = chains) -> None:
            chains.run(jax.random.key(1), init_params=start)
            jax.block_until_ready(chains.get_samples())

        name = f"NumPyro, {method}, bar {'on' if bar else 'off'}"
        compiles = not bar or method == "parallel"
        forms.append(Form(name, run, _n_gradients(work, n_draws), 1.0, compiles))
    return forms


def hamiltorch_form(work: Problem, n_draws: int = 2) -> Form | Missing:
    """One chain by hamiltorch's ``sample``."""
    hamiltorch = load_peer("hamiltorch")
    if isinstance(hamiltorch, Missing):
        return Missing("hamiltorch", "no registry carries it")
    one = {name: np.array(value[0]) for name, value in work.start.items()}
    log_density = torch_log_density(work, one)
    flat = torch.from_numpy(np.concatenate([v.ravel() for v in one.values()]))
    points = [{n: jnp.asarray(s * v) for n, v in one.items()} for s in (1.0, 0.5)]
    in_torch = lambda p: log_density(  # noqa: E731
        torch.from_numpy(np.concatenate([np.ravel(p[n]) for n in one]))
    )
    require_matched({"ours": work.posterior.log_density, "hamiltorch": in_torch}, points)

    def run() -> None:
        hamiltorch.sample(
            log_density, flat, num_samples=n_draws, num_steps_per_sample=N_LEAPFROG,
            step_size=STEP_SIZE, verbose=False,
        )  # fmt: skip

    return Form("hamiltorch", run, float(n_draws * N_LEAPFROG), goal=1.0)


def torch_log_density(work: Problem, like: dict[str, np.ndarray]) -> Any:
    """The same log density of one flat torch vector, in the order of ``like``."""
    x, y = map(torch.from_numpy, work.data)

    def log_density(flat: torch.Tensor) -> torch.Tensor:
        parts = flat.split([value.size for value in like.values()])
        p = {n: part.reshape(like[n].shape) for n, part in zip(like, parts, strict=True)}
        misfit = (y - forward(p, x, torch.tanh)) / NOISE
        return -0.5 * (flat**2).sum() - 0.5 * (misfit**2).sum()

    return log_density


def _n_chains(work: Problem) -> int:
    return len(work.start["b0"])


def _n_gradients(work: Problem, n_draws: int) -> float:
    return float(_n_chains(work) * n_draws * N_LEAPFROG)


if __name__ == "__main__":
    from .command import main

    main(["--only", "hmc"])
