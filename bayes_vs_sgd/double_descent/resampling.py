"""Bootstrap deviations of a curve from the replicates it was measured with."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

Center = Literal["mean", "median"]


@dataclass(frozen=True)
class Resampled:
    """How far the curve moves in every resample, by what is resampled.

    Attributes:
        parts: Pairs of deviations (bootstrap, complexity) and the number of rows they come from.
    """

    parts: Sequence[tuple[Float[np.ndarray, "bootstrap complexity"], int]]

    def deviations(self, level: float | None) -> Float[np.ndarray, "bootstrap complexity"]:
        """Deviations of the curve, one row a resample: the sum over the parts.

        The part of m rows is widened by √(m/(m − 1))·t_{m−1}(q)/z(q) at the quantile
        q = (1 + level)/2, so that few rows give intervals as wide as Student's. With ``level=None``
        only by √(m/(m − 1)): the standard deviation of the result is then the standard error.
        """
        return np.sum([_widening(m, level) * moved for moved, m in self.parts], axis=0)


def resample(
    replicates: Float[np.ndarray, "..."],
    *,
    n_bootstrap: int = 2000,
    seed: int = 0,
    center: Center = "mean",
) -> Resampled:
    """Resample what varies and return how far the curve moves.

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
        center: What the curve is over the replicates or splits. At an interpolation threshold a
            linear model's risk has no mean over repetitions, and a median it has.

    Raises:
        ValueError: The number of axes is not 2, 3 or 4, or something has fewer than two rows.
    """
    replicates = np.asarray(replicates, dtype=np.float64)
    if replicates.ndim not in (2, 3, 4):
        raise ValueError(
            f"replicates has {replicates.ndim} axes; pass (replicate, complexity), (replicate, "
            "complexity, point) or (split, replicate, complexity, point)."
        )
    if replicates.ndim == 4:
        if len(replicates) > 1:
            by_split = replicates.mean(axis=(1, 3))
            return Resampled([_moved("splits", by_split, seed, n_bootstrap, center)])
        replicates = replicates[0]
    by_replicate = replicates if replicates.ndim == 2 else replicates.mean(axis=2)
    parts = [_moved("replicates", by_replicate, seed, n_bootstrap, center)]
    if replicates.ndim == 3:
        by_point = middle(replicates, center).T
        parts.append(_moved("test points", by_point, seed, n_bootstrap, "mean"))
    return Resampled(parts)


def middle(values: Float[np.ndarray, "row ..."], center: Center) -> Float[np.ndarray, "..."]:
    """Mean or median over the first axis."""
    return values.mean(axis=0) if center == "mean" else np.median(values, axis=0)


# The random stream of every kind of row.
_STREAMS = ("splits", "replicates", "test points")


def _moved(
    name: str, rows: np.ndarray, seed: int, n_bootstrap: int, center: Center
) -> tuple[np.ndarray, int]:
    m = len(rows)
    if m < 2:
        raise ValueError(f"there are {m} {name}; an interval needs at least 2.")
    counts = _counts(_STREAMS.index(name), m, seed, n_bootstrap)
    if center == "mean":
        return (counts / m - 1 / m) @ rows, m
    chosen = np.repeat(np.tile(np.arange(m), n_bootstrap), counts.ravel()).reshape(n_bootstrap, m)
    return np.median(rows[chosen], axis=1) - np.median(rows, axis=0), m


@lru_cache(maxsize=4)
def _counts(
    stream: int, m: int, seed: int, n_bootstrap: int
) -> Int[np.ndarray, "{n_bootstrap} {m}"]:
    """How often every row is in every resample; the same for all curves over the same rows."""
    rng = np.random.default_rng(seed).spawn(3)[stream]
    return rng.multinomial(m, np.full(m, 1 / m), size=n_bootstrap)


def _widening(m: int, level: float | None) -> float:
    factor = (m / (m - 1)) ** 0.5
    if level is None:
        return factor
    q = (1 + level) / 2
    return factor * float(stats.t.ppf(q, m - 1) / stats.norm.ppf(q))
