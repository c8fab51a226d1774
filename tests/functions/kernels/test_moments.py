"""E[φφ] and E[φ′φ′] against quadrature, Price's theorem and their limits."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats

from bayes_vs_sgd.functions.kernels import MOMENTS

CASES = [(1.0, 0.3, 2.0), (0.5, -0.6, 1.5), (2.0, 1.99, 2.0), (1e-3, 2e-2, 4.0), (1.0, 0.0, 1.0)]
pytestmark = pytest.mark.usefixtures("float64")


def relu_by_quadrature(variance_u: float, covariance: float, variance_v: float) -> list[float]:
    """Given u, v is normal, and E[max(0, v)] and P(v > 0) are known; one integral over u > 0 is left."""
    std = math.sqrt(variance_u)
    left = math.sqrt(variance_v - covariance**2 / variance_u)

    def positive_part(u: float) -> float:
        mean = covariance / variance_u * u
        return float(mean * special.ndtr(mean / left) + left * stats.norm.pdf(mean / left))

    densities = [
        lambda u: stats.norm.pdf(u, scale=std) * u * positive_part(u),
        lambda u: stats.norm.pdf(u, scale=std) * special.ndtr(covariance / variance_u * u / left),
    ]
    return [integrate.quad(f, 0, 12 * std, epsabs=1e-13, epsrel=1e-12)[0] for f in densities]


def erf_by_quadrature(variance_u: float, covariance: float, variance_v: float) -> list[float]:
    """Gauss–Hermite in two dimensions."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    weights = weights / weights.sum()
    factor = np.linalg.cholesky(np.array([[variance_u, covariance], [covariance, variance_v]]))
    u, v = factor[0, 0] * nodes[:, None], factor[1, 0] * nodes[:, None] + factor[1, 1] * nodes
    slopes = 4 / math.pi * np.exp(-(u**2) - v**2)
    return [float(weights @ f @ weights) for f in (special.erf(u) * special.erf(v), slopes)]


@pytest.mark.parametrize("case", CASES)
def test_relu_has_the_moments_of_quadrature(case: tuple[float, float, float]) -> None:
    found = MOMENTS["relu"](*map(jnp.asarray, case))
    np.testing.assert_allclose(found, relu_by_quadrature(*case), rtol=1e-8)


@pytest.mark.parametrize("case", CASES)
def test_erf_has_the_moments_of_quadrature(case: tuple[float, float, float]) -> None:
    found = MOMENTS["erf"](*map(jnp.asarray, case))
    np.testing.assert_allclose(found, erf_by_quadrature(*case), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", sorted(MOMENTS))
@pytest.mark.parametrize("case", [*CASES, (2.0, 2.0, 2.0), (2.0, -2.0, 2.0)])
def test_the_slope_of_the_values_is_the_moment_of_the_derivatives(
    name: str, case: tuple[float, float, float]
) -> None:
    """Price's theorem: ∂E[φ(u)φ(v)]/∂cov = E[φ′(u)φ′(v)], where inputs coincide too."""
    moments = MOMENTS[name]
    slope = jax.grad(lambda c: moments(jnp.asarray(case[0]), c, jnp.asarray(case[2])).values)
    derivatives = moments(*map(jnp.asarray, case)).derivatives
    np.testing.assert_allclose(slope(jnp.asarray(case[1])), derivatives, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("name", sorted(MOMENTS))
@pytest.mark.parametrize("case", CASES)
def test_derivatives_have_the_slopes_of_differences(
    name: str, case: tuple[float, float, float]
) -> None:
    step = 1e-6 * np.array([case[0], min(case[0], case[2]), case[2]])
    for i in range(3):
        for part in range(2):
            slope = jax.grad(lambda *c, part=part: MOMENTS[name](*c)[part], argnums=i)
            up, down = np.array(case), np.array(case)
            up[i] += step[i]
            down[i] -= step[i]
            difference = (MOMENTS[name](*up)[part] - MOMENTS[name](*down)[part]) / (2 * step[i])
            found = slope(*map(jnp.asarray, case))
            np.testing.assert_allclose(found, difference, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("rounding", [-3e-15, 0.0, 3e-15])
def test_inputs_that_coincide_or_oppose_have_the_exact_limits_despite_rounding(
    rounding: float,
) -> None:
    variance = jnp.asarray(1.7)
    same = MOMENTS["relu"](variance, variance * (1 + rounding), variance)
    opposed = MOMENTS["relu"](variance, -variance * (1 + rounding), variance)
    np.testing.assert_allclose(same, [0.85, 0.5], rtol=1e-13)
    np.testing.assert_allclose(opposed, [0, 0], atol=1e-15)


@pytest.mark.parametrize("name", sorted(MOMENTS))
@pytest.mark.parametrize("case", [(0.0, 0.0, 1.0), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (1.0, -1.0, 1.0)])  # fmt: skip
def test_slopes_are_finite_at_the_edges(name: str, case: tuple[float, float, float]) -> None:
    for part in range(2):
        slopes = jax.grad(lambda *c, part=part: MOMENTS[name](*c)[part], argnums=(0, 1, 2))
        assert np.isfinite(slopes(*map(jnp.asarray, case))).all()


def test_a_constant_zero_has_no_relu() -> None:
    zero, one = jnp.asarray(0.0), jnp.asarray(1.0)
    np.testing.assert_array_equal(MOMENTS["relu"](zero, zero, one), [0, 0])


def test_tiny_variances_do_not_underflow() -> None:
    tiny, relu = 1e-300, MOMENTS["relu"]
    small = relu(jnp.asarray(tiny), jnp.asarray(tiny / 2), jnp.asarray(tiny)).values / tiny
    usual = relu(jnp.asarray(1.0), jnp.asarray(0.5), jnp.asarray(1.0)).values
    np.testing.assert_allclose(small, usual, rtol=1e-12)
