"""Where a training procedure begins to fit its training data, and how many rows it can fit."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ..checks import require_fraction
from .peak import Interval

_N_BOOTSTRAP = 2000


@dataclass(frozen=True)
class Capacity:
    """Effective model complexity, or the place on an axis where it reaches the training rows.

    Attributes:
        value: The estimate; None where nothing fits, or for a capacity where all that was tried fits.
        interval: Percentiles of the resampled value; infinite on the side where resamples have none.
        epsilon: What counts as fitting.
        level: Confidence level of the interval.
    """

    value: float | None
    interval: Interval
    epsilon: float
    level: float


def threshold(
    complexity: Sequence[float], train_error: Sequence[float], epsilon: float = 0.01
) -> float | None:
    """The least complexity whose mean training error is at most ``epsilon``.

    Args:
        complexity: Increasing, shape (k,).
        train_error: Mean training error at each, shape (k,).
        epsilon: What counts as fitting (0.01 in Nakkiran et al. 2020, section 2).

    Returns:
        The complexity, or None where none fits.
    """
    require_fraction("epsilon", epsilon)
    fits = np.flatnonzero(np.asarray(train_error) <= epsilon)
    return float(complexity[fits[0]]) if len(fits) else None


def interpolation_threshold(
    complexity: Sequence[float],
    train_error: Float[np.ndarray, "replicate complexity"],
    *,
    epsilon: float = 0.01,
    level: float = 0.95,
    seed: int = 0,
) -> Capacity:
    """The least complexity at which the training rows are fitted, with an interval.

    It is where the effective model complexity reaches the number of training rows: EMC ≥ n says that
    the mean training error on n rows is at most ε. The interval has the percentiles
    (1 ∓ level)/2 of the threshold over resamples of the replicates; a resample without one counts as
    infinite.

    Args:
        complexity: Increasing, shape (k,).
        train_error: Of every replicate (seed, split), which are independent from place to place.
        epsilon: What counts as fitting.
        level: Confidence level.
        seed: Of the resamples.
    """
    of_mean = lambda mean: threshold(complexity, mean, epsilon)  # noqa: E731
    found = of_mean(np.asarray(train_error).mean(axis=0))
    again = [of_mean(mean) for mean in _means(train_error, seed)]
    values = np.array([np.inf if v is None else v for v in again])
    return Capacity(found, _percentiles(values, level), epsilon, level)


def effective_model_complexity(
    n_rows: Sequence[float],
    train_error: Float[np.ndarray, "replicate n_rows"],
    *,
    epsilon: float = 0.01,
    level: float = 0.95,
    seed: int = 0,
) -> Capacity:
    """The largest number of rows that a training procedure fits: max{n : E[train error] ≤ ε}.

    The expectation is over data, starts and batches, estimated by the mean over replicates at the n
    that were tried. Between the largest n that fits and the next one, the mean error is taken to be
    linear in n, and the value is where it crosses ε. Where the largest n tried fits, the value
    is None and only a lower bound is known: the interval ends at infinity. Where none fits it is 0.

    Args:
        n_rows: Numbers of training rows, increasing.
        train_error: Training error of every replicate at each of them.
        epsilon: What counts as fitting.
        level: Confidence level.
        seed: Of the resamples.

    Source:
        Nakkiran et al. 2020 (arXiv 1912.02292), definition 1.
    """
    require_fraction("epsilon", epsilon)
    n = np.asarray(n_rows, dtype=np.float64)
    found = _crossing(n, np.asarray(train_error).mean(axis=0), epsilon)
    values = np.array([_crossing(n, mean, epsilon) for mean in _means(train_error, seed)])
    value = None if np.isinf(found) else found
    return Capacity(value, _percentiles(values, level), epsilon, level)


def _crossing(n: np.ndarray, mean: np.ndarray, epsilon: float) -> float:
    fits = np.flatnonzero(mean <= epsilon)
    if len(fits) == 0:
        return 0.0
    last = fits[-1]
    if last == len(n) - 1:
        return np.inf
    share = (epsilon - mean[last]) / (mean[last + 1] - mean[last])
    return float(n[last] + share * (n[last + 1] - n[last]))


def _means(train_error: np.ndarray, seed: int) -> np.ndarray:
    """Resampled mean curves; places are resampled apart, because their replicates are."""
    errors = np.asarray(train_error, dtype=np.float64)
    m, k = errors.shape
    if m < 2:
        raise ValueError(f"there are {m} replicates; an interval needs at least 2.")
    rows = np.random.default_rng(seed).integers(0, m, (_N_BOOTSTRAP, m, k))
    return errors[rows, np.arange(k)].mean(axis=1)


def _percentiles(values: np.ndarray, level: float) -> Interval:
    ends = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return Interval(float(ends[0]), float(ends[1]))
