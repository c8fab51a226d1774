"""Rank correlation of probability and complexity."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Num
from scipy import stats

from ...checks import require_count, require_probability
from ...types import Estimate
from .counts import require_resamples, seen_functions


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's correlation with an interval.

    Attributes:
        estimate: ρ with its standard error.
        low: Lower end of the interval.
        high: Upper end.
        level: Confidence level of the interval.
        n_functions: Functions that counted.
        n_failed: Resamples in which ρ did not exist; they are left out.
    """

    estimate: Estimate
    low: float
    high: float
    level: float
    n_functions: int
    n_failed: int = 0


def rank_correlation(
    counts: Int[np.ndarray, " n_functions"],
    n_total: int,
    complexities: Num[np.ndarray, " n_functions"],
    *,
    least_count: int = 10,
    n_bootstrap: int = 500,
    level: float = 0.95,
    seed: int = 0,
) -> RankCorrelation:
    """Spearman's ρ of log P(f) and K(f) over the functions seen at least ``least_count`` times.

    This is not what the theory claims. The coding theorem bounds P(f) from above, and many functions
    of low complexity may lie far below the bound: ρ may be weak though the bound is tight, or strong
    though it is violated. ρ also depends on which functions were drawn: those of small P are absent
    but for the few that were lucky. ``levin_envelope`` fits what is claimed.

    The standard error is the standard deviation over resamples of all counts, Multinomial(n_total,
    counts/n_total), with the selection done again in each. A resample has noise twice, which mostly
    weakens its correlation: the quantiles of the resamples miss on the stronger side what they have
    too much on the weaker. The interval is therefore tanh(z ± h), z = artanh ρ, with h the larger of
    the two quantiles' distances from z on that scale. In repeated experiments on 40 functions 95 %
    intervals covered the true ρ in 90 % where the rarest was seen 30 times, and in 96 and 99 % with
    3 and 10 times the draws: noise in counts biases ρ itself.

    Args:
        counts: How often every function was seen; its entries are distinct functions.
        n_total: Draws in all, those of functions that are not listed included.
        complexities: K of every function.
        least_count: Functions seen less often do not count.
        n_bootstrap: Resamples.
        level: Confidence level of the interval.
        seed: Same seed, same resamples.

    Raises:
        ValueError: A count is not possible, the arrays do not fit one another, fewer than two
            complexities count, or all functions that count were seen equally often.
    """
    require_count("n_bootstrap", n_bootstrap, least=2)
    require_probability("level", level, 0.95)
    seen = seen_functions(counts, n_total, complexities, least_count=least_count)

    def rho(sample: np.ndarray) -> float:
        kept = seen.counted(sample)
        return _spearman(sample[kept], seen.complexities[kept])

    value = rho(seen.counts)
    if np.isnan(value):
        raise ValueError(
            f"all functions seen at least least_count={least_count} times were seen equally often; "
            "they have no order to correlate, draw more functions."
        )
    sample = np.array([rho(resample) for resample in seen.resamples(n_bootstrap, seed)])
    found = sample[~np.isnan(sample)]
    require_resamples(len(found), n_bootstrap)
    low, high = _interval(value, found, level)
    return RankCorrelation(
        estimate=Estimate(value, float(found.std(ddof=1))),
        low=low,
        high=high,
        level=level,
        n_functions=seen.n_counted,
        n_failed=n_bootstrap - len(found),
    )


def _spearman(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's correlation of the ranks, ties at their mean; NaN where one is constant."""
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(np.corrcoef(stats.rankdata(one), stats.rankdata(other))[0, 1])


def _interval(
    value: float, sample: Float[np.ndarray, " resamples"], level: float
) -> tuple[float, float]:
    """tanh(z ± h), h the larger distance of the quantiles of artanh ρ* from z = artanh ρ."""
    quantiles = np.quantile(sample, [(1 - level) / 2, (1 + level) / 2])
    # artanh is infinite at ±1, where few functions are in every resample.
    z, lower, upper = np.arctanh(np.clip([value, *quantiles], -1 + 1e-9, 1 - 1e-9))
    half = max(z - lower, upper - z)
    return min(value, float(np.tanh(z - half))), max(value, float(np.tanh(z + half)))
