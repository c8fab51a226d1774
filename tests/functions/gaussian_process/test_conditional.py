"""P(f|S) of whole functions from two evidences."""

from itertools import product

import jax
import numpy as np
import pytest

from bayes_vs_sgd.functions.gaussian_process import (
    approximate_function_probabilities,
    function_probabilities,
)
from tests.conftest import within

from .exact import one_factor, one_factor_log_probability

LOADINGS = np.array([0.9, 0.7, 0.8, 0.5, 0.95, 0.6])
TRAIN = np.array([1, 1, -1])
FUNCTIONS = np.array(list(product((-1, 1), repeat=3)))


def exact() -> np.ndarray:
    evidence = one_factor_log_probability(LOADINGS[:3], TRAIN)
    together = [np.concatenate([TRAIN, f]) for f in FUNCTIONS]
    return np.array([one_factor_log_probability(LOADINGS, f) for f in together]) - evidence


def test_functions_have_their_exact_probabilities_and_add_up_to_the_evidence() -> None:
    found = function_probabilities(jax.random.key(0), one_factor(LOADINGS), TRAIN, FUNCTIONS)
    assert found.trusted.all()
    within(found.log_probability.value, exact(), found.log_probability.sem)
    assert found.log_probability.sem.max() < 0.05
    probabilities = np.exp(found.joint.log_probability.value)
    error = np.linalg.norm(probabilities * found.joint.log_probability.sem)
    evidence = np.exp(found.evidence.log_probability.value)
    within(
        probabilities.sum(),
        evidence,
        np.hypot(error, evidence * found.evidence.log_probability.sem),
    )
    assert (found.log_probability.sem > found.joint.log_probability.sem).all()


def test_the_approximation_is_near_and_does_not_sum_to_one() -> None:
    found = approximate_function_probabilities(one_factor(LOADINGS), TRAIN, FUNCTIONS)
    assert found.converged.all()
    np.testing.assert_allclose(found.log_probability, exact(), atol=0.1)
    assert 1e-5 < abs(np.exp(found.log_probability).sum() - 1) < 0.05


@pytest.mark.parametrize(
    ("train", "functions", "message"),
    [
        (np.ones(6, dtype=int), FUNCTIONS, "train_labels has 6 entries and the kernel 6"),
        (TRAIN, FUNCTIONS[:, :2], r"functions has shape \(8, 2\)"),
        (np.array([1, 0, 1]), FUNCTIONS, "train_labels holds 0"),
    ],
)
def test_labels_of_other_inputs_are_refused(
    train: np.ndarray, functions: np.ndarray, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        approximate_function_probabilities(one_factor(LOADINGS), train, functions)
    with pytest.raises(ValueError, match=message):
        function_probabilities(jax.random.key(0), one_factor(LOADINGS), train, functions)
