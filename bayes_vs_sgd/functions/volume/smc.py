"""P(S) and P_B(f | S) by particles that go from the prior to zero training error."""

from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from ... import progress as progress_bars
from ...checks import require_count
from .moves import PCN, Move
from .particles import Particles, Programs, programs
from .posterior import FunctionPosterior
from .schedules import Levels, Schedule, none_above
from .zero_one import Rows, ZeroOne

_PILOT, _START, _RESAMPLE, _MOVE, _LOOK = range(5)
# Pieces of a rung of the pilot after each of which the size of the moves is set anew.
_PIECES = 5
_LEAST_ANCESTORS = 20
# Draws of frozen parameters in the pilot: the rungs are for those that fit, and some may not.
_PILOT_FEATURES = 16


@dataclass(frozen=True)
class Rung:
    """One step from the prior to zero training error.

    Attributes:
        log_weight: Of 0 … n_train mistakes.
        size: Of the moves there.
    """

    log_weight: tuple[float, ...]
    size: float


@dataclass(frozen=True)
class SMC:
    """Sequential Monte Carlo from the prior to zero training error, in function space.

    A run has N particles, draws of the prior. For every rung k, with weights g_k(mistakes) that
    ``schedule`` tightens from 1 to 1[no mistake]:

        log P̂(S) ← log P̂(S) + log((1/N) Σ_i g_k(mistakes_i)/g_{k−1}(mistakes_i)),

    systematic resampling by these ratios, and ``n_moves`` moves of every particle that leave
    prior × g_k invariant. At the end every particle makes ``n_draws`` draws, ``thin`` moves apart.

    A pilot chooses rungs and sizes of moves; the runs that count take them as given, with random numbers of
    their own. So P̂(S) of every run is an unbiased estimate of P(S) (Del Moral 2004), and so is
    P̂(S)·(share of its draws that make f) of P(S, f). No gradient is needed.

    ``SMC(Levels())`` is multilevel splitting, ``SMC(Temperatures())`` tempered SMC.

    Attributes:
        schedule: ``Levels`` or ``Temperatures``.
        move: ``PCN`` or ``Elliptical``.
        n_particles: N, rounded up to a multiple of the block that a core works on.
        n_moves: Moves of every particle at every rung.
        n_draws: Draws of every particle at the end.
        thin: Moves between them.
        n_pilot: Particles of each of the runs of the pilot.
        max_rungs: Rungs at most; a pilot that needs more is given up.
    """

    schedule: Schedule = field(default_factory=Levels)
    move: Move = field(default_factory=PCN)
    n_particles: int = 1000
    n_moves: int = 20
    n_draws: int = 20
    thin: int = 10
    n_pilot: int = 512
    max_rungs: int = 500

    def __post_init__(self) -> None:
        for name in ("n_particles", "n_moves", "n_draws", "thin", "n_pilot", "max_rungs"):
            require_count(name, getattr(self, name), least=2 if "pa" in name or "pi" in name else 1)

    def estimate(
        self, key: PRNGKeyArray, problem: ZeroOne, *, n_runs: int, progress: bool = True
    ) -> FunctionPosterior:
        """Independent runs of a problem.

        Args:
            key: A JAX random key; run r uses ``fold_in(key, r)``.
            problem: What is sampled.
            n_runs: Runs whose spread is the error.
            progress: Show rungs and the time left.

        Raises:
            RuntimeError: The pilot found no way to zero training error.
        """
        rungs = self.pilot(jax.random.fold_in(key, _PILOT), problem, progress=progress)
        compiled, rows = programs(problem.rule, self.move, self.n_particles, n_runs), problem.rows
        keys = lambda what, k=0: compiled.keys(  # noqa: E731
            jax.random.fold_in(jax.random.fold_in(key, what), k)
        )
        particles = compiled.start(keys(_START), rows)
        log_evidence = np.zeros(n_runs)
        acceptance, shares = [], []
        old = none_above(problem.n_train, problem.n_train + 1)
        with progress_bars.bar("SMC", len(rungs) + 1, show=progress) as report:
            for k, rung in enumerate(rungs):
                new = np.asarray(rung.log_weight, np.float32)
                particles, found = compiled.resample(
                    keys(_RESAMPLE, k), particles, np.asarray(old, np.float32), new
                )
                particles, accepted = compiled.moved(
                    keys(_MOVE, k), particles, new, rung.size, rows, n_moves=self.n_moves
                )
                log_evidence += np.asarray(found.log_mean, float)
                shares.append(np.asarray(found.effective_share).tolist())
                acceptance.append(float(np.asarray(accepted).mean()))
                old = new
                report(k + 1, f"rung {k + 1} of {len(rungs)}")
            particles, words, accepted = compiled.looked_at(
                keys(_LOOK), particles, old, rungs[-1].size, rows,
                n_draws=self.n_draws, thin=self.thin,
            )  # fmt: skip
        acceptance.append(float(np.asarray(accepted).mean()))
        return self._posterior(
            problem, particles, np.asarray(words), log_evidence, acceptance, shares
        )

    def pilot(
        self, key: PRNGKeyArray, problem: ZeroOne, *, progress: bool = True
    ) -> tuple[Rung, ...]:
        """Rungs and sizes of moves, from a population of its own.

        Raises:
            RuntimeError: ``max_rungs`` were not enough.
        """
        n_runs = len(jax.devices())
        if problem.frozen:
            n_runs = max(n_runs, _PILOT_FEATURES)
        compiled = programs(problem.rule, self.move, self.n_pilot, n_runs)
        particles = compiled.start(compiled.keys(jax.random.fold_in(key, _START)), problem.rows)
        log_weight = none_above(problem.n_train, problem.n_train + 1)
        size, rungs, tried = 0.5, [], 0
        with progress_bars.bar("SMC, pilot", problem.n_train, show=progress) as report:
            while log_weight[1:].max() > -np.inf:
                if tried == self.max_rungs:
                    raise RuntimeError(self._unfinished(particles))
                where = jax.random.fold_in(key, tried)
                tried += 1
                mistakes = np.asarray(particles.mistakes).reshape(-1)
                new = self.schedule.tighten(mistakes, log_weight)
                # Where nobody would be left, all of them move once more as they are.
                reached = bool(np.isfinite(new[mistakes]).any())
                if reached:
                    particles, _ = compiled.resample(
                        compiled.keys(jax.random.fold_in(where, _RESAMPLE)),
                        particles,
                        np.asarray(log_weight, np.float32),
                        np.asarray(new, np.float32),
                    )
                    log_weight = new
                particles, size = self._piecewise(
                    where, compiled, particles, log_weight, size, problem.rows
                )
                if reached:
                    rungs.append(Rung(tuple(new.tolist()), size))
                least = int(np.asarray(particles.mistakes).min())
                report(problem.n_train - least, f"rung {len(rungs)}, at least {least} mistakes")
        return tuple(rungs)

    def _piecewise(
        self,
        key: PRNGKeyArray,
        compiled: Programs,
        particles: Particles,
        log_weight: np.ndarray,
        size: float,
        rows: Rows,
    ) -> tuple[Particles, float]:
        """The moves of one rung, with the size set anew after each piece of them."""
        n_moves = max(self.n_moves // _PIECES, 1)
        for piece in range(_PIECES):
            keys = compiled.keys(jax.random.fold_in(key, _LOOK + 1 + piece))
            particles, accepted = compiled.moved(
                keys, particles, log_weight, size, rows, n_moves=n_moves
            )
            size = self._resized(size, float(np.asarray(accepted).mean()))
        return particles, size

    def _resized(self, size: float, acceptance: float) -> float:
        if self.move.target_acceptance is None:
            return size
        change = np.clip(2 * (acceptance - self.move.target_acceptance), -1, 1)
        return float(np.clip(size * np.exp(change), 1e-4, 1.0))

    def _unfinished(self, particles: Particles) -> str:
        least = int(np.asarray(particles.mistakes).min())
        return (
            f"the best particle of the pilot makes {least} mistakes after max_rungs={self.max_rungs} "
            "rungs; raise n_pilot, n_moves or max_rungs, or look whether the prior can fit the rows at all."
        )

    def _posterior(
        self,
        problem: ZeroOne,
        particles: Particles,
        words: np.ndarray,
        log_evidence: np.ndarray,
        acceptance: list[float],
        shares: list[Any],
    ) -> FunctionPosterior:
        # Draws of one particle stand together, so that ArviZ sees how they depend on one another.
        runs = np.swapaxes(words, 1, 2).reshape(len(words), -1, words.shape[-1])
        n_ancestors = [len(np.unique(roots)) for roots in np.asarray(particles.roots)]
        info = {
            "estimator": repr(self),
            "n_rungs": len(shares),
            "effective_shares": shares,
            "acceptance_rates": acceptance,
            "n_ancestors": n_ancestors,
        }
        doubts = []
        few = sum(n < _LEAST_ANCESTORS for n in n_ancestors)
        if few:
            doubts.append(
                f"the particles of {few} of {len(n_ancestors)} runs descend from fewer than "
                f"{_LEAST_ANCESTORS} draws of the prior, the fewest from {min(n_ancestors)}, so they may "
                "have missed modes; raise n_particles or n_moves"
            )
        return FunctionPosterior.of(
            list(runs),
            log_evidence,
            problem.n_test,
            problem.n_classes,
            info=info,
            doubts=doubts,
        )
