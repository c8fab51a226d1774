"""The mass of the prior along a ray, against closed forms and identities."""

import numpy as np
import pytest
from scipy import special, stats

from bayes_vs_sgd.functions.local_volume.ray import log_ray_integral, radius_at

DIMENSIONS = (1, 2, 3, 7, 40, 1000, 100_000)


def log_half_gamma(dimension: int) -> float:
    return (dimension / 2 - 1) * np.log(2) + special.gammaln(dimension / 2)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_from_the_prior_mean_it_is_the_incomplete_gamma_function(dimension: int) -> None:
    radii = np.sqrt(dimension) * np.array([0.9, 0.99, 1.0, 1.01, 1.2, np.inf])
    found = log_ray_integral(radii, np.zeros(6), dimension) - log_half_gamma(dimension)
    exact = special.gammainc(dimension / 2, radii**2 / 2)
    representable = exact > 1e-290
    np.testing.assert_allclose(
        found[representable], np.log(exact[representable]), atol=3e-10, rtol=1e-12
    )
    assert representable.sum() >= 4


@pytest.mark.parametrize("dimension", [1000, 100_000])
def test_where_the_incomplete_gamma_function_underflows_it_is_its_power_series(
    dimension: int,
) -> None:
    """γ(s, x) = x^s e^{−x} Σ_k x^k/(s(s + 1)…(s + k)), of which few terms count for x ≪ s."""
    radii = np.sqrt(dimension) * np.array([1e-6, 1e-3, 0.02, 0.1])
    s, x = dimension / 2, radii**2 / 2
    series = np.exp(
        np.arange(200)[:, None] * np.log(x)
        + special.gammaln(s)
        - special.gammaln(s + 1 + np.arange(200)[:, None])
    ).sum(axis=0)
    exact = (s - 1) * np.log(2) + s * np.log(x) - x + np.log(series)
    assert special.gammainc(s, x).max() == 0.0
    np.testing.assert_allclose(log_ray_integral(radii, np.zeros(4), dimension), exact, rtol=1e-13)


@pytest.mark.parametrize("dimension", [1, 2, 5, 12])
def test_a_ray_that_never_leaves_has_the_parabolic_cylinder_function(dimension: int) -> None:
    slopes = np.array([-3.0, -0.5, 0.0, 0.7, 4.0])
    exact = [
        special.gammaln(dimension) + b**2 / 4 + np.log(special.pbdv(-dimension, b)[0])
        for b in slopes
    ]
    found = log_ray_integral(np.full(5, np.inf), slopes, dimension)
    np.testing.assert_allclose(found, exact, atol=1e-11)


def test_in_one_dimension_it_is_a_difference_of_normal_distributions() -> None:
    radii = np.array([0.1, 1.0, 5.0, np.inf])
    for b in (-2.0, 0.3, 3.0):
        exact = 0.5 * np.log(2 * np.pi) + b**2 / 2
        exact += np.log(stats.norm.sf(b) - stats.norm.sf(radii + b))
        np.testing.assert_allclose(
            log_ray_integral(radii, np.full(4, b), 1), exact, rtol=1e-11, atol=1e-12
        )


@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("slope", [-300.0, -3.0, 0.0, 2.0, 40.0])
@pytest.mark.parametrize("radius", [0.3, 1.0, 3.0, np.inf])
def test_integration_by_parts_holds(dimension: int, slope: float, radius: float) -> None:
    """I_{d+2} + b·I_{d+1} + Rᵈ·exp(−R²/2 − bR) = d·I_d, with all terms over the largest."""
    r = radius * np.sqrt(dimension)
    here, next_, after = (
        float(log_ray_integral(np.array([r]), np.array([slope]), dimension + k)[0])
        for k in range(3)
    )
    edge = -np.inf if np.isinf(r) else dimension * np.log(r) - r**2 / 2 - slope * r
    top = max(here + np.log(dimension), after, edge)
    left = np.exp(after - top) + slope * np.exp(next_ - top) + np.exp(edge - top)
    size = 1 + abs(slope) * np.exp(next_ - top)
    assert left == pytest.approx(dimension * np.exp(here - top), abs=1e-8 * size)


def test_a_ray_without_length_has_no_mass() -> None:
    assert log_ray_integral(np.zeros(1), np.ones(1), 9)[0] == -np.inf
    assert len(log_ray_integral(np.zeros(0), np.zeros(0), 9)) == 0


@pytest.mark.parametrize("dimension", [1, 3, 5000])
def test_quantiles_of_the_mass_are_found(dimension: int) -> None:
    quantiles = np.array([1e-4, 0.2, 0.5, 0.999])
    slopes = np.array([0.0, -20.0, 5.0, 1.0])
    radii = np.sqrt(dimension) * np.array([0.5, np.inf, 1.0, 30.0])
    at = radius_at(quantiles, radii, slopes, dimension)
    shares = log_ray_integral(at, slopes, dimension) - log_ray_integral(radii, slopes, dimension)
    np.testing.assert_allclose(np.exp(shares), quantiles, rtol=1e-5)
