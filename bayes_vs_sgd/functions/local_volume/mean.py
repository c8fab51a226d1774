"""The logarithm of a mean of positive terms, with its errors and how many terms carry it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ...types import Estimate

_N_BOOTSTRAP = 1000
# Terms that are held at once.
_ENTRIES = 2**22


@dataclass(frozen=True)
class LogMean:
    """log[(1/n) Σ_k exp(l_k)].

    Attributes:
        estimate: The value and its standard error by the delta method, sd(w)/(mean(w)·√n), w = exp(l).
        bootstrap_sem: The standard deviation over resamples of the terms.
        interval: The central 95 % of the resamples.
        effective: (Σw)²/Σw², the number of terms that carry the mean.
    """

    estimate: Estimate
    bootstrap_sem: float
    interval: tuple[float, float]
    effective: float


def log_mean_exp(
    log_terms: Float[np.ndarray, " n"], rng: np.random.Generator, *, n_bootstrap: int = _N_BOOTSTRAP
) -> LogMean:
    """The log of the mean of exp(l_k) over independent terms; a term of −∞ is a 0.

    Where few terms carry the mean both errors are too small, and the value most often too low.

    Args:
        log_terms: l, at least two.
        rng: Of the resamples.
        n_bootstrap: Resamples.
    """
    top = log_terms.max()
    if not np.isfinite(top):
        return LogMean(Estimate(float(top), np.nan), np.nan, (np.nan, np.nan), 0.0)
    weights, n = np.exp(log_terms - top), len(log_terms)
    mean = weights.mean()
    sem = weights.std(ddof=1) / np.sqrt(n) / mean
    with np.errstate(divide="ignore"):
        resampled = top + np.log(_resampled_means(weights, rng, n_bootstrap))
    low, high = np.quantile(resampled, (0.025, 0.975), method="inverted_cdf")
    spread = resampled.std(ddof=1) if np.isfinite(resampled).all() else np.inf
    effective = weights.sum() ** 2 / (weights**2).sum()
    value = float(top + np.log(mean))
    return LogMean(
        Estimate(value, float(sem)), float(spread), (float(low), float(high)), float(effective)
    )


def _resampled_means(
    weights: Float[np.ndarray, " n"], rng: np.random.Generator, n_resamples: int
) -> Float[np.ndarray, " resamples"]:
    n = len(weights)
    at_once = max(1, min(n_resamples, _ENTRIES // n))
    means = [
        weights[rng.integers(n, size=(min(at_once, n_resamples - i), n))].mean(axis=1)
        for i in range(0, n_resamples, at_once)
    ]
    return np.concatenate(means)
