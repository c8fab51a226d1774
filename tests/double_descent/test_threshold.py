"""Interpolation thresholds and effective model complexity, on models where both are theorems."""

import numpy as np
import pytest
from scipy.optimize import linprog

from bayes_vs_sgd import double_descent
from bayes_vs_sgd.double_descent.theory import separable_probability


def test_the_threshold_is_the_first_complexity_that_fits() -> None:
    assert double_descent.threshold([1, 2, 4, 8], [0.5, 0.1, 0.01, 0]) == 4
    assert double_descent.threshold([1, 2], [0.5, 0.1]) is None


def test_the_interval_of_the_threshold_has_the_places_of_the_resamples() -> None:
    rng = np.random.default_rng(0)
    errors = np.array([0.5, 0.2, 0.01, 0.004, 0.0]) * rng.uniform(0.5, 1.5, (12, 5))
    found = double_descent.interpolation_threshold([1, 2, 4, 8, 16], errors)
    assert found.value in (4, 8)
    assert found.interval == (4, 8)


def test_where_nothing_fits_the_threshold_is_unknown_and_its_interval_infinite() -> None:
    found = double_descent.interpolation_threshold([1, 2, 4], np.full((4, 3), 0.3))
    assert found.value is None
    assert found.interval == (np.inf, np.inf)


def test_least_squares_fits_as_many_rows_as_it_has_features() -> None:
    """E[train MSE] = σ²(1 − p/n), so that the EMC at ε is p/(1 − ε/σ²)."""
    p, noise_std, epsilon = 20, 1.0, 0.3
    n_rows = np.array([10, 15, 20, 22, 24, 26, 28, 30, 32, 36, 40])
    rng = np.random.default_rng(0)
    errors = np.empty((200, len(n_rows)))
    for r in range(len(errors)):
        for k, n in enumerate(n_rows):
            x, y = rng.normal(size=(n, p)), noise_std * rng.normal(size=n)
            w = np.linalg.lstsq(x, y, rcond=None)[0]
            errors[r, k] = ((y - x @ w) ** 2).mean()
    mean = errors.mean(0)
    exact = np.maximum(noise_std**2 * (1 - p / n_rows), 0)
    sem = errors.std(0, ddof=1) / len(errors) ** 0.5
    assert np.all(np.abs(mean - exact) < 5 * sem + 1e-12)
    found = double_descent.effective_model_complexity(n_rows, errors, epsilon=epsilon, level=0.99)
    assert found.interval.lower < p / (1 - epsilon) < found.interval.upper
    assert found.interval.upper - found.interval.lower < 1.5


def separable(x: np.ndarray, labels: np.ndarray) -> bool:
    """Whether a hyperplane through 0 separates the classes: margins of at least 1 are possible."""
    signs = 2 * labels - 1
    found = linprog(
        np.zeros(x.shape[1]), -signs[:, None] * x, -np.ones(len(x)), bounds=(None, None)
    )
    return found.status == 0


def test_a_linear_classifier_fits_random_labels_up_to_twice_its_features() -> None:
    """Cover's theorem: the chance that n random labels are separable is ½ at n = 2p."""
    p, n_rows = 6, np.array([6, 8, 10, 12, 14, 16, 20])
    rng = np.random.default_rng(1)
    fails = np.array(
        [
            [not separable(rng.normal(size=(n, p)), rng.integers(0, 2, n)) for n in n_rows]
            for _ in range(300)
        ],
        dtype=float,
    )
    exact = np.array([1 - separable_probability(int(n), p) for n in n_rows])
    sem = np.sqrt(exact * (1 - exact) / len(fails))
    assert np.all(np.abs(fails.mean(0) - exact) <= 5 * sem)
    found = double_descent.effective_model_complexity(n_rows, fails, epsilon=0.5, level=0.99)
    assert found.interval.lower <= 2 * p <= found.interval.upper
    assert found.interval.upper - found.interval.lower < 2


def test_a_capacity_beyond_all_that_was_tried_is_a_lower_bound() -> None:
    found = double_descent.effective_model_complexity([10, 20], np.zeros((5, 2)))
    assert found.value is None
    assert found.interval == (np.inf, np.inf)
    none = double_descent.effective_model_complexity([10, 20], np.ones((5, 2)))
    assert none.value == 0
    with pytest.raises(ValueError, match="1 replicates"):
        double_descent.effective_model_complexity([10, 20], np.zeros((1, 2)))
