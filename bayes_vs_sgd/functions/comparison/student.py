"""An estimate whose error comes from a few replicates, and the jackknife that finds it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from ...checks import require_probability
from ...types import Estimate
from .sampled import Sampled

Vector = Float[np.ndarray, " n_functions"]


@dataclass(frozen=True)
class StudentEstimate(Estimate):
    """A number, its standard error, and the degrees of freedom that this error has.

    Attributes:
        value: The estimate.
        sem: Its standard error.
        degrees_of_freedom: Of the standard error; infinite where it is not itself estimated.
    """

    degrees_of_freedom: float

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The limits value ± t·sem, with t the quantile (1 + level)/2 of Student's law.

        Raises:
            ValueError: ``level`` is no probability.
        """
        require_probability("level", level, usual=0.95)
        reach = float(stats.t.ppf((1 + level) / 2, self.degrees_of_freedom)) * self.sem
        return float(self.value - reach), float(self.value + reach)


@dataclass(frozen=True)
class LeftOut:
    """Statistics of all replicates, and with each of them left out.

    Attributes:
        whole: Shape (n_statistics,).
        without_p: One replicate of p left out, shape (n_replicates_p, n_statistics).
        without_q: One of q left out.
    """

    whole: Float[np.ndarray, " n_statistics"]
    without_p: Float[np.ndarray, "n_replicates_p n_statistics"]
    without_q: Float[np.ndarray, "n_replicates_q n_statistics"]

    def estimates(self) -> list[StudentEstimate]:
        """Every statistic with its jackknife error.

        sem² = v_p + v_q with v = (R − 1)/R·Σ_r (S₍r₎ − S̄)² of either side: on average not less
        than the variance, whatever the statistic (Efron & Stein 1981, "The jackknife estimate of
        variance", Ann. Statist. 9). The degrees of freedom are Welch's and Satterthwaite's, (v_p +
        v_q)²/(v_p²/(R_p − 1) + v_q²/(R_q − 1)).
        """
        return [self._estimate(i, self.whole[i]) for i in range(len(self.whole))]

    def corrected(self) -> list[StudentEstimate]:
        """Every statistic less the jackknife's estimate of its bias, S − Σ_sides (R − 1)(S̄ − S)."""
        bias = sum(
            (len(without) - 1) * (without.mean(axis=0) - self.whole)
            for without in (self.without_p, self.without_q)
        )
        return [self._estimate(i, self.whole[i] - bias[i]) for i in range(len(self.whole))]

    def _estimate(self, i: int, value: float) -> StudentEstimate:
        sides = [(len(w), w[:, i]) for w in (self.without_p, self.without_q)]
        parts = [(n - 1) / n * ((w - w.mean()) ** 2).sum() for n, w in sides]
        spread = sum(v**2 / (n - 1) for v, (n, _) in zip(parts, sides, strict=True))
        degrees = sum(parts) ** 2 / spread if spread > 0 else float(min(n for n, _ in sides) - 1)
        return StudentEstimate(float(value), float(np.sqrt(sum(parts))), float(degrees))


def jackknife(
    p: Sampled,
    q: Sampled,
    statistic: Callable[[Vector, Vector], Float[np.ndarray, " n_statistics"]],
) -> LeftOut:
    """Statistics of the two pooled distributions, and of them without one replicate.

    Args:
        p: The one side, of at least two replicates.
        q: The other.
        statistic: Two vectors (n_functions,) of probabilities to (n_statistics,) numbers.
    """
    return LeftOut(
        statistic(p.probabilities, q.probabilities),
        np.array(
            [
                statistic(p.pooled(kept), q.probabilities)
                for kept in ~np.eye(p.n_replicates, dtype=bool)
            ]
        ),
        np.array(
            [
                statistic(p.probabilities, q.pooled(kept))
                for kept in ~np.eye(q.n_replicates, dtype=bool)
            ]
        ),
    )
