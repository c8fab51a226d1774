"""Kernel matrices in blocks."""

import numpy as np
import pytest

from bayes_vs_sgd.functions.kernels import (
    Architecture,
    Convolutional,
    FullyConnected,
    kernel_matrices,
)

X = np.random.default_rng(0).normal(size=(7, 2, 3, 3)).astype(np.float32)
ARCHITECTURES = [
    FullyConnected(2, 1.3, 0.4),
    Convolutional(1, 1.3, 0.4, readout="pool"),
]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_blocks_make_the_whole_and_it_is_symmetric(architecture: Architecture) -> None:
    whole, blocks = kernel_matrices(architecture, X), kernel_matrices(architecture, X, batch_size=3)
    cross = kernel_matrices(architecture, X[:2], X, batch_size=3)
    for k, b, c in zip(whole, blocks, cross, strict=True):
        np.testing.assert_array_equal(b, b.T)
        np.testing.assert_allclose(b, k, rtol=1e-12)
        np.testing.assert_allclose(c, k[:2], rtol=1e-7)


def test_they_are_float64_although_jax_is_not() -> None:
    found = kernel_matrices(FullyConnected(0, 1.0, 0.0), X).nngp
    flat = X.reshape(7, -1).astype(np.float64)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, flat @ flat.T / 18, rtol=1e-13)


def test_the_diagonal_is_that_of_each_row_with_itself() -> None:
    """Rounding must not make the angle between a row and itself 1e-8 in place of 0."""
    flat = X.reshape(7, -1).astype(np.float64)
    found = kernel_matrices(FullyConnected(3, 2**0.5, 0.0), np.concatenate([flat, flat]))
    exact = 8 * (flat**2).mean(axis=1)
    np.testing.assert_allclose(np.diag(found.ntk), np.tile(exact, 2), rtol=1e-12)
    np.testing.assert_allclose(np.diag(found.ntk[:7, 7:]), np.diag(found.ntk)[:7], rtol=1e-12)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"x": X[:0]}, "x has 0 rows"),
        ({"x": X, "y": X[:, :1]}, r"rows of shape \(2, 3, 3\) and y of \(1, 3, 3\)"),
        ({"x": X, "batch_size": 0}, "batch_size=0"),
    ],
)
def test_what_makes_no_matrix_is_refused(given: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kernel_matrices(FullyConnected(), **given)
