"""Counts of functions beside their complexities: the checks, and resamples of the counts."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from ...checks import require_count


@dataclass(frozen=True)
class SeenFunctions:
    """How often functions were seen, and their complexities; made by ``seen_functions``.

    Attributes:
        counts: How often, shape (n_functions,).
        n_total: Draws in all; those of functions that are not listed are the rest.
        complexities: K of every function, shape (n_functions,).
        least_count: Functions seen less often do not count.
    """

    counts: Int[np.ndarray, " n_functions"]
    n_total: int
    complexities: Float[np.ndarray, " n_functions"]
    least_count: int

    def counted(self, counts: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """Which of these counts are large enough."""
        return counts >= self.least_count

    @property
    def n_counted(self) -> int:
        """How many functions were seen often enough."""
        return int(self.counted(self.counts).sum())

    def resamples(self, n_bootstrap: int, seed: int) -> Iterator[Int[np.ndarray, " n_functions"]]:
        """Counts of ``n_total`` draws from the observed frequencies: Multinomial(n_total, counts/n_total).

        What is not listed is one more category. The selection by ``least_count`` is left to the
        caller, so that functions near it enter and leave.
        """
        rest = self.n_total - int(self.counts.sum())
        shares = np.append(self.counts, rest) / self.n_total
        rng = np.random.default_rng(seed)
        for _ in range(n_bootstrap):
            yield rng.multinomial(self.n_total, shares)[:-1]


def seen_functions(
    counts: Int[np.ndarray, " n_functions"],
    n_total: int,
    complexities: Num[np.ndarray, " n_functions"],
    *,
    least_count: int,
) -> SeenFunctions:
    """The functions that can count, checked, with complexities rounded to 9 digits after the point.

    Functions seen less often than a quarter of ``least_count`` join the rest: a resample would
    hardly ever lift one of them to ``least_count``, and most functions are such.

    Raises:
        ValueError: The arrays are not of one length, a count is no integer or negative, the counts
            exceed ``n_total``, a complexity is not finite, or fewer than two complexities count.
    """
    require_count("least_count", least_count)
    require_count("n_total", n_total)
    counts, complexities = np.asarray(counts), np.asarray(complexities, dtype=np.float64)
    _check_arrays(counts, n_total, complexities)
    counts = counts.astype(np.int64)
    # Equal complexities that were summed in another order must be equal.
    complexities = complexities.round(9)
    n_levels = len(np.unique(complexities[counts >= least_count]))
    if n_levels < 2:
        raise ValueError(
            f"the functions seen at least least_count={least_count} times have {n_levels} distinct "
            "complexities, and at least 2 are needed; draw more functions or lower least_count."
        )
    kept = 4 * counts >= least_count
    return SeenFunctions(counts[kept], n_total, complexities[kept], least_count)


def _check_arrays(counts: np.ndarray, n_total: int, complexities: np.ndarray) -> None:
    if counts.ndim != 1 or counts.shape != complexities.shape:
        raise ValueError(
            f"counts has the shape {counts.shape} and complexities {complexities.shape}; pass one of "
            "each for every function."
        )
    if not np.issubdtype(counts.dtype, np.integer):
        raise ValueError(f"counts is {counts.dtype}; pass integers.")
    if (counts < 0).any():
        raise ValueError(f"counts has the negative entry {counts.min()}; pass how often.")
    if counts.sum() > n_total:
        raise ValueError(
            f"n_total={n_total} is less than the sum {counts.sum()} of the counts; pass all draws."
        )
    if not np.isfinite(complexities).all():
        raise ValueError("complexities holds values that are NaN or infinite; leave them out.")


def require_resamples(n_found: int, n_bootstrap: int) -> None:
    """Refuse a standard error from fewer than two resamples.

    Raises:
        ValueError: There are none to speak of.
    """
    if n_found < 2:
        raise ValueError(
            f"of n_bootstrap={n_bootstrap} resamples {n_found} have enough functions that count; "
            "draw more functions, or raise n_bootstrap."
        )
