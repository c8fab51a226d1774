"""The verdict on linear models whose double descent is a theorem (Belkin, Hsu & Xu 2020)."""

import numpy as np
import pytest

from bayes_vs_sgd import double_descent

N, D, NOISE = 30, 80, 0.5
P = np.array([3, 8, 15, 22, 27, 33, 40, 60, 80])
BETA = np.full(D, 1 / D**0.5)


def expected_risk(p: int) -> float:
    """Test risk of minimum-norm least squares on p of D isotropic features."""
    used, c = p / D, 1 - p / D + NOISE**2
    if p <= N - 2:
        return c * (1 + p / (N - p - 1))
    return used * (1 - N / p) + c * (1 + N / (p - N - 1))


def risks(ridge: bool, n_repetitions: int, seed: int) -> np.ndarray:
    """Test risk (repetition, p) by minimum norm, or by the Bayes-optimal ridge."""
    rng = np.random.default_rng(seed)
    out = np.empty((n_repetitions, len(P)))
    for r in range(n_repetitions):
        x = rng.normal(size=(N, D))
        y = x @ BETA + NOISE * rng.normal(size=N)
        for k, p in enumerate(P):
            noise = NOISE**2 + (1 - p / D)
            xp = x[:, :p]
            w = (
                np.linalg.solve(xp.T @ xp + noise * D * np.eye(p), xp.T @ y)
                if ridge
                else np.linalg.pinv(xp) @ y
            )
            out[r, k] = ((w - BETA[:p]) ** 2).sum() + (1 - p / D) + NOISE**2
    return out


def test_minimum_norm_least_squares_lies_on_the_theorem_and_has_a_peak() -> None:
    found = risks(ridge=False, n_repetitions=300, seed=0)
    exact = np.array([expected_risk(p) for p in P])
    z = (found.mean(0) - exact) / (found.std(0, ddof=1) / 300**0.5)
    assert np.abs(z).max() < 5
    verdict = double_descent.peak(found.mean(0), found, complexity=P, margin=0.2)
    assert verdict.verdict == "present"
    truth = exact.max() - exact[: exact.argmax()].min()
    later = exact.max() - exact[exact.argmax() + 1 :].min()
    assert verdict.interval.lower < min(truth, later) < verdict.interval.upper


def test_bayes_optimal_ridge_has_none() -> None:
    found = risks(ridge=True, n_repetitions=60, seed=1)
    verdict = double_descent.peak(found.mean(0), found, complexity=P, margin=0.2)
    assert verdict.verdict == "absent"


@pytest.mark.slow
def test_false_verdicts_are_as_rare_as_the_level_promises() -> None:
    """200 sweeps with and 200 without a peak, ten repetitions each."""
    wrong = {"present": 0, "absent": 0}
    for i in range(200):
        without = risks(ridge=True, n_repetitions=10, seed=100 + i)
        wrong["present"] += (
            double_descent.peak(without.mean(0), without, margin=0.2).verdict == "present"
        )
        with_peak = risks(ridge=False, n_repetitions=10, seed=100 + i)
        wrong["absent"] += (
            double_descent.peak(with_peak.mean(0), with_peak, margin=0.2).verdict == "absent"
        )
    assert wrong["present"] <= 0.05 * 200
    assert wrong["absent"] <= 0.05 * 200
