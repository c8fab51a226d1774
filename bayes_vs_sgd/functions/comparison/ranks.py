"""Rank correlation of two sampled distributions over their common functions."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from .common import Side, common_functions, least_frequencies, require_side
from .sampled import Sampled, require_pair
from .splits import Part, Statistic, cross_fitted, splits
from .student import StudentEstimate

_FEWEST = 3


@dataclass(frozen=True)
class RankCorrelations:
    """Whether the functions stand in one order on both sides.

    Both coefficients are of measured frequencies and thereby attenuated by their noise: compare
    them with those of two samples of one distribution (``null``), never with 1. Their errors are of
    the sampling of the functions' frequencies; the functions themselves are taken as given.

    Attributes:
        spearman: Spearman's ρ; NaN with fewer than 3 functions.
        kendall: Kendall's τ_b; likewise.
        n_functions: Functions chosen, in the mean over splits.
    """

    spearman: StudentEstimate
    kendall: StudentEstimate
    n_functions: float


def rank_correlations(
    p: Sampled,
    q: Sampled,
    *,
    least_count: float = 10,
    side: Side = "p",
    n_splits: int = 8,
    seed: int = 0,
) -> RankCorrelations:
    """Spearman's and Kendall's coefficients over functions that were found often enough.

    One half of the replicates of both sides chooses the functions (``common_functions``), the other
    measures; the coefficients are means over both directions and ``n_splits`` ways of halving. A
    function that the other side never found ranks last there. The errors are the jackknife's, over
    the replicates of both sides.

    Args:
        p: The one side, at least 4 replicates.
        q: The other side, over the same functions.
        least_count: Draws in the choosing half that make a function common.
        side: Where it must be common.
        n_splits: How often the replicates are halved anew.
        seed: Of the halves.

    Raises:
        ValueError: The tables differ, a side has fewer than 4 replicates, or a setting is not
            possible.
    """
    require_pair(p, q)
    require_side(side)
    statistic = rank_statistic(least_frequencies(p, q, least_count), side)
    over = splits(p.n_replicates, q.n_replicates, n_folds=2, n_splits=n_splits, seed=seed)
    spearman, kendall, n = cross_fitted(p, q, statistic, over).estimates()
    return RankCorrelations(spearman, kendall, float(n.value))


def rank_statistic(least: tuple[float, float], side: Side) -> Statistic:
    """(ρ, τ_b, number of functions) over ``common_functions``, as a statistic of ``cross_fitted``."""

    def statistic(choose: Part, measure: Part) -> Float[np.ndarray, " 3"]:
        among = common_functions(choose, least, side)
        # Equal counts are summed in different order; rounding keeps them tied.
        x, y = np.round(measure.p[among], 13), np.round(measure.q[among], 13)
        if len(x) < _FEWEST:
            return np.array([np.nan, np.nan, len(x)])
        # Its p-value, which is not used, would take longer than the coefficient by the exact method.
        tau = stats.kendalltau(x, y, method="asymptotic").statistic
        return np.array([spearman(x, y), float(tau), len(x)])

    return statistic


def spearman(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> float:
    """Pearson's correlation of the mid-ranks; NaN where one side is constant."""
    a, b = (stats.rankdata(values) - (len(values) + 1) / 2 for values in (x, y))
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm > 0 else float("nan")
