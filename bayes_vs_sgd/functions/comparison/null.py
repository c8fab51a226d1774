"""What two samples of one and the same distribution look like when they are compared."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from ...checks import require_count
from .common import Side, least_frequencies, require_side
from .distances import plug_in_distances
from .ranks import rank_statistic
from .sampled import Sampled, require_pair
from .slope import LEAST_MEASURE, slope_statistic
from .splits import Statistic, cross_fitted_value, splits
from .table import clopper_pearson

Measure = Literal["total_variation", "jensen_shannon", "spearman", "slope"]
MEASURES: tuple[Measure, ...] = ("total_variation", "jensen_shannon", "spearman", "slope")


@dataclass(frozen=True)
class Tail:
    """How often the null is as far out as what was observed.

    Attributes:
        share: Share of the null's values that are.
        interval: Exact interval of that share for the number of values drawn. Values of one set of
            replicates are not independent of one another, so it is the error of the drawing alone.
        n: Values.
    """

    share: float
    interval: tuple[float, float]
    n: int


@dataclass(frozen=True)
class Null:
    """Statistics of pairs of samples from one distribution, each shape (n_null,).

    Attributes:
        total_variation: Plug-in total variation.
        jensen_shannon: Plug-in Jensen–Shannon divergence, nats.
        spearman: Rank correlation, as ``rank_correlations`` has it.
        slope: Slope of the logarithms, as ``log_relation`` has it; NaN with too few replicates.
        n_draws: Draws of the second sample; None for two halves.
    """

    total_variation: Float[np.ndarray, " n_null"]
    jensen_shannon: Float[np.ndarray, " n_null"]
    spearman: Float[np.ndarray, " n_null"]
    slope: Float[np.ndarray, " n_null"]
    n_draws: int | None

    def tail(self, measure: Measure, observed: float, *, level: float = 0.95) -> Tail:
        """Share of the null that is at least as far out as what was observed.

        Far out is a large distance, a low correlation, a large |log slope|. Values that are NaN do
        not count.

        Raises:
            ValueError: ``measure`` is unknown.
        """
        values = self._finite(measure)
        if len(values) == 0 or not np.isfinite(observed):
            return Tail(float("nan"), (float("nan"), float("nan")), len(values))
        n_far = int((_farness(measure, values) >= _farness(measure, np.array(observed))).sum())
        lower, upper = clopper_pearson(np.array(n_far), len(values), level=level)
        return Tail(n_far / len(values), (float(lower), float(upper)), len(values))

    def quantiles(self, measure: Measure, *, level: float = 0.95) -> tuple[float, float, float]:
        """Quantiles (1 − level)/2, ½ and (1 + level)/2 of the null; NaN where it has no values.

        Raises:
            ValueError: ``measure`` is unknown.
        """
        values = self._finite(measure)
        if len(values) == 0:
            return float("nan"), float("nan"), float("nan")
        lower, middle, upper = np.quantile(values, [(1 - level) / 2, 0.5, (1 + level) / 2])
        return float(lower), float(middle), float(upper)

    def _finite(self, measure: Measure) -> Float[np.ndarray, " n"]:
        if measure not in MEASURES:
            raise ValueError(
                f"measure={measure!r} is not known; pass one of {', '.join(MEASURES)}."
            )
        values: Float[np.ndarray, " n"] = getattr(self, measure)
        return values[np.isfinite(values)]


def null(
    p: Sampled,
    n_draws: int | None = None,
    *,
    n_null: int = 100,
    least_count: float = 10,
    side: Side = "p",
    seed: int = 0,
) -> Null:
    """Compare one distribution with itself.

    The replicates are halved at random, ``n_null`` times. Without ``n_draws`` the halves are
    compared with one another; with it, one half with that many independent draws from the other, as
    many as SGD made runs, say, the same number from each of its replicates.

    Each value stands for half the replicates against the other half, and so for more noise than all
    of them have: expected distances are larger, correlations lower than for equal distributions
    measured with all. To lie within this null is thus a weak statement, to lie outside it a strong
    one. ``equality`` is the test.

    Args:
        p: Replicates of the distribution, at least 4.
        n_draws: Draws of the second sample.
        n_null: Pairs.
        least_count: As in ``rank_correlations`` and ``log_relation``.
        side: As in ``rank_correlations``.
        seed: Of the halves and the draws.

    Raises:
        ValueError: There are fewer than 4 replicates, or a count is not possible.
    """
    require_pair(p, p)
    require_side(side)
    require_count("n_null", n_null)
    # The same functions are common as in a comparison of all replicates.
    least_p, least_q = least_frequencies(p, p, least_count)
    if n_draws is not None:
        require_count("n_draws", n_draws, least=p.n_replicates)
        least_q = 2 * least_count / n_draws
    rng, values = np.random.default_rng(seed), np.empty((n_null, 4))
    for row in values:
        first = rng.permutation(p.n_replicates) % 2 == 0
        one, other = p.subset(first), p.subset(~first)
        if n_draws is not None:
            other = _drawn(rng, other, n_draws)
        row[:2] = plug_in_distances(one.probabilities, other.probabilities)
        row[2] = _value(one, other, rank_statistic((least_p, least_q), side), 1)
        line = slope_statistic(one, other, (least_p, least_q))
        row[3] = _value(one, other, line, LEAST_MEASURE)
    return Null(values[:, 0], values[:, 1], values[:, 2], values[:, 3], n_draws)


def _farness(measure: Measure, values: np.ndarray) -> np.ndarray:
    """The larger, the less like equality."""
    if measure == "spearman":
        return -values
    return np.abs(np.log(np.abs(values))) if measure == "slope" else values


def _value(one: Sampled, other: Sampled, statistic: Statistic, least_measure: int) -> float:
    over = splits(one.n_replicates, other.n_replicates, n_folds=2, n_splits=1, seed=0)
    found = cross_fitted_value(one, other, statistic, over, least_measure=least_measure)
    return float("nan") if found is None else float(found[0])


def _drawn(rng: np.random.Generator, sampled: Sampled, n_draws: int) -> Sampled:
    """Draws from every replicate, so that the noise of the replicates shows in their spread."""
    n_replicates = sampled.n_replicates
    n_each = np.diff(np.arange(n_replicates + 1) * n_draws // n_replicates)
    # Rounding may leave a sum above 1 by more than NumPy allows.
    rows = sampled.weights / sampled.weights.sum(axis=1, keepdims=True)
    counts = np.array([rng.multinomial(n, row) for n, row in zip(n_each, rows, strict=True)])
    return Sampled(counts / n_each[:, None], log_evidences=sampled.log_evidences)
