"""How the weight of mistakes tightens from the prior to none allowed."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import brentq

from ...checks import require_probability

_Weights = Float[np.ndarray, " levels"]


class Schedule(Protocol):
    """A frozen dataclass of settings."""

    def tighten(self, mistakes: Int[np.ndarray, " n"], log_weight: _Weights) -> _Weights:
        """The next log weights of 0 … n_train mistakes, from the mistakes of particles at the last."""
        ...


@dataclass(frozen=True)
class Levels:
    """Multilevel splitting (Kahn & Harris 1951; Au & Beck 2001; Cérou et al. 2012).

    At a level of m mistakes, the weight is 1[mistakes ≤ m]. The next level is the largest number of
    mistakes, below m, that at most a share of ``keep`` of the particles does not exceed; or, where fewer
    than half as many would remain, the number above it if that is below m too.

    Attributes:
        keep: Share of particles that go on.
    """

    keep: float = 0.5

    def __post_init__(self) -> None:
        require_probability("keep", self.keep, 0.5)

    def tighten(self, mistakes: Int[np.ndarray, " n"], log_weight: _Weights) -> _Weights:
        """The log weights of the next level."""
        now = int(np.flatnonzero(np.isfinite(log_weight)).max())
        share = np.cumsum(np.bincount(mistakes, minlength=len(log_weight))) / len(mistakes)
        below = np.flatnonzero(share[:now] <= self.keep)
        level = int(below.max()) if len(below) else 0
        if share[level] < self.keep / 2 and level + 1 < now:
            level += 1
        return none_above(level, len(log_weight))


@dataclass(frozen=True)
class Temperatures:
    """Rising inverse temperatures, then none wrong (Neal 2001; Del Moral, Doucet & Jasra 2006).

    The weight is exp(−β·mistakes). β rises as far as leaves the particles, weighted by
    exp(−(β′ − β)·mistakes), an effective share (Σw)²/(N Σw²) of ``target_ess``; once a share of
    ``target_ess`` makes no mistake, only those are left.

    Attributes:
        target_ess: Effective share of particles after reweighting.
    """

    target_ess: float = 0.7

    def __post_init__(self) -> None:
        require_probability("target_ess", self.target_ess, 0.7)

    def tighten(self, mistakes: Int[np.ndarray, " n"], log_weight: _Weights) -> _Weights:
        """The log weights at the next β, or those that allow no mistake."""
        if (mistakes == 0).mean() >= self.target_ess:
            return none_above(0, len(log_weight))
        relative = (mistakes - mistakes.min()).astype(float)

        def excess(rise: float) -> float:
            w = np.exp(-rise * relative)
            return float(w.sum() ** 2 / (w**2).sum() / len(w)) - self.target_ess

        most = 1.0
        while excess(most) > 0:
            # Where so many make equally few mistakes, β may rise until the others are gone.
            if most > 64:
                break
            most *= 2
        rise = brentq(excess, 0, most) if excess(most) < 0 else most
        return log_weight - rise * np.arange(len(log_weight))


def none_above(level: int, n_levels: int) -> _Weights:
    """Log weights of 1[mistakes ≤ level]."""
    return np.where(np.arange(n_levels) <= level, 0.0, -np.inf)
