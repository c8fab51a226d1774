"""Gradient descent as a sampler of posteriors: exact where the whitened noise is a parameter."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from bayes_vs_sgd import Dataset, Network, likelihoods, sgd
from tests.conftest import within


class Measured(nn.Module):
    """Rows i as they are measured: f(x)_i = β·x_i + Σ_k loading·e_ik; row i ends with its one-hot code.

    In whitened coordinates x is τ·x and the loading is σ.
    """

    def __init__(self, n_features: int, n_rows: int, loading: float, n_terms: int = 1) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(n_features))
        self.noise = nn.Parameter(torch.zeros(n_rows, n_terms))
        self.loading = loading

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        x, code = rows.split([len(self.slope), len(self.noise)], dim=1)
        return (x @ self.slope)[:, None] + self.loading * (code @ self.noise).sum(1, keepdim=True)


def design(x: np.ndarray, loading: float, n_terms: int = 1) -> np.ndarray:
    """A with f = A·z, z = (slope, noise of row 0, noise of row 1, ...)."""
    return np.hstack([x, np.kron(np.eye(len(x)), np.full((1, n_terms), loading))])


def descend(
    x: np.ndarray, y: np.ndarray, start: np.ndarray, *, loading: float, n_terms: int = 1
) -> np.ndarray:
    """Where gradient descent on the squared error takes every z of ``start``, shape (n_seeds, ...)."""
    n_rows, n_features = x.shape
    rows = np.hstack([x, np.eye(n_rows)])
    eigenvalues = np.linalg.eigvalsh(design(x, loading, n_terms) @ design(x, loading, n_terms).T)
    rate = (eigenvalues[-1] - eigenvalues[0]) / (eigenvalues[-1] + eigenvalues[0])
    initial = {
        "slope": start[:, :n_features],
        "noise": start[:, n_features:].reshape(-1, n_rows, n_terms),
    }
    trained = sgd.train(
        Network(Measured(n_features, n_rows, loading, n_terms), rows[:1].astype(np.float32)),
        Dataset(rows, y[:, None], rows, y[:, None]),
        n_seeds=len(start),
        initial=initial,
        likelihood=likelihoods.Gaussian(1.0),
        # On a mean loss the curvatures are the eigenvalues over n_rows.
        optimizer=sgd.SGD(lr=2 * n_rows / (eigenvalues[0] + eigenvalues[-1]), momentum=0.0),
        max_epochs=int(np.ceil(np.log(1e-11) / np.log(rate))),
        progress=False,
    )
    return np.hstack([trained.last["slope"], trained.last["noise"].reshape(len(start), -1)])


def matheron(a: np.ndarray, y: np.ndarray, start: np.ndarray) -> np.ndarray:
    """z₀ + Aᵀ(AAᵀ)⁻¹(y − Az₀) for every z₀."""
    return start + np.linalg.solve(a @ a.T, (y - start @ a.T).T).T @ a


def check_normal(draws: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> None:
    """The means and covariances of draws (n, d), and the law of every coordinate."""
    n, d = draws.shape
    white = (draws - mean) @ np.linalg.inv(np.linalg.cholesky(covariance)).T
    within(white.mean(0), np.zeros(d), np.full(d, n**-0.5))
    sem = np.where(np.eye(d, dtype=bool), (2 / n) ** 0.5, n**-0.5)
    within(white.T @ white / n, np.eye(d), sem)
    assert stats.kstest(white, stats.norm.cdf).pvalue.min() > 1e-4


X = np.array([[0.8, -0.3], [-0.5, 0.9], [1.1, 0.4], [0.2, -1.2]])
Y = np.array([1.0, -0.7, 1.6, 0.3])


def test_every_network_ends_where_matherons_rule_puts_it() -> None:
    start = np.random.default_rng(0).normal(size=(5, 6))
    found = descend(1.5 * X, Y, start, loading=0.6)
    expected = matheron(design(1.5 * X, 0.6), Y, start)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)


def test_trained_networks_are_draws_of_the_posterior() -> None:
    """β ~ N(0, τ²) and noise N(0, σ²), whitened; the noise draws are those of the residuals."""
    tau, sigma, n_seeds = 1.5, 0.6, 3000
    start = np.random.default_rng(1).normal(size=(n_seeds, 6))
    slopes = tau * descend(tau * X, Y, start, loading=sigma)[:, :2]
    precision = X.T @ X / sigma**2 + np.eye(2) / tau**2
    covariance = np.linalg.inv(precision)
    check_normal(slopes, covariance @ X.T @ Y / sigma**2, covariance)


def one_slope(n_seeds: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.random.Generator]:
    rng = np.random.default_rng(2)
    return X[:, :1], Y, rng.normal(size=(n_seeds, 1)), rng


def test_the_slope_of_one_feature_has_its_posterior() -> None:
    x, y, slope, rng = one_slope(3000)
    start = np.hstack([slope, rng.normal(size=(3000, 4))])
    found = descend(x, y, start, loading=1.0)[:, :1]
    square, product = (x**2).sum(), x[:, 0] @ y
    check_normal(found, product / (square + 1), np.array([[1 / (square + 1)]]))


def moments_off(draws: np.ndarray, mean: float, std: float) -> tuple[float, float]:
    """How many standard errors mean and standard deviation of nearly normal draws lie off."""
    n = len(draws)
    return (
        abs(draws.mean() - mean) / (std / n**0.5),
        abs(draws.std() - std) / (std / (2 * n) ** 0.5),
    )


def test_uniform_noise_terms_have_another_metric_and_give_no_posterior() -> None:
    """Many terms Uniform(−1, 1) make noise N(0, 1), but descent counts a term of variance ⅓ as one of 1."""
    n_terms, n_seeds = 12, 3000
    x, y, slope, rng = one_slope(n_seeds)
    start = np.hstack([slope, rng.uniform(-1, 1, size=(n_seeds, 4 * n_terms))])
    loading = (3 / n_terms) ** 0.5
    found = descend(x, y, start, loading=loading, n_terms=n_terms)
    expected = matheron(design(x, loading, n_terms), y, start)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)

    slopes, square, product = found[:, 0], (x**2).sum(), x[:, 0] @ y
    theory = moments_off(slopes, product / (square + 3), (9 + square) ** 0.5 / (square + 3))
    assert max(theory) < 5
    posterior = moments_off(slopes, product / (square + 1), (square + 1) ** -0.5)
    assert min(posterior) > 10


@pytest.mark.parametrize("tau", [0.4, 2.5])
def test_a_prior_that_is_not_white_is_no_posterior_in_its_own_coordinates(tau: float) -> None:
    """β ~ N(0, τ²) beside noise of variance 1: descent keeps to the metric of τ = 1."""
    x, y, slope, rng = one_slope(3000)
    noise = rng.normal(size=(3000, 4))
    square, product = (x**2).sum(), x[:, 0] @ y
    mean = tau**2 * product / (tau**2 * square + 1)
    std = tau / (tau**2 * square + 1) ** 0.5

    own = descend(x, y, np.hstack([tau * slope, noise]), loading=1.0)[:, 0]
    law = (tau**2 + square) ** 0.5 / (square + 1)
    assert max(moments_off(own, product / (square + 1), law)) < 5
    assert max(moments_off(own, mean, std)) > 10

    white = tau * descend(tau * x, y, np.hstack([slope, noise]), loading=1.0)[:, :1]
    check_normal(white, np.array([mean]), np.array([[std**2]]))
