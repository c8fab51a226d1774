"""Every function of the perceptron on {0, 1}ⁿ is found by draws of the prior, and no other."""

from itertools import product

import jax
import numpy as np
import pytest

import models
from bayes_vs_sgd import Network, data, functions, priors


def with_whole_weights(n: int, largest: int, *, bias: bool) -> np.ndarray:
    """The packed functions 1[w·x + b > 0] of all whole w and b up to ``largest``, without any rounding."""
    axes = [np.arange(-largest, largest + 1)] * (n + bias)
    weights = np.array(list(product(*axes)))
    x = data.boolean_inputs(n).astype(int)
    if bias:
        x = np.column_stack([x, np.ones(len(x), int)])
    return functions.FunctionCounts.of(functions.pack_bits(weights @ x.T > 0), 2**n).words


@pytest.mark.parametrize(
    ("n", "bias", "largest", "n_draws", "wanted"),
    [(5, False, 5, 4_000_000, 11_292), (4, True, 5, 2_000_000, 1882)],
)
def test_all_functions_of_the_perceptron_are_found_and_no_others(
    n: int, bias: bool, largest: int, n_draws: int, wanted: int
) -> None:
    """11,292 without bias for n = 5, and 1,882 with bias for n = 4.

    Every one is found ten times at least, so that none is missing by chance. Whole weights reach the same
    functions: where w·x + b is 0, which counts as below 0, it is below 0 for slightly smaller w and b.
    """
    network = Network(models.Perceptron(n, bias=bias), np.zeros((1, n), np.float32))
    counts = functions.sample_prior(
        jax.random.key(0),
        network,
        priors.Normal(),
        data.boolean_inputs(n),
        n_draws=n_draws,
        progress=False,
    )
    assert counts.total == n_draws
    assert counts.n_functions == wanted
    assert counts.counts.min() >= 10
    np.testing.assert_array_equal(counts.words, with_whole_weights(n, largest, bias=bias))
