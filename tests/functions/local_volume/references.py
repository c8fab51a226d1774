"""Exact masses of quadratic basins, computed by another way."""

import numpy as np
from scipy import special, stats


def log_mass_of_an_ellipsoid(curvatures: np.ndarray, cutoff: float, n_terms: int = 1500) -> float:
    """log P(½ Σ h_j x_j² ≤ c), x ~ N(0, I), by the series of Ruben (1962), all of whose terms are positive."""
    h, d = np.asarray(curvatures), len(curvatures)
    least = h.min()
    g = np.array([((1 - least / h) ** k).sum() for k in range(1, n_terms)])
    a = np.zeros(n_terms)
    a[0] = np.exp(0.5 * np.log(least / h).sum())
    for k in range(1, n_terms):
        a[k] = g[:k][::-1] @ a[:k] / (2 * k)
    with np.errstate(divide="ignore"):
        logs = np.log(a) + stats.chi2.logcdf(2 * cutoff / least, d + 2 * np.arange(n_terms))
    assert logs[-1] < logs.max() - 40, "the series needs more terms"
    return float(special.logsumexp(logs))


def log_mass_of_a_ball(square: float, dimension: int) -> float:
    """log P(|x|² ≤ square), x ~ N(0, I), for square < d: γ(s, y) = y^s e^{−y} Σ_k y^k/(s(s + 1)…(s + k))."""
    s, y, k = dimension / 2, square / 2, np.arange(2000)
    series = k * np.log(y) + special.gammaln(s) - special.gammaln(s + 1 + k)
    return float(s * np.log(y) - y - special.gammaln(s) + special.logsumexp(series))
