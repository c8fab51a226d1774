"""The posterior mean of the test error, where it is known."""

import jax
import numpy as np
import pytest

from bayes_vs_sgd import Estimate
from bayes_vs_sgd.functions.gaussian_process import Orthant, mean_error, mean_test_error
from tests.conftest import within

from .exact import one_factor, one_factor_log_probability

LOADINGS = np.array([0.9, 0.7, 0.8, 0.5, 0.95, 0.6])
TRAIN, TEST = np.array([1, 1, -1]), np.array([-1, 1, 1])


def test_it_is_the_exact_one_of_a_single_factor() -> None:
    evidence = one_factor_log_probability(LOADINGS[:3], TRAIN)
    wrong = [
        one_factor_log_probability(LOADINGS[[0, 1, 2, 3 + i]], np.append(TRAIN, -TEST[i]))
        for i in range(3)
    ]
    exact = np.exp(np.array(wrong) - evidence).mean()
    found, orthants = mean_test_error(
        jax.random.key(0), one_factor(LOADINGS), TRAIN, TEST, n_draws=4000
    )
    assert all(orthant.trusted.all() for orthant in orthants)
    assert 0 < found.sem < 0.02 * exact
    within(found.value, exact, found.sem)


def test_its_error_is_that_of_the_two_orthants(monkeypatch: pytest.MonkeyPatch) -> None:
    """Z = .3 for a right row and .1 for a wrong one: a quarter is wrong, ± ¼·¾·√(.1² + .2²) a row."""
    log_probability = Estimate(np.log([0.3, 0.1]), np.array([0.1, 0.2]))
    fixed = Orthant(log_probability, np.array([500.0, 100.0]), np.zeros(2), 10)
    monkeypatch.setattr(mean_error, "orthant_probability", lambda *_, **__: fixed)
    found, orthants = mean_test_error(jax.random.key(0), one_factor(LOADINGS), TRAIN, TEST)
    assert found.value == pytest.approx(0.25)
    assert found.sem == pytest.approx(0.25 * 0.75 * np.hypot(0.1, 0.2) / np.sqrt(3))
    assert orthants == [fixed] * 3
