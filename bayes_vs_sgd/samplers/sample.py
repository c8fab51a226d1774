"""Run any sampler: many chains, warm-up, progress, storage, resume, failure counts."""

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from .. import progress as progress_bars
from ..checks import require_count
from ..storage import Checkpoint, DrawStore, digest, loaded, require_space
from ..types import Draws, StoppedChainWarning
from .devices import count_chains
from .kernel import Sampler
from .program import Chains, Program, program
from .targets import check_target, split_data

# A run is cut into at least this many pieces: enough for a progress bar, and few, for at the end of
# each the devices wait for the slowest.
_N_PIECES = 8
# Bytes of draws that are held on the devices, all together, before they are fetched.
_BUFFER = 2**26
# A piece takes about this long at most, so that a kill costs no more.
_SECONDS = 10.0
# The mean acceptance after the warm-up may lie this far below the one aimed at, and refuse this
# share of what it should. Dual averaging over a short last window overshoots by less.
_TOO_LOW, _TOO_FEW = 0.2, 1 / 20
# With fewer draws a chain's mean acceptance says little.
_FEWEST_TO_JUDGE = 100


class WarmupWarning(UserWarning):
    """The warm-up did not settle."""


def sample(
    key: PRNGKeyArray,
    target: Any,
    initial: Any,
    sampler: Sampler,
    *,
    n_warmup: int,
    n_draws: int,
    thin: int = 1,
    collect: Callable[[Any], Any] | None = None,
    n_data_shards: int = 1,
    checkpoint: str | Path | None = None,
    in_memory: bool = True,
    progress: bool = True,
) -> Draws:
    """Run Markov chains and keep the draws after the warm-up.

    A rejected proposal repeats the state, and the repeated state is a draw. Chain c uses the keys
    ``fold_in(fold_in(key, c), iteration)``, so but for rounding it depends neither on the number of
    devices nor, unless its sampler learns from all chains, on the chains beside it.

    A chain whose parameters cease to be finite is stopped: its draws from there on are NaN, it is
    named in ``info["stopped_chains"]``, and a ``StoppedChainWarning`` says so; ``Draws.running``
    leaves it out. A ``WarmupWarning`` says where the warm-up did not reach its acceptance.

    Args:
        key: A JAX random key.
        target: A ``Posterior`` (anything with ``log_density``), or a function params → log density.
        initial: Where chains start: a pytree whose leaves have a leading chain axis, such as draws
            of the prior or trained networks; or ``Draws``, whose last parameters are taken.
        sampler: Settings, such as ``HMC(n_leapfrog=60)``.
        n_warmup: Iterations that adapt and are thrown away.
        n_draws: Draws kept of each chain.
        thin: Iterations a draw. Of the statistics, ``acceptance_rate`` is the mean over them,
            ``n_steps`` the sum, ``diverging`` whether any did; the others are those of the last.
        collect: Keeps ``collect(params)`` in place of ``params``, computed where the chains run.
        n_data_shards: Devices that share the rows of a ``Posterior``; chains are spread over the
            groups of so many devices.
        checkpoint: A folder that draws are streamed to as they come. The same call with the same
            folder goes on where a killed run stopped, and returns what that run would have
            returned, bit for bit.
        in_memory: False leaves the draws on the disk: the leaves of ``params`` are Zarr arrays, which
            are read where they are indexed. It needs ``checkpoint``.
        progress: Show iterations, acceptance, divergences and the time left.

    Returns:
        ``Draws`` with the axes (chain, draw). ``stats`` has ArviZ's names; ``last`` has the final
        parameters; ``info`` counts divergences in the warm-up, stopped chains and lost draws.

    Raises:
        ValueError: A setting is not possible, the chains are of unequal number, the log density is no
            finite differentiable scalar at a starting point, the draws fit nowhere, or the folder
            holds a run of other settings.
    """
    require_count("n_warmup", n_warmup, least=0)
    require_count("n_draws", n_draws)
    require_count("thin", thin)
    require_count("n_data_shards", n_data_shards)
    if not in_memory and checkpoint is None:
        raise ValueError("in_memory=False needs a place for the draws; pass checkpoint=folder.")
    if not hasattr(sampler, "kernel"):
        raise ValueError(
            f"{type(sampler).__name__} is no sampler of chains; pass HMC() or another of "
            "samplers.REGISTRY, and TemperedSMC or NestedSampling to samplers.sample_population."
        )
    initial = jax.tree.map(jnp.asarray, initial.last if isinstance(initial, Draws) else initial)
    n_chains = count_chains(initial)
    template, data = split_data(target, n_data_shards)
    with_gradient = getattr(sampler, "uses_gradient", True)
    whole = split_data(target)[0]
    check_target(whole, data, initial, with_gradient=with_gradient)
    # What does not fit the target is refused here, before anything compiles.
    sampler.kernel(whole(data), n_warmup)

    compiled = program(template, sampler, collect, n_chains, n_data_shards, n_warmup, thin)
    chains = compiled.chains
    keys = chains.put(jax.vmap(lambda c: jax.random.fold_in(key, c))(jnp.arange(n_chains)))
    data, initial = chains.put_rows(data), chains.put(initial)
    like = compiled.like(data, keys, initial)
    bytes_a_draw = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(like))
    folder = None if checkpoint is None else Path(checkpoint)
    require_space(bytes_a_draw * n_draws, folder)
    unit = int(np.clip(_BUFFER // bytes_a_draw, 1, -(-n_draws // _N_PIECES)))
    buffers = chains.put(
        jax.tree.map(lambda a: jnp.zeros((a.shape[0], unit, *a.shape[1:]), a.dtype), like)
    )
    begun, log_densities = _begin(compiled, data, keys, initial)
    saved = None
    if folder is not None:
        settings = {
            "sampler": repr(sampler),
            "n_warmup": n_warmup,
            "n_draws": n_draws,
            "thin": thin,
            "key": np.asarray(jax.random.key_data(key)).tolist(),
            "kept": str(like),
            "starting points": digest(initial),
            "data": digest(data),
            "log density at the start": [f"{value:.5g}" for value in log_densities],
        }
        place = Checkpoint(folder, settings)
        saved = place.load(begun)
    at = _At(begun) if saved is None else _At(chains.put(saved[1]), **saved[0])
    store = DrawStore(
        {"params": like[0], "stats": like[1]}, n_draws, folder, unit, resume=saved is not None
    )

    n_all = n_warmup + n_draws
    with progress_bars.bar(type(sampler).__name__, n_all, show=progress) as report:
        for start, stop in _pieces(at.index, n_warmup, n_all, unit):
            begin = time.perf_counter()
            state, buffers, sums = compiled.advance(
                data, keys, at.chains, buffers, jnp.asarray(start), jnp.asarray(stop)
            )
            sums = {name: np.asarray(value) for name, value in sums.items()}
            if start >= n_warmup:
                kept = jax.tree.map(lambda a, n=stop - start: np.asarray(a)[:, :n], buffers)
                store.write(start - n_warmup, {"params": kept[0], "stats": kept[1]})
            at = at.after(state, stop, sums, time.perf_counter() - begin, warm=start < n_warmup)
            if folder is not None:
                place.save(at.progress(), at.chains)
            report(stop, _detail(sums, n_chains * (stop - start), at))

    params, stats = store.arrays["params"], loaded(store.arrays["stats"])
    if in_memory:
        params = loaded(params)
    draws = Draws(
        params=params,
        stats=stats,
        last=jax.tree.map(np.asarray, compiled.params(data, at.chains)),
        info=_info(sampler, n_warmup, n_draws, thin, at),
    )
    _warn(draws, sampler, n_warmup)
    return draws


@dataclass(frozen=True)
class _At:
    """How far a run is."""

    chains: Chains
    index: int = 0
    seconds: float = 0.0
    warmup_divergences: int = 0
    divergences: int = 0

    def after(
        self, chains: Chains, index: int, sums: dict[str, np.ndarray], seconds: float, *, warm: bool
    ) -> "_At":
        n = int(sums["diverging"].sum()) if "diverging" in sums else 0
        return _At(
            chains,
            index,
            self.seconds + seconds,
            self.warmup_divergences + n * warm,
            self.divergences + n * (not warm),
        )

    def progress(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "chains"}


def _pieces(index: int, n_warmup: int, n_all: int, longest: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of every piece; none holds both warm-up and draws.

    A piece of draws has at most ``longest``, the length of the buffer. The first is short, and the
    next ones grow until they take about ``_SECONDS``.
    """
    n = 1
    while index < n_all:
        warm = index < n_warmup
        stop = min(
            index + min(n, -(-n_warmup // _N_PIECES) if warm else longest),
            n_warmup if warm else n_all,
        )
        begin = time.perf_counter()
        yield index, stop
        seconds = time.perf_counter() - begin
        per_index = seconds / (stop - index)
        n = int(np.clip(_SECONDS / max(per_index, 1e-9), 1, 2 * n))
        index = stop


def _begin(compiled: Program, data: Any, keys: Any, initial: Any) -> tuple[Chains, np.ndarray]:
    """The chains at their start, refused where the log density is not finite."""
    chains, values, finite = compiled.start(data, keys, initial)
    values, finite = np.asarray(values), np.asarray(finite)
    if not finite.all():
        chain = int(np.argmin(finite))
        raise ValueError(
            f"chain {chain} starts where the log density ({values[chain]}) or its gradient is not "
            "finite; start it elsewhere, for instance at draws of the prior."
        )
    return chains, values


def _detail(sums: dict[str, np.ndarray], n: int, at: _At) -> str:
    n_stopped = int(np.asarray(at.chains.stopped).sum())
    parts = []
    if "acceptance_rate" in sums:
        parts.append(f"acceptance {sums['acceptance_rate'].sum() / n:.2f}")
    if "diverging" in sums:
        parts.append(f"{at.warmup_divergences + at.divergences} divergences")
    if n_stopped:
        parts.append(f"{n_stopped} chains stopped")
    return ", ".join(parts)


def _info(sampler: Sampler, n_warmup: int, n_draws: int, thin: int, at: _At) -> dict[str, Any]:
    n_finite = np.asarray(at.chains.n_finite)
    return {
        "sampler": repr(sampler),
        "n_warmup": n_warmup,
        "thin": thin,
        "warmup_divergences": at.warmup_divergences,
        "divergences": at.divergences,
        "stopped_chains": ", ".join(map(str, np.flatnonzero(n_finite < n_draws))),
        "nonfinite_draws": int((n_draws - n_finite).sum()),
        "seconds": at.seconds,
    }


def _warn(draws: Draws, sampler: Any, n_warmup: int) -> None:
    stopped = draws.info["stopped_chains"]
    if stopped:
        warnings.warn(
            f"the parameters of {stopped.count(',') + 1} of {draws.n_chains} chains ceased to be "
            f"finite (chains {stopped}); their draws are NaN from there on. Lower the step size, or "
            "leave them out with draws.running().",
            StoppedChainWarning,
            stacklevel=3,
        )
    aim = getattr(sampler, "target_acceptance", None)
    if n_warmup == 0 or aim is None or draws.n_draws < _FEWEST_TO_JUDGE:
        return
    reached = np.asarray(draws.stats["acceptance_rate"]).mean(axis=1)
    off = np.flatnonzero((reached < aim - _TOO_LOW) | (1 - reached < _TOO_FEW * (1 - aim)))
    if len(off):
        chain = int(off[0])
        warnings.warn(
            f"the warm-up did not settle: chain {chain} accepts {reached[chain]:.2f} where "
            f"{aim:.2f} was aimed at, and so off are {len(off)} of {draws.n_chains} chains; raise "
            f"n_warmup above {n_warmup}.",
            WarmupWarning,
            stacklevel=3,
        )
