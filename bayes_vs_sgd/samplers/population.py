"""Samplers that move a population from the prior to the posterior, and measure the evidence.

A chain is one run of the population, independent of the others; a draw is one of its particles, all
of equal weight.
"""

import time
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray
from scipy.special import logsumexp

from .. import progress as progress_bars
from ..checks import require_count
from ..programs import found_again
from ..types import Draws, Estimate
from .devices import ChainMap
from .kernel import LANE_AXIS, require_parts
from .targets import Template, check_target, split_data

# The keys of the prior's draws and of the last resampling; steps count upwards from 0.
_PRIOR, _HARVEST = 2**31 - 1, 2**31 - 2


class Population(NamedTuple):
    """One run, to be vmapped over runs.

    Attributes:
        init: Particles from the prior → (state, number of particles whose likelihood is finite).
        step: (key, state) → (state, record, whether it moved). The record is a pytree of arrays.
        progress: State → how far it is, from 0 to 1; the run is done at 1.
    """

    init: Callable[[Any], tuple[Any, Array]]
    step: Callable[[PRNGKeyArray, Any], tuple[Any, Any, Array]]
    progress: Callable[[Any], Array]


class Harvest(NamedTuple):
    """What one run gives.

    Attributes:
        params: Particles of equal weight, leaves (n_particles, ...).
        stats: Statistics of each of them.
        log_evidence: log ∫ prior·likelihood^(1/T).
        info: Facts on the run by name.
    """

    params: Any
    stats: dict[str, np.ndarray]
    log_evidence: float
    info: dict[str, Any]


class PopulationSampler(Protocol):
    """A frozen dataclass of settings of a sampler that starts from draws of the prior.

    Attributes:
        progress_name: What ``Population.progress`` is called.
        patience: Steps without moving after which a run is given up.
        when_stuck: Why a run does not move, and the mend.
        max_steps: Steps after which a run that is not done is given up.
    """

    progress_name: ClassVar[str]
    patience: ClassVar[int]
    when_stuck: ClassVar[str]

    @property
    def max_steps(self) -> int: ...  # noqa: D102

    @property
    def n_start(self) -> int:
        """Draws of the prior that a run starts from."""
        ...

    @property
    def least_finite(self) -> int:
        """How many of them must have a finite likelihood."""
        ...

    def population(self, target: Any) -> Population:
        """One run on a target."""
        ...

    def harvest(self, rng: np.random.Generator, state: Any, records: Any) -> Harvest:
        """Draws and evidence of one run from its last state and the records of all its steps."""
        ...


def sample_population(
    key: PRNGKeyArray,
    posterior: Any,
    sampler: PopulationSampler,
    *,
    n_runs: int = 4,
    progress: bool = True,
) -> Draws:
    """Run populations from the prior to the posterior, each of them on its own.

    Run r uses the keys ``fold_in(fold_in(key, r), step)`` and the r-th part of the draws of the prior.
    Runs are spread over the devices and go on together until the last is done. A likelihood that is
    NaN counts as zero.

    Args:
        key: A JAX random key.
        posterior: A ``Posterior`` that knows how to draw from its prior.
        sampler: Settings, such as ``TemperedSMC(n_particles=2000)``.
        n_runs: Independent runs; their spread is the error of the evidence, so take four at least.
        progress: Show how far the slowest run is.

    Returns:
        ``Draws`` with chain = run and draw = particle. ``stats`` has ``lp``; ``info`` has lists with one
        entry a run: ``log_evidence`` (of the tempered likelihood where T ≠ 1), ``n_steps``, and what
        the sampler tells of itself.

    Raises:
        ValueError: The target has no prior to draw from, the likelihood is finite at too few of its
            draws, or the sampler is none of populations.
        RuntimeError: A run did not move any more, or was not done after the sampler's ``max_steps``.
    """
    require_count("n_runs", n_runs)
    if not hasattr(sampler, "population"):
        raise ValueError(
            f"sampler={sampler} moves chains, not a population; pass TemperedSMC() or "
            "NestedSampling(), or run it by samplers.sample."
        )
    require_parts(posterior, type(sampler).__name__)
    template, data = split_data(posterior)
    particles = _draw_prior(key, posterior, n_runs, sampler.n_start)
    check_target(
        template,
        data,
        jax.tree.map(lambda a: a[0], particles),
        with_gradient=getattr(sampler, "uses_gradient", True),
    )
    compiled = _compiled(template, sampler, n_runs)
    runs = compiled.runs
    keys = runs.put(jax.vmap(lambda r: jax.random.fold_in(key, r))(jnp.arange(n_runs)))
    data, particles = runs.put_rows(data), runs.put(particles)

    begin = time.perf_counter()
    states, n_finite = compiled.start(data, particles)
    _require_finite(np.asarray(n_finite), sampler)
    log = _Log(n_runs)
    with progress_bars.bar(type(sampler).__name__, 100, show=progress) as report:
        while not log.done.all():
            if log.n_steps == sampler.max_steps:
                raise RuntimeError(_unfinished(log, sampler))
            states, record, reached, moved = compiled.advance(
                data, keys, states, jnp.asarray(log.n_steps)
            )
            log.add(record, np.asarray(reached), np.asarray(moved))
            if log.n_unmoved.max() == sampler.patience:
                raise RuntimeError(_stuck(log, sampler))
            slowest = float(log.reached.min())
            report(int(100 * slowest), f"{sampler.progress_name} {slowest:.3g}, step {log.n_steps}")

    states = jax.tree.map(np.asarray, states)
    harvests = [
        sampler.harvest(
            np.random.default_rng(np.asarray(jax.random.key_data(_fold(keys[r], _HARVEST)))),
            jax.tree.map(lambda a, r=r: a[r], states),
            log.records(r),
        )
        for r in range(n_runs)
    ]
    return _gathered(harvests, sampler, log, time.perf_counter() - begin)


def log_evidence(draws: Draws) -> Estimate:
    """The logarithm of the evidence from independent runs of a population.

    The estimate Ẑ_r of each run is unbiased for the evidence Z itself (for given temperatures and
    kernels; that they adapt to the particles costs O(1/n_particles)), log Ẑ_r is not for log Z. So the
    value is log((1/R) Σ_r Ẑ_r), and the error is the jackknife's over runs: s² = (R−1)/R Σ_r (v_r − v̄)²,
    v_r the value without run r. It presumes that every run has found all modes that matter.

    Of one run there is no spread. ``sem`` is then the run's own ``log_evidence_sem``, where the sampler
    knows one (nested sampling), else NaN.

    Raises:
        ValueError: The draws are no population's.
    """
    if "log_evidence" not in draws.info:
        raise ValueError(
            "these draws know no evidence; make them by samplers.sample_population, for instance "
            "with TemperedSMC()."
        )
    runs = np.asarray(draws.info["log_evidence"], float)
    n = len(runs)
    value = float(logsumexp(runs) - np.log(n))
    if n == 1:
        return Estimate(value, float(draws.info.get("log_evidence_sem", [np.nan])[0]))
    without = np.array([logsumexp(np.delete(runs, r)) - np.log(n - 1) for r in range(n)])
    return Estimate(value, float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())))


class _Compiled(NamedTuple):
    """The two compiled functions of all runs.

    Attributes:
        runs: How runs lie on devices.
        start: (data, particles) → (states, numbers of finite likelihoods).
        advance: (data, keys, states, step) → (states, records, progress, whether it moved); runs that
            are done stay as they are.
    """

    runs: ChainMap
    start: Callable[..., Any]
    advance: Callable[..., Any]


@found_again(8)
def _compiled(template: Template, sampler: PopulationSampler, n_runs: int) -> _Compiled:
    runs = ChainMap(n_runs)

    def start(data: Any, particles: Any) -> Any:
        init = sampler.population(template(data)).init
        states, n_finite = jax.vmap(init, axis_name=LANE_AXIS)(particles)
        # Python numbers in a state would be weakly typed, and the first step compiled for them alone.
        return jax.tree.map(lambda a: a.astype(a.dtype), states), n_finite

    def advance(data: Any, keys: Any, states: Any, index: Array) -> Any:
        population = sampler.population(template(data))

        def one(key: PRNGKeyArray, state: Any) -> Any:
            done = population.progress(state) >= 1
            new, record, moved = population.step(jax.random.fold_in(key, index), state)
            state = jax.tree.map(lambda old, new: jnp.where(done, old, new), state, new)
            return state, record, population.progress(state), moved

        return jax.vmap(one, axis_name=LANE_AXIS)(keys, states)

    return _Compiled(runs, runs.jit(start, rows=True), runs.jit(advance, n_shared=1, rows=True))


class _Log:
    """What the steps so far have left.

    Attributes:
        n_steps: Steps taken.
        reached: Progress of every run.
        n_unmoved: Steps since every run moved.
    """

    def __init__(self, n_runs: int) -> None:
        self.n_steps = 0
        self.reached = np.zeros(n_runs)
        self.n_unmoved = np.zeros(n_runs, int)
        self._records: list[Any] = []
        self.n_steps_of = np.zeros(n_runs, int)

    @property
    def done(self) -> np.ndarray:
        return self.reached >= 1

    def add(self, record: Any, reached: np.ndarray, moved: np.ndarray) -> None:
        """Note one step; of runs that were done before, nothing is noted."""
        active = ~self.done
        self._records.append(jax.tree.map(np.asarray, record))
        self.n_steps += 1
        self.n_steps_of += active
        self.n_unmoved = np.where(active & ~moved, self.n_unmoved + 1, 0)
        self.reached = reached

    def records(self, run: int) -> Any:
        """The records of one run, stacked over its steps."""
        mine = [
            jax.tree.map(lambda a: a[run], record)
            for record in self._records[: self.n_steps_of[run]]
        ]
        return jax.tree.map(lambda *values: np.stack(values), *mine)


def _fold(key: PRNGKeyArray, number: int) -> PRNGKeyArray:
    return jax.random.fold_in(key, number)


def _draw_prior(key: PRNGKeyArray, posterior: Any, n_runs: int, n: int) -> Any:
    """Draws of the prior with the axes (run, particle)."""
    flat = posterior.draw_prior(_fold(key, _PRIOR), n_runs * n)
    return jax.tree.map(lambda a: jnp.asarray(a).reshape(n_runs, n, *a.shape[1:]), flat)


def _gathered(
    harvests: list[Harvest], sampler: PopulationSampler, log: _Log, seconds: float
) -> Draws:
    params = jax.tree.map(lambda *runs: np.stack(runs), *[h.params for h in harvests])
    info = {name: [h.info[name] for h in harvests] for name in harvests[0].info}
    return Draws(
        params=params,
        stats={n: np.stack([h.stats[n] for h in harvests]) for n in harvests[0].stats},
        last=jax.tree.map(lambda a: a[:, -1], params),
        info={
            "sampler": repr(sampler),
            "log_evidence": [h.log_evidence for h in harvests],
            "n_steps": log.n_steps_of.tolist(),
            **info,
            "stopped_chains": "",
            "seconds": seconds,
        },
    )


def _require_finite(n_finite: np.ndarray, sampler: PopulationSampler) -> None:
    run = int(np.argmin(n_finite))
    if n_finite[run] < sampler.least_finite:
        raise ValueError(
            f"the likelihood is finite at {n_finite[run]} of the {sampler.n_start} draws of the prior "
            f"that run {run} starts from, and {type(sampler).__name__} needs {sampler.least_finite}; "
            "take more of them, narrow the prior, or mend the likelihood."
        )


def _stuck(log: _Log, sampler: PopulationSampler) -> str:
    run = int(np.argmax(log.n_unmoved))
    return (
        f"run {run} of {type(sampler).__name__} stands still at {sampler.progress_name} "
        f"{log.reached[run]:.3g} in step {log.n_steps}: {sampler.when_stuck}"
    )


def _unfinished(log: _Log, sampler: PopulationSampler) -> str:
    run = int(np.argmin(log.reached))
    return (
        f"run {run} of {type(sampler).__name__} is at {sampler.progress_name} "
        f"{log.reached[run]:.3g} after max_steps={sampler.max_steps} steps; raise max_steps, or take a "
        "prior nearer to the posterior."
    )
