"""Orthant probabilities that are known without Monte Carlo."""

import numpy as np
from scipy import integrate, special, stats


def equicorrelated(n: int, correlation: float = 0.5) -> np.ndarray:
    return np.full((n, n), correlation) + (1 - correlation) * np.eye(n)


def one_factor(loadings: np.ndarray) -> np.ndarray:
    """λλᵀ off the diagonal and ones on it."""
    return np.outer(loadings, loadings) + np.diag(1 - loadings**2)


def one_factor_log_probability(loadings: np.ndarray, signs: np.ndarray) -> float:
    """Log ∫ φ(u) Π Φ(s_i λ_i u/√(1 − λ_i²)) du: given the factor the signs are independent."""
    slopes = signs * loadings / np.sqrt(1 - loadings**2)

    def log_density(u: float) -> float:
        return float(stats.norm.logpdf(u) + special.log_ndtr(slopes * u).sum())

    highest = max(log_density(u) for u in np.linspace(-9, 9, 400))
    area, _ = integrate.quad(
        lambda u: np.exp(log_density(u) - highest), -12, 12, points=[-2, 0, 2], limit=400,
        epsabs=1e-12, epsrel=1e-10,
    )  # fmt: skip
    return highest + float(np.log(area))


def random_correlation(n: int, *, seed: int, n_features: int | None = None) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(n, n_features or n + 2))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return x @ x.T


def random_signs(n: int, *, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).choice([-1, 1], size=n)
