"""The loop that runs any sampler: chains over devices, warm-up, progress, collection."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from .. import progress as progress_bars
from ..checks import require_count
from ..types import Draws
from .devices import ChainMap, count_chains
from .kernel import Kernel, Sampler

# A run is cut into this many pieces: enough for a progress bar, few enough to cost nothing.
_N_CHUNKS = 24


def sample(
    key: PRNGKeyArray,
    target: Any,
    initial: Any,
    sampler: Sampler,
    *,
    n_warmup: int,
    n_draws: int,
    collect: Callable[[Any], Any] | None = None,
    progress: bool = True,
) -> Draws:
    """Run Markov chains and keep every draw after the warm-up.

    A rejected proposal repeats the state, and the repeated state is a draw. Chain c uses the keys
    ``fold_in(fold_in(key, c), iteration)``, so but for rounding it depends neither on the chains
    beside it nor on the number of devices.

    Args:
        key: A JAX random key.
        target: A ``Posterior`` (anything with ``log_density``), or a function params → log density.
        initial: Pytree of starting points; every leaf has a leading chain axis.
        sampler: Settings, such as ``HMC(n_leapfrog=60)``.
        n_warmup: Iterations that adapt and are thrown away.
        n_draws: Draws kept of each chain.
        collect: Keeps ``collect(params)`` in place of ``params``, computed where the chains run.
        progress: Show iterations, acceptance, divergences and the time left.

    Returns:
        ``Draws`` as NumPy arrays with the axes (chain, draw). ``stats`` has ArviZ's names; ``last``
        has the final parameters; ``info`` counts divergences in the warm-up and non-finite draws.

    Raises:
        ValueError: A count is not possible, the chains are of unequal number, or the log density is
            no finite scalar at a starting point.
    """
    require_count("n_warmup", n_warmup, least=0)
    require_count("n_draws", n_draws)
    n_chains = count_chains(initial)
    initial = jax.tree.map(jnp.asarray, initial)
    log_density = getattr(target, "log_density", target)
    _require_scalar(log_density, initial)
    kernel = sampler.kernel(log_density, n_warmup)

    chains = ChainMap(n_chains)
    keys = chains.put(jax.vmap(lambda c: jax.random.fold_in(key, c))(jnp.arange(n_chains)))
    states = _start(kernel, log_density, chains, chains.put(initial))

    n_iterations = n_warmup + n_draws
    length = -(-n_iterations // _N_CHUNKS)
    run = chains.jit(
        _chunk(kernel, collect or (lambda params: params), length, n_warmup), n_shared=2
    )

    started = time.perf_counter()
    kept: list[Any] = []
    all_stats: list[dict[str, np.ndarray]] = []
    n_divergent = 0
    with progress_bars.bar(type(sampler).__name__, n_iterations, show=progress) as report:
        for start, stop in _pieces(n_warmup, n_iterations, length):
            states, collected, stats = run(keys, states, jnp.asarray(start), jnp.asarray(stop))
            stats = {name: np.asarray(value)[:, : stop - start] for name, value in stats.items()}
            n_divergent += int(stats["diverging"].sum()) if "diverging" in stats else 0
            all_stats.append(stats)
            if start >= n_warmup:
                kept.append(jax.tree.map(lambda a, n=stop - start: np.asarray(a)[:, :n], collected))
            acceptance = stats["acceptance_rate"].mean()
            report(stop, f"acceptance {acceptance:.2f}, {n_divergent} divergences")

    joined = {n: np.concatenate([s[n] for s in all_stats], axis=1) for n in all_stats[0]}
    stats = {name: value[:, n_warmup:] for name, value in joined.items()}
    params = jax.tree.map(lambda *pieces: np.concatenate(pieces, axis=1), *kept)
    info = {
        "sampler": repr(sampler),
        "n_warmup": n_warmup,
        "warmup_divergences": int(joined["diverging"][:, :n_warmup].sum()),
        "divergences": int(stats["diverging"].sum()),
        "nonfinite_draws": int((~np.isfinite(stats["lp"])).sum()),
        "seconds": time.perf_counter() - started,
    }
    last = jax.tree.map(np.asarray, kernel.params(states))
    return Draws(params=params, stats=stats, last=last, info=info)


def _chunk(
    kernel: Kernel, collect: Callable[[Any], Any], length: int, n_warmup: int
) -> Callable[..., Any]:
    """At most ``length`` iterations of the chains of one device, in one compiled loop."""

    def chain_step(key: PRNGKeyArray, state: Any, iteration: Array) -> tuple[Any, Any]:
        return kernel.step(jax.random.fold_in(key, iteration), state, iteration)

    def kept(states: Any) -> Any:
        return jax.vmap(lambda state: collect(kernel.params(state)))(states)

    def buffer(like: Any) -> Any:
        return jax.tree.map(lambda a: jnp.zeros((a.shape[0], length, *a.shape[1:]), a.dtype), like)

    def run(keys: Any, states: Any, start: Array, stop: Array) -> tuple[Any, Any, Any]:
        advance = jax.vmap(chain_step, in_axes=(0, 0, None))
        _, stats_shape = jax.eval_shape(advance, keys, states, start)

        def body(i: Array, carry: Any) -> Any:
            states, collected, stats = carry
            states, new_stats = advance(keys, states, start + i)
            put = lambda buffers, new: jax.tree.map(lambda b, v: b.at[:, i].set(v), buffers, new)  # noqa: E731
            collected = jax.lax.cond(
                start >= n_warmup, lambda c: put(c, kept(states)), lambda c: c, collected
            )
            return states, collected, put(stats, new_stats)

        carry = (states, buffer(jax.eval_shape(kept, states)), buffer(stats_shape))
        return jax.lax.fori_loop(0, stop - start, body, carry)

    return run


def _pieces(n_warmup: int, n_iterations: int, length: int) -> list[tuple[int, int]]:
    """(start, stop) of every chunk; none holds both warm-up and draws."""
    starts = [*range(0, n_warmup, length), *range(n_warmup, n_iterations, length)]
    return list(zip(starts, [*starts[1:], n_iterations], strict=True))


def _require_scalar(log_density: Callable[[Any], Any], initial: Any) -> None:
    one = jax.tree.map(lambda a: a[0], initial)
    shape = jax.eval_shape(log_density, one)
    if getattr(shape, "shape", None) != () or not jnp.issubdtype(shape.dtype, jnp.floating):
        raise ValueError(
            f"the log density returns {shape}; it must return one floating-point number for one set "
            "of parameters."
        )


def _start(
    kernel: Kernel, log_density: Callable[[Any], Any], chains: ChainMap, initial: Any
) -> Any:
    """The states that chains start in, refused where the log density is not finite."""

    def start(params: Any) -> tuple[Any, Array, Any]:
        value, gradient = jax.value_and_grad(log_density)(params)
        return kernel.init(params), value, gradient

    states, values, gradients = chains.jit(jax.vmap(start))(initial)
    finite = np.isfinite(np.asarray(values))
    for leaf in jax.tree.leaves(gradients):
        finite &= np.isfinite(np.asarray(leaf).reshape(len(finite), -1)).all(axis=1)
    if not finite.all():
        chain = int(np.argmin(finite))
        raise ValueError(
            f"chain {chain} starts where the log density ({np.asarray(values)[chain]}) or its "
            "gradient is not finite; start it elsewhere, for instance at draws of the prior."
        )
    return states
