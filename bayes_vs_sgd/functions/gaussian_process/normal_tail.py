"""The normal distribution function and its derivatives, without cancellation in the lower tail."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

# Below it the continued fraction; this many terms give 15 digits there.
_TAIL, _N_TERMS = -5.0, 24
# Newton steps that invert the hazard to rounding, from 1e-300 to 1e12.
_N_NEWTON = 8


class NormalTail(NamedTuple):
    """Log Φ(z), and what the moments of a normal that is cut off are made of.

    With r = φ(z)/Φ(z), a standard normal u given u > −z has mean r and variance 1 − r(z + r).

    Attributes:
        log_cdf: log Φ(z).
        hazard: r.
        excess: z + r > 0.
        variance: 1 − r(z + r), in (0, 1).
        slope: 1 + z(z + r).
    """

    log_cdf: Float[Array, "..."]
    hazard: Float[Array, "..."]
    excess: Float[Array, "..."]
    variance: Float[Array, "..."]
    slope: Float[Array, "..."]


def normal_tail(z: Float[Array, "..."]) -> NormalTail:
    """All of them at z.

    For z < −5, with x = −z and C_k = k/(x + C_{k+1}): r = x + C_1 (Laplace's continued fraction), z +
    r = C_1, 1 − r(z + r) = (C_2 − C_1)/(x + C_2) and 1 + z(z + r) = C_2/(x + C_2), without a
    difference of nearly equal numbers.
    """
    far = z < _TAIL
    near, distant = _near(jnp.where(far, 0.0, z)), _distant(jnp.where(far, z, _TAIL))
    return NormalTail(*(jnp.where(far, d, n) for d, n in zip(distant, near, strict=True)))


def inverse_hazard(hazard: Float[Array, "..."]) -> Float[Array, "..."]:
    """The z with φ(z)/Φ(z) = hazard > 0, by Newton's method on the logarithm, which is concave in −z."""
    large = jnp.maximum(hazard, 1)
    small = -2 * jnp.log(jnp.minimum(hazard, 1)) - math.log(2 * math.pi)
    start = jnp.where(hazard > 1, 1 / large - large, jnp.sqrt(jnp.maximum(small, 0)))

    def step(_: int, z: Array) -> Array:
        tail = normal_tail(z)
        return z + jnp.log(tail.hazard / hazard) / tail.excess

    return jax.lax.fori_loop(0, _N_NEWTON, step, start)


def _near(z: Array) -> NormalTail:
    hazard = jnp.exp(_log_density(z)) / jax.scipy.special.ndtr(z)
    excess = z + hazard
    log_cdf = jax.scipy.special.log_ndtr(z)
    return NormalTail(log_cdf, hazard, excess, 1 - hazard * excess, 1 + z * excess)


def _distant(z: Array) -> NormalTail:
    x = -z
    # A loop rather than so many operations in every program that has a tail.
    second = jax.lax.fori_loop(
        0, _N_TERMS - 1, lambda i, c: (_N_TERMS - i) / (x + c), jnp.zeros_like(x)
    )
    first = 1 / (x + second)
    hazard = x + first
    log_cdf = _log_density(z) - jnp.log(hazard)
    return NormalTail(
        log_cdf, hazard, first, (second - first) / (x + second), second / (x + second)
    )


def _log_density(z: Array) -> Array:
    return -0.5 * z**2 - 0.5 * math.log(2 * math.pi)
