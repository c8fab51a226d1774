"""The functions of the normal tail against SciPy and against quadrature."""

import math

import jax
import numpy as np
import pytest
from scipy import integrate, special

from bayes_vs_sgd.functions.gaussian_process.normal_tail import inverse_hazard, normal_tail

pytestmark = pytest.mark.usefixtures("float64")
tail_of, hazard_inverse = jax.jit(normal_tail), jax.jit(inverse_hazard)
FAR_AND_NEAR = np.concatenate([-np.geomspace(1e4, 1e-3, 60), [0.0], np.linspace(0.1, 8, 20)])


def moment(z: float, power: int) -> float:
    """E[v^power] of the density ∝ exp(−v²/2 + zv) on v > 0, which is u − (−z) of a normal u > −z."""
    scale = max(1.0, -z)
    areas = [
        integrate.quad(
            lambda w, k=k: (w / scale) ** k * math.exp(-0.5 * (w / scale) ** 2 + z * w / scale),
            0, 60 if z < 0 else 60 + 60 * z, epsabs=0, epsrel=1e-11, limit=400,
        )[0]
        for k in (0, power)
    ]  # fmt: skip
    return areas[1] / areas[0]


def test_the_logarithm_and_the_hazard_are_those_of_scipy() -> None:
    found = tail_of(FAR_AND_NEAR)
    np.testing.assert_allclose(
        found.log_cdf, special.log_ndtr(FAR_AND_NEAR), rtol=3e-13, atol=1e-16
    )
    hazard = math.sqrt(2 / math.pi) / special.erfcx(-FAR_AND_NEAR / math.sqrt(2))
    np.testing.assert_allclose(found.hazard, hazard, rtol=3e-13)


@pytest.mark.parametrize("z", [-300.0, -40.0, -7.0, -5.001, -4.999, -1.0, 0.0, 2.0])
def test_the_moments_of_a_cut_off_normal_lose_no_digits(z: float) -> None:
    found = tail_of(np.float64(z))
    first, second = moment(z, 1), moment(z, 2)
    np.testing.assert_allclose(found.excess, first, rtol=1e-10)
    np.testing.assert_allclose(found.slope, second, rtol=1e-10)
    np.testing.assert_allclose(found.variance, second - first**2, rtol=1e-9)


def test_far_in_the_tail_the_variance_is_the_asymptotic_one() -> None:
    x = np.geomspace(1e3, 1e6, 10)
    np.testing.assert_allclose(tail_of(-x).variance * x**2, 1 - 6 / x**2, rtol=1e-10)


def test_both_forms_meet_without_a_step() -> None:
    below, above = tail_of(np.nextafter(-5.0, -6)), tail_of(np.float64(-5.0))
    for first, second in zip(below, above, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-11)


def test_the_inverse_hazard_gives_the_hazard_back() -> None:
    hazards = np.geomspace(1e-300, 1e12, 200)
    np.testing.assert_allclose(tail_of(hazard_inverse(hazards)).hazard, hazards, rtol=1e-12)
