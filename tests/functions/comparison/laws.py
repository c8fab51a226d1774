"""Exactly known distributions over functions, ways to sample them, and binomial tolerances."""

import numpy as np

from bayes_vs_sgd.functions.comparison import Sampled


def zipf(n_functions: int, power: float = 1.0) -> np.ndarray:
    p = 1 / np.arange(1, n_functions + 1) ** power
    return p / p.sum()


def shifted(p: np.ndarray, total_variation: float) -> np.ndarray:
    """Mass moved from all other functions to some in the middle; at that total variation exactly."""
    to = np.zeros(len(p), bool)
    to[len(p) // 3 : len(p) // 3 + 5] = True
    mass = p[to].sum()
    q = p * (1 - total_variation / (1 - mass))
    q[to] = p[to] * (1 + total_variation / mass)
    return q


def drawn(
    rng: np.random.Generator, p: np.ndarray, n_replicates: int, n_draws: int, concentration: float
) -> Sampled:
    """Replicates whose draws depend on one another: of a distribution that is Dirichlet around p."""
    around = rng.gamma(concentration * p, size=(n_replicates, len(p)))
    rows = around / around.sum(axis=1, keepdims=True)
    return Sampled(np.array([rng.multinomial(n_draws, row) / n_draws for row in rows]))


def counted(
    rng: np.random.Generator, p: np.ndarray, n_replicates: int, n_draws: int, seed: int = 0
) -> Sampled:
    """Independent draws in blocks."""
    return Sampled.independent(rng.multinomial(n_draws, p), n_replicates=n_replicates, seed=seed)


def covers(hits: np.ndarray, level: float, k: float = 4) -> None:
    """Assert that intervals hold at least as often as they say, within k binomial errors."""
    share, n = np.mean(hits), len(hits)
    assert share >= level - k * (level * (1 - level) / n) ** 0.5, f"{share:.3f} of {n}"


def happens(hits: np.ndarray, probability: float, k: float = 4) -> None:
    """Assert that something happens as often as stated, within k binomial errors."""
    error = (probability * (1 - probability) / len(hits)) ** 0.5
    assert abs(np.mean(hits) - probability) <= k * error, f"{np.mean(hits):.3f} of {len(hits)}"


def mean_is(values: np.ndarray, truth: float, k: float = 4) -> None:
    """Assert that a mean over simulations lies within k standard errors of the truth."""
    values = np.asarray(values)
    sem = values.std(ddof=1) / len(values) ** 0.5
    assert abs(values.mean() - truth) <= k * sem, (
        f"{values.mean():.5f} ± {sem:.5f}, not {truth:.5f}"
    )
