"""Every function with its probability on both sides, ready for a scatter plot with error bars."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import special, stats

from ...checks import require_probability
from .sampled import Sampled, require_pair


@dataclass(frozen=True)
class Axis:
    """The probabilities of the functions on one side, each with an interval of its own.

    Attributes:
        probability: Shape (n_functions,); 0 where the function was not found.
        lower: Lower limits; 0 where it was not found.
        upper: Upper limits, always positive.
    """

    probability: Float[np.ndarray, " n_functions"]
    lower: Float[np.ndarray, " n_functions"]
    upper: Float[np.ndarray, " n_functions"]

    @property
    def found(self) -> Bool[np.ndarray, " n_functions"]:
        """Functions that this side found."""
        return self.probability > 0

    @property
    def log_probability(self) -> Float[np.ndarray, " n_functions"]:
        """Natural logarithms; NaN where the function was not found."""
        return _log(self.probability, np.nan)

    @property
    def log_lower(self) -> Float[np.ndarray, " n_functions"]:
        """Natural logarithms of the lower limits; −∞ where it was not found."""
        return _log(self.lower, -np.inf)

    @property
    def log_upper(self) -> Float[np.ndarray, " n_functions"]:
        """Natural logarithms of the upper limits."""
        return np.log(self.upper)

    @property
    def log_errors(self) -> Float[np.ndarray, "2 n_functions"]:
        """Lengths of the error bars below and above ``log_probability``; NaN where it was not found."""
        middle = self.log_probability
        return np.array([middle - self.log_lower, self.log_upper - middle])


@dataclass(frozen=True)
class FunctionTable:
    """Both sides of every function.

    Attributes:
        p: The one side.
        q: The other side.
        level: Of every interval by itself, not of all of them together.
    """

    p: Axis
    q: Axis
    level: float

    @property
    def both(self) -> Bool[np.ndarray, " n_functions"]:
        """Functions that both sides found."""
        return self.p.found & self.q.found

    @property
    def only_p(self) -> Bool[np.ndarray, " n_functions"]:
        """Functions that only the first side found."""
        return self.p.found & ~self.q.found

    @property
    def only_q(self) -> Bool[np.ndarray, " n_functions"]:
        """Functions that only the second side found."""
        return self.q.found & ~self.p.found


def function_table(p: Sampled, q: Sampled, *, level: float = 0.95) -> FunctionTable:
    """Probabilities with intervals on both sides.

    Independent draws: Clopper and Pearson's exact interval of the count. Otherwise, over the R
    replicates (``Sampled.moves``) of mean p̂: p̂·exp(±t·s/p̂), with s² the larger of Σ_r (w_r − p̂)²/(R(R − 1)) and
    p̂(1 − p̂)/n for the n effective draws, and t of R − 1 degrees of freedom. The second keeps a
    function that was found equally often by chance from having no error. A function that was not
    found has an upper limit alone, 1 − ((1 − level)/2)^{1/n}, n the draws or the effective draws.
    Over replicates the interval is approximate, and poor for functions that few of them found.

    Args:
        p: The one side.
        q: The other side, over the same functions.
        level: Of each interval.

    Raises:
        ValueError: The tables differ, a side has one replicate, or ``level`` is no probability.
    """
    require_probability("level", level, usual=0.95)
    require_pair(p, q, least=2)
    return FunctionTable(_axis(p, level), _axis(q, level), level)


def clopper_pearson(
    counts: Int[np.ndarray, "*batch"], n: int, *, level: float = 0.95
) -> tuple[Float[np.ndarray, "*batch"], Float[np.ndarray, "*batch"]]:
    """Exact interval of a probability of which ``counts`` among n independent draws are known.

    The limits are the beta quantiles B((1 − level)/2; k, n − k + 1) and B((1 + level)/2; k + 1, n −
    k), with the lower limit 0 at k = 0 and the upper limit 1 at k = n. It holds with probability
    ``level`` at least.

    Args:
        counts: k, 0 … n.
        n: Draws.
        level: Confidence level.
    """
    k, outside = np.asarray(counts, dtype=np.float64), (1 - level) / 2
    lower = special.betaincinv(np.maximum(k, 1), n - np.maximum(k, 1) + 1, outside)
    upper = special.betaincinv(np.minimum(k, n - 1) + 1, n - np.minimum(k, n - 1), 1 - outside)
    return np.where(k == 0, 0.0, lower), np.where(k == n, 1.0, upper)


def _axis(sampled: Sampled, level: float) -> Axis:
    if sampled.counts is not None:
        n = int(sampled.counts.sum())
        return Axis(sampled.counts / n, *clopper_pearson(sampled.counts, n, level=level))
    probability, n_effective = sampled.probabilities, sampled.n_effective
    n_replicates = sampled.n_replicates
    spread = sampled.moves.var(axis=0, ddof=1) / n_replicates
    variance = np.maximum(spread, probability * (1 - probability) / n_effective)
    found = probability > 0
    relative = np.sqrt(variance) / np.where(found, probability, 1)
    # Beyond that the interval is everything, and the exponential overflows.
    factor = np.exp(np.minimum(stats.t.ppf((1 + level) / 2, n_replicates - 1) * relative, 300))
    unseen = -np.expm1(np.log((1 - level) / 2) / n_effective)
    upper = np.where(found, np.minimum(probability * factor, 1), unseen)
    return Axis(probability, probability / factor, upper)


def _log(values: np.ndarray, of_zero: float) -> np.ndarray:
    positive = values > 0
    return np.where(positive, np.log(np.where(positive, values, 1)), of_zero)
