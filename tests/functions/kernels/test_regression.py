"""Gaussian process regression against regression on weights."""

import numpy as np
import pytest

from bayes_vs_sgd.functions.kernels import kernel_regression

RNG = np.random.default_rng(0)
X, TEST = RNG.normal(size=(6, 3)), RNG.normal(size=(4, 3))
Y = RNG.normal(size=(6, 2))


def test_a_linear_kernel_is_bayesian_linear_regression() -> None:
    """On weights: covariance (I + XᵀX/σ²)⁻¹ and mean covariance·Xᵀy/σ²."""
    noise = 0.3
    found = kernel_regression(X @ X.T, TEST @ X.T, TEST @ TEST.T, Y, noise_std=noise)
    covariance = np.linalg.inv(np.eye(3) + X.T @ X / noise**2)
    np.testing.assert_allclose(found.mean, TEST @ covariance @ X.T @ Y / noise**2, rtol=1e-9)
    np.testing.assert_allclose(found.covariance, TEST @ covariance @ TEST.T, rtol=1e-8)
    np.testing.assert_allclose(found.std**2, np.diag(found.covariance), rtol=1e-9)


def test_without_noise_it_interpolates_and_is_certain() -> None:
    kernel = np.exp(-((X[:, None] - X) ** 2).sum(axis=2))
    found = kernel_regression(kernel, kernel, kernel, Y[:, 0], noise_std=0.0)
    np.testing.assert_allclose(found.mean, Y[:, 0], rtol=1e-10)
    np.testing.assert_allclose(found.std, 0, atol=1e-7)


def test_with_endless_noise_it_is_the_prior() -> None:
    found = kernel_regression(X @ X.T, TEST @ X.T, TEST @ TEST.T, Y, noise_std=1e6)
    np.testing.assert_allclose(found.mean, 0, atol=1e-9)
    np.testing.assert_allclose(found.covariance, TEST @ TEST.T, rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noise_std": -1.0}, "noise_std=-1.0"),
        ({"noise_std": 0.0}, "singular to rounding"),
        ({"train": np.ones((5, 6))}, r"train has shape \(5, 6\)"),
        ({"train": np.full((6, 6), np.nan)}, "NaN"),
        ({"train": np.arange(36.0).reshape(6, 6)}, "not symmetric"),
        ({"cross": np.ones((4, 5))}, r"cross has shape \(4, 5\)"),
        ({"test": np.ones((3, 3))}, r"test has shape \(3, 3\)"),
        ({"y": np.ones((6, 1, 1))}, r"y has shape \(6, 1, 1\)"),
    ],
)
def test_kernels_that_do_not_fit_are_refused(change: dict, message: str) -> None:
    given = {"train": X @ X.T, "cross": TEST @ X.T, "test": TEST @ TEST.T, "y": Y, "noise_std": 0.1}
    with pytest.raises(ValueError, match=message):
        kernel_regression(**(given | change))
