"""Expectation propagation: its fixed point, its evidence, and how near it is to what is known."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from bayes_vs_sgd.functions.gaussian_process import (
    ExpectationPropagation,
    expectation_propagation,
    predictive_probability,
)

from .exact import (
    equicorrelated,
    one_factor,
    one_factor_log_probability,
    random_correlation,
    random_signs,
)


def marginals(fitted: ExpectationPropagation) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the Gaussian of prior and sites, by plain inverses."""
    covariance = np.linalg.inv(np.linalg.inv(fitted.kernel) + np.diag(fitted.site_precision))
    return covariance @ fitted.site_shift, covariance


def cavities(fitted: ExpectationPropagation) -> tuple[np.ndarray, np.ndarray]:
    mean, covariance = marginals(fitted)
    precision = 1 / np.diag(covariance) - fitted.site_precision
    return (mean / np.diag(covariance) - fitted.site_shift) / precision, 1 / precision


def test_ten_equicorrelated_inputs_have_the_known_value() -> None:
    fitted = expectation_propagation(equicorrelated(10), np.ones(10, dtype=int))
    assert fitted.converged
    assert fitted.log_evidence == pytest.approx(-2.410, abs=5e-4)
    assert -math.log(11) == pytest.approx(-2.398, abs=5e-4)


def test_independent_inputs_have_one_half_each_exactly() -> None:
    fitted = expectation_propagation(np.diag(np.arange(1.0, 9)), random_signs(8, seed=0))
    assert fitted.log_evidence == pytest.approx(-8 * math.log(2), abs=1e-12)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_at_the_fixed_point_every_marginal_has_the_moments_of_its_cavity_cut_off(seed: int) -> None:
    n = 8
    kernel, signs = 3.0 * random_correlation(n, seed=seed), random_signs(n, seed=seed)
    fitted = expectation_propagation(kernel, signs, tolerance=1e-12)
    mean, covariance = marginals(fitted)
    cavity_mean, cavity_variance = cavities(fitted)
    stds = np.sqrt(cavity_variance)
    cut = stats.truncnorm(-signs * cavity_mean / stds, np.inf)
    np.testing.assert_allclose(mean, cavity_mean + signs * stds * cut.mean(), rtol=1e-7)
    np.testing.assert_allclose(np.diag(covariance), cavity_variance * cut.var(), rtol=1e-7)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_evidence_is_the_integral_of_prior_and_sites(seed: int) -> None:
    """Z_i scales every site so that cavity × site has the mass of cavity × step."""
    n = 8
    kernel, signs = 3.0 * random_correlation(n, seed=seed), random_signs(n, seed=seed)
    fitted = expectation_propagation(kernel, signs, tolerance=1e-12)
    cavity_mean, cavity_variance = cavities(fitted)
    site_mean, site_variance = fitted.site_shift / fitted.site_precision, 1 / fitted.site_precision
    log_masses = stats.norm.logcdf(signs * cavity_mean / np.sqrt(cavity_variance))
    log_scales = log_masses - stats.norm.logpdf(
        cavity_mean, site_mean, np.sqrt(cavity_variance + site_variance)
    )
    total = kernel + np.diag(site_variance)
    log_overlap = stats.multivariate_normal.logpdf(site_mean, np.zeros(n), total)
    assert fitted.log_evidence == pytest.approx(log_scales.sum() + log_overlap, abs=1e-8)


def test_neither_scale_nor_order_nor_a_common_flip_changes_the_evidence() -> None:
    kernel, signs = random_correlation(8, seed=3), random_signs(8, seed=3)
    scales, order = np.geomspace(0.01, 50, 8), np.random.default_rng(0).permutation(8)
    cases = [
        (kernel, signs),
        (kernel * scales * scales[:, None], signs),
        (kernel[order][:, order], signs[order]),
        (kernel, -signs),
    ]
    found = [expectation_propagation(k, s, tolerance=1e-12).log_evidence for k, s in cases]
    np.testing.assert_allclose(found, found[0], atol=1e-9)


@pytest.mark.parametrize("damping", [0.3, 0.7])
def test_damping_changes_the_way_and_not_the_end(damping: float) -> None:
    kernel, signs = random_correlation(8, seed=4), random_signs(8, seed=4)
    plain = expectation_propagation(kernel, signs, tolerance=1e-11)
    damped = expectation_propagation(kernel, signs, tolerance=1e-11, damping=damping)
    assert damped.converged
    assert damped.n_sweeps > plain.n_sweeps
    np.testing.assert_allclose(damped.log_evidence, plain.log_evidence, atol=1e-8)


def test_one_damped_sweep_keeps_that_share_of_no_site() -> None:
    """From no site, a sweep over independent inputs goes (1 − damping) of the way."""
    fitted = [
        expectation_propagation(np.eye(8), np.ones(8, dtype=int), damping=d, max_sweeps=1)
        for d in (0.0, 0.75)
    ]
    for part in ("site_precision", "site_shift"):
        whole, quarter = (getattr(f, part) for f in fitted)
        np.testing.assert_allclose(quarter, whole / 4, rtol=1e-12)


def test_many_labellings_at_once_are_each_by_itself() -> None:
    kernel = random_correlation(8, seed=5)
    labels = np.stack([random_signs(8, seed=s) for s in range(2)])
    together = expectation_propagation(kernel, labels)
    assert together.log_evidence.shape == together.n_sweeps.shape == (2,)
    for i, signs in enumerate(labels):
        alone = expectation_propagation(kernel, signs)
        np.testing.assert_allclose(together.log_evidence[i], alone.log_evidence, atol=1e-10)
        np.testing.assert_allclose(together.site_shift[i], alone.site_shift, rtol=1e-8)


@pytest.mark.parametrize("correlation", [-0.9, -0.3, 0.3, 0.9])
def test_two_inputs_are_near_the_exact_probability(correlation: float) -> None:
    exact = math.log(0.25 + math.asin(correlation) / (2 * math.pi))
    found = expectation_propagation(equicorrelated(2, correlation), np.ones(2, dtype=int))
    assert abs(found.log_evidence - exact) < 0.04


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_forty_inputs_are_near_the_exact_probability(seed: int) -> None:
    loadings, signs = np.random.default_rng(seed).uniform(0, 0.95, 40), random_signs(40, seed=seed)
    exact = one_factor_log_probability(loadings, signs)
    found = expectation_propagation(one_factor(loadings), signs)
    assert abs(found.log_evidence - exact) < 0.01 * abs(exact)


def test_inputs_that_coincide_converge() -> None:
    """Two equal inputs with equal labels say once what one says; EP need not, but must not fail."""
    kernel = np.kron(random_correlation(4, seed=6), np.ones((2, 2)))
    fitted = expectation_propagation(kernel, np.repeat([1, -1, 1, 1], 2))
    assert fitted.converged
    assert np.isfinite(fitted.log_evidence)


def test_labels_that_nearly_contradict_the_kernel_stay_finite() -> None:
    exact = math.log(0.25 + math.asin(-(1 - 1e-8)) / (2 * math.pi))
    fitted = expectation_propagation(equicorrelated(2, 1 - 1e-8), np.array([1, -1]))
    assert fitted.converged
    assert fitted.log_evidence == pytest.approx(exact, rel=0.1)


def test_too_few_sweeps_are_told() -> None:
    fitted = expectation_propagation(equicorrelated(10), np.ones(10, dtype=int), max_sweeps=2)
    assert not fitted.converged
    assert fitted.n_sweeps == 2


@pytest.mark.parametrize("correlation", [-0.8, 0.0, 0.5, 0.99])
def test_one_label_predicts_another_by_its_moments(correlation: float) -> None:
    """Given f > 0, f has mean √(2/π) and variance 1 − 2/π; the Gaussian with those is the prediction."""
    fitted = expectation_propagation(np.ones((1, 1)), np.ones(1, dtype=int))
    found = predictive_probability(fitted, np.array([[correlation]]), np.ones(1))
    mean, variance = math.sqrt(2 / math.pi) * correlation, 1 - 2 / math.pi * correlation**2
    np.testing.assert_allclose(found, stats.norm.cdf(mean / math.sqrt(variance)), rtol=1e-9)


def test_predictions_are_those_of_the_joint_gaussian() -> None:
    kernel, variances = random_correlation(11, seed=7), np.geomspace(0.5, 4, 11)
    kernel = kernel * np.sqrt(variances) * np.sqrt(variances)[:, None]
    labels = np.stack([random_signs(8, seed=s) for s in range(2)])
    fitted = expectation_propagation(kernel[:8, :8], labels)
    found = predictive_probability(fitted, kernel[8:, :8], np.diag(kernel)[8:])
    for i in range(2):
        sites = np.concatenate([fitted.site_precision[i], np.zeros(3)])
        shift = np.concatenate([fitted.site_shift[i], np.zeros(3)])
        covariance = np.linalg.inv(np.linalg.inv(kernel) + np.diag(sites))
        z = (covariance @ shift / np.sqrt(np.diag(covariance)))[8:]
        np.testing.assert_allclose(found[i], stats.norm.cdf(z), rtol=1e-8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.array([0, 1, 1])}, "holds 0"),
        ({"labels": np.array([1, 1])}, r"shape \(2,\)"),
        ({"kernel": np.ones((3, 2))}, r"shape \(3, 2\)"),
        ({"kernel": np.diag([1.0, 0.0, 1.0])}, "variance 0"),
        ({"kernel": np.full((3, 3), np.nan)}, "NaN"),
        ({"kernel": np.eye(3) + np.triu(np.ones((3, 3)), 1)}, "not symmetric"),
        ({"kernel": equicorrelated(3, -0.9)}, "eigenvalue"),
        ({"damping": 1.0}, "damping=1.0"),
        ({"tolerance": 0.0}, "tolerance=0.0"),
        ({"max_sweeps": 0}, "max_sweeps=0"),
    ],
)
def test_what_has_no_evidence_is_refused(change: dict[str, Any], message: str) -> None:
    given = {"kernel": equicorrelated(3), "labels": np.array([1, -1, 1])} | change
    with pytest.raises(ValueError, match=message):
        expectation_propagation(given.pop("kernel"), given.pop("labels"), **given)


def test_predictions_refuse_kernels_of_other_inputs() -> None:
    fitted = expectation_propagation(equicorrelated(3), np.array([1, -1, 1]))
    with pytest.raises(ValueError, match=r"cross has shape \(2, 4\)"):
        predictive_probability(fitted, np.ones((2, 4)), np.ones(2))
