"""Bootstrap deviations of a curve from the replicates it was measured with."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats


@dataclass(frozen=True)
class Resampled:
    """How far the mean curve moves in every resample, by what is resampled.

    Attributes:
        parts: Pairs of deviations (bootstrap, complexity) and the number of rows they come from.
    """

    parts: Sequence[tuple[Float[np.ndarray, "bootstrap complexity"], int]]

    def deviations(self, level: float | None) -> Float[np.ndarray, "bootstrap complexity"]:
        """Deviations of the mean curve, one row a resample: the sum over the parts.

        The part of m rows is widened by √(m/(m − 1))·t_{m−1}(q)/z(q) at the quantile
        q = (1 + level)/2, so that few rows give intervals as wide as Student's. With ``level=None``
        only by √(m/(m − 1)): the standard deviation of the result is then the standard error.
        """
        return np.sum([_widening(m, level) * moved for moved, m in self.parts], axis=0)


def resample(
    replicates: Float[np.ndarray, "..."], *, n_bootstrap: int = 2000, seed: int = 0
) -> Resampled:
    """Resample what varies and return how far the mean curve moves.

    What is resampled depends on the axes:

    - (replicate, complexity): the replicates (seeds, chains).
    - (replicate, complexity, point): the replicates, and, independently, the test points, whose
      deviations add up. (The interaction of the two is counted twice, which is conservative.)
    - (split, replicate, complexity, point): the data splits, each with everything inside it. With
      one split, as above.

    m rows are drawn with replacement from m. Every kind of row has a random stream of its own, so
    that curves measured on the same test points move together: that pairs the arms.

    Args:
        replicates: Losses; averaging over all axes but complexity gives the curve.
        n_bootstrap: Resamples.
        seed: Same seed, same resamples.

    Raises:
        ValueError: The number of axes is not 2, 3 or 4, or something has fewer than two rows.
    """
    replicates = np.asarray(replicates, dtype=np.float64)
    if replicates.ndim not in (2, 3, 4):
        raise ValueError(
            f"replicates has {replicates.ndim} axes; pass (replicate, complexity), (replicate, "
            "complexity, point) or (split, replicate, complexity, point)."
        )
    split_stream, replicate_stream, point_stream = np.random.default_rng(seed).spawn(3)
    if replicates.ndim == 4:
        if len(replicates) > 1:
            by_split = replicates.mean(axis=(1, 3))
            return Resampled([_moved("splits", by_split, split_stream, n_bootstrap)])
        replicates = replicates[0]
    by_replicate = replicates if replicates.ndim == 2 else replicates.mean(axis=2)
    parts = [_moved("replicates", by_replicate, replicate_stream, n_bootstrap)]
    if replicates.ndim == 3:
        by_point = replicates.mean(axis=0).T
        parts.append(_moved("test points", by_point, point_stream, n_bootstrap))
    return Resampled(parts)


def _moved(
    name: str, rows: np.ndarray, rng: np.random.Generator, n_bootstrap: int
) -> tuple[np.ndarray, int]:
    m = len(rows)
    if m < 2:
        raise ValueError(f"there are {m} {name}; an interval needs at least 2.")
    counts = rng.multinomial(m, np.full(m, 1 / m), size=n_bootstrap)
    return (counts / m - 1 / m) @ rows, m


def _widening(m: int, level: float | None) -> float:
    factor = (m / (m - 1)) ** 0.5
    if level is None:
        return factor
    q = (1 + level) / 2
    return factor * float(stats.t.ppf(q, m - 1) / stats.norm.ppf(q))
