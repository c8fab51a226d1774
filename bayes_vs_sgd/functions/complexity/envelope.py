"""The upper envelope of probability against complexity (the coding theorem's bound)."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int, Num

from ...checks import require_count
from ...types import Estimate
from .counts import SeenFunctions, require_resamples, seen_functions


@dataclass(frozen=True)
class Envelope:
    """The bound log₂ P(f) ≤ −a·K(f) − b, fitted from above.

    Attributes:
        slope: a ≥ 0, bits of probability for a unit of complexity.
        intercept: b, in bits.
        complexities: The distinct complexities that counted, ascending, shape (n_complexities,).
        log2_maxima: log₂ of the largest observed P at each.
        mean_excess: Mean over these of how far the line is above, in bits.
        n_functions: How many functions counted.
        resampled: (a, b) in every resample; their covariance is that of the estimates.
        n_failed: Resamples without two complexities that count; they are left out.
    """

    slope: Estimate
    intercept: Estimate
    complexities: Float[np.ndarray, " n_complexities"]
    log2_maxima: Float[np.ndarray, " n_complexities"]
    mean_excess: float
    n_functions: int
    resampled: Float[np.ndarray, "n_resamples 2"] = field(repr=False)
    n_failed: int = 0

    def log2_bound(self, complexity: Num[np.ndarray, " n"]) -> Estimate:
        """−a·K − b with its standard error, from the resamples of both.

        Args:
            complexity: K, shape (n,).
        """
        k = np.asarray(complexity, dtype=np.float64)
        lines = -self.resampled[:, :1] * k - self.resampled[:, 1:]
        return Estimate(-self.slope.value * k - self.intercept.value, lines.std(axis=0, ddof=1))

    @property
    def bias(self) -> tuple[float, float]:
        """Mean of the resamples of a and of b less the estimates: what noise in the counts adds.

        It is not taken off. Where it is no small part of a standard error, the maxima are of functions
        seen too few times: raise ``least_count`` or draw more.
        """
        a, b = self.resampled.mean(axis=0)
        return float(a - self.slope.value), float(b - self.intercept.value)


def levin_envelope(
    counts: Int[np.ndarray, " n_functions"],
    n_total: int,
    complexities: Num[np.ndarray, " n_functions"],
    *,
    least_count: int = 10,
    n_bootstrap: int = 500,
    seed: int = 0,
) -> Envelope:
    """The lowest line above log₂ P(f) against K(f): log₂ P(f) ≤ −a·K(f) − b.

    Theory bounds P from above by 2^(−aK − b) and lets functions lie far below, so the line is an
    upper envelope and no regression. With P = counts/n_total, k_1 < … < k_m the distinct complexities
    of the functions seen at least ``least_count`` times and M_j the maximum of log₂ P at k_j:

        minimise (1/m)·Σ_j (−a·k_j − b − M_j)  under  −a·k_j − b ≥ M_j for all j, a ≥ 0,

    a linear programme; of several solutions, the least a. Every complexity weighs the same, however
    many functions have it. The minimum is the edge of the upper hull of the points (k_j, M_j) that
    passes over the mean complexity, or the horizontal through the highest point if that edge rises.

    Standard errors are standard deviations over resamples of all counts, Multinomial(n_total,
    counts/n_total), with the selection and the fit done again in each. They are right where the line
    passes over the same two complexities in all resamples, and up to 30 % too large where it does
    not. Two biases remain, and both make the line too flat. The maximum over functions whose log₂ P
    has an error, 1.44/√count bits, is too high, most where many functions were seen few times: by
    one standard error of a where twelve maxima are on one line (``bias`` shows what the noise of a
    resample adds). And a complexity counts only if some function of it was seen often enough, so
    that no point is below log₂(least_count/n_total): the complex end depends on ``n_total``.

    Source: Dingle, Camargo & Louis 2018, "Input–output maps are strongly biased towards simple
    outputs"; Valle-Pérez, Camargo & Louis 2019 (arXiv 1805.08522).

    Args:
        counts: How often every function was seen; its entries are distinct functions.
        n_total: Draws in all, those of functions that are not listed included.
        complexities: K of every function.
        least_count: Functions seen less often do not count. At 10 the error of log₂ P is 0.46 bits.
        n_bootstrap: Resamples.
        seed: Same seed, same resamples.

    Raises:
        ValueError: A count is not possible, the arrays do not fit one another, or fewer than two
            complexities count.
    """
    require_count("n_bootstrap", n_bootstrap, least=2)
    seen = seen_functions(counts, n_total, complexities, least_count=least_count)
    levels = _Levels.of(seen)
    k, maxima = levels.maxima(seen.counts)
    a, b = lowest_line(k, maxima)
    lines = [levels.line(resample) for resample in seen.resamples(n_bootstrap, seed)]
    resampled = np.array([line for line in lines if line is not None])
    require_resamples(len(resampled), n_bootstrap)
    sem = resampled.std(axis=0, ddof=1)
    return Envelope(
        slope=Estimate(a, float(sem[0])),
        intercept=Estimate(b, float(sem[1])),
        complexities=k,
        log2_maxima=maxima,
        mean_excess=float((-a * k - b - maxima).mean()),
        n_functions=seen.n_counted,
        resampled=resampled,
        n_failed=n_bootstrap - len(resampled),
    )


def lowest_line(
    complexities: Num[np.ndarray, " n"], heights: Num[np.ndarray, " n"]
) -> tuple[float, float]:
    """(a, b) of the line −a·k − b above all points with the least mean excess, a ≥ 0; then the least a.

    Args:
        complexities: k, ascending and distinct, at least two.
        heights: What the line must not be under.
    """
    hull = _upper_hull(complexities, heights)
    k, height = complexities[hull], heights[hull]
    slopes = np.diff(height) / np.diff(k)
    middle = complexities.mean()
    # Where the mean is at a corner both edges have the least excess: the left one falls less. The
    # mean of floats may be off its corner by some units of the last digit.
    edge = np.searchsorted(k[1:-1], middle - 1e-9 * (k[-1] - k[0]))
    if slopes[edge] >= 0:
        return 0.0, -float(heights.max())
    return -float(slopes[edge]), float(slopes[edge] * k[edge] - height[edge])


def _upper_hull(x: np.ndarray, y: np.ndarray) -> list[int]:
    """Corners of the upper convex hull of points with ascending x (Andrew 1979)."""
    hull: list[int] = []
    for i in range(len(x)):
        while len(hull) > 1:
            j, previous = hull[-1], hull[-2]
            rise = (y[j] - y[previous]) * (x[i] - x[previous])
            if rise > (y[i] - y[previous]) * (x[j] - x[previous]):
                break
            hull.pop()
        hull.append(i)
    return hull


@dataclass(frozen=True)
class _Levels:
    """The functions in the order of their complexity, to take maxima at each complexity."""

    seen: SeenFunctions
    order: np.ndarray
    starts: np.ndarray
    complexities: np.ndarray

    @classmethod
    def of(cls, seen: SeenFunctions) -> "_Levels":
        order = np.argsort(seen.complexities, kind="stable")
        values, starts = np.unique(seen.complexities[order], return_index=True)
        return cls(seen, order, starts, values)

    def maxima(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The complexities that count, and log₂ of the largest P at each."""
        largest = np.maximum.reduceat(counts[self.order], self.starts)
        counted = self.seen.counted(largest)
        return self.complexities[counted], np.log2(largest[counted] / self.seen.n_total)

    def line(self, counts: np.ndarray) -> tuple[float, float] | None:
        """The lowest line, or None where fewer than two complexities count."""
        k, maxima = self.maxima(counts)
        return lowest_line(k, maxima) if len(k) > 1 else None
