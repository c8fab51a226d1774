"""Exact draws of a Gaussian process under the 0/1 likelihood, beside orthants, angles and plain draws."""

import jax
import numpy as np
import pytest

from bayes_vs_sgd.data.boolean import boolean_inputs
from bayes_vs_sgd.functions import FunctionPosterior, kernels
from bayes_vs_sgd.functions.gaussian_process import (
    function_probabilities,
    gaussian_process_posterior,
)

CLASSES = np.array([0, 0, 1, 0, 1, 0, 1, 1])


def nngp() -> np.ndarray:
    return kernels.kernel_matrices(kernels.FullyConnected(2), boolean_inputs(3)).nngp


def posterior(kernel: np.ndarray, classes: np.ndarray, **settings: int) -> FunctionPosterior:
    return gaussian_process_posterior(
        jax.random.key(0), kernel, 2 * classes - 1, **{"n_draws": 4000, **settings}
    )


def test_functions_have_the_probabilities_of_their_orthants() -> None:
    found = posterior(3.0 * nngp(), CLASSES[:5])
    assert not found.doubts
    exact = function_probabilities(
        jax.random.key(1), nngp(), 2 * CLASSES[:5] - 1, 2 * found.patterns.astype(int) - 1
    )
    evidence = exact.evidence.log_probability
    apart = found.log_evidence.value - evidence.value
    assert abs(apart) < 4 * np.hypot(found.log_evidence.sem, evidence.sem)
    p = np.exp(exact.log_probability.value)
    z = (found.probability.value - p) / np.hypot(
        found.probability.sem, p * exact.log_probability.sem
    )
    assert p.sum() == pytest.approx(1, abs=0.02)
    assert np.mean(z[p > 0.01] ** 2) < 3


def test_functions_are_those_of_plain_draws_that_fit() -> None:
    """Where inputs differ in how they hang together, so that their order and signs count."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(7, 5))
    kernel, classes = features @ features.T + 0.1 * np.eye(7), np.array([0, 1, 1, 0])
    found = posterior(kernel, classes)
    drawn = rng.normal(size=(400_000, 7)) @ np.linalg.cholesky(kernel).T > 0
    fits = drawn[(drawn[:, :4] == classes).all(axis=1)][:, 4:]
    assert abs(found.log_evidence.value - np.log(len(fits) / len(drawn))) < 5 / np.sqrt(len(fits))
    share = np.array([(fits == f).all(axis=1).mean() for f in found.patterns])
    sem = np.sqrt(share * (1 - share) / len(fits))
    z = (found.probability.value - share) / np.hypot(sem, found.probability.sem)
    assert share.sum() == pytest.approx(1)
    assert np.mean(z[share > 0.01] ** 2) < 3


def test_few_effective_draws_are_doubted() -> None:
    assert "fewer than 200 effective draws" in " ".join(
        posterior(nngp(), CLASSES[:5], n_draws=100).doubts
    )


def test_a_kernel_without_test_inputs_is_refused() -> None:
    with pytest.raises(ValueError, match="training inputs followed by test inputs"):
        posterior(np.eye(2), np.array([0, 1]))
