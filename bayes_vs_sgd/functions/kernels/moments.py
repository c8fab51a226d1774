"""E[φ(u)φ(v)] and E[φ′(u)φ′(v)] of nonlinearities φ under a bivariate normal (u, v) of mean 0."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

# A cosine this many machine epsilons from ±1 is that of coincident inputs: rounding moves the cosine of
# equal inputs by as much, and the angle by its square root.
_COINCIDENT = 32


class Moments(NamedTuple):
    """What a nonlinearity makes of a covariance.

    Attributes:
        values: E[φ(u)φ(v)].
        derivatives: E[φ′(u)φ′(v)].
    """

    values: Float[Array, "..."]
    derivatives: Float[Array, "..."]


def relu(
    variance_u: Float[Array, "..."],
    covariance: Float[Array, "..."],
    variance_v: Float[Array, "..."],
) -> Moments:
    """Moments of max(0, u), the arc-cosine kernels of orders 1 and 0.

    With cos θ = covariance/√(variance_u·variance_v) cut to [−1, 1]:

    - E[φφ] = √(variance_u·variance_v)·(sin θ + (π − θ) cos θ)/(2π);
    - E[φ′φ′] = (π − θ)/(2π).

    Both are 0 where a variance is 0, with φ′(0) = 0. θ is 0 or π where rounding cannot tell it from
    that. The derivative of the second by the covariance is infinite there, and taken as 0.

    Source: Cho & Saul 2009, "Kernel methods for deep learning".
    """
    random = (variance_u > 0) & (variance_v > 0)
    scale = jnp.sqrt(jnp.where(random, variance_u, 1)) * jnp.sqrt(jnp.where(random, variance_v, 1))
    cosine = _snap(jnp.where(random, covariance / scale, 0))
    values = scale * _first_order(cosine) / (2 * math.pi)
    derivatives = _zeroth_order(cosine) / (2 * math.pi)
    return Moments(jnp.where(random, values, 0), jnp.where(random, derivatives, 0))


def erf(
    variance_u: Float[Array, "..."],
    covariance: Float[Array, "..."],
    variance_v: Float[Array, "..."],
) -> Moments:
    """Moments of the error function.

    With D = (1 + 2·variance_u)(1 + 2·variance_v):

    - E[φφ] = (2/π)·asin(2·covariance/√D);
    - E[φ′φ′] = (4/π)/√(D − 4·covariance²).

    Source: Williams 1997, "Computing with infinite networks".
    """
    product = (1 + 2 * variance_u) * (1 + 2 * variance_v)
    values = 2 / math.pi * jnp.arcsin(2 * covariance / jnp.sqrt(product))
    # By Cauchy–Schwarz; rounding could fall below it.
    least = 1 + 2 * variance_u + 2 * variance_v
    determinant = jnp.maximum(product - 4 * covariance**2, least)
    return Moments(values, 4 / math.pi / jnp.sqrt(determinant))


def identity(
    variance_u: Float[Array, "..."],
    covariance: Float[Array, "..."],
    variance_v: Float[Array, "..."],
) -> Moments:
    """Moments of u itself: the covariance, and 1."""
    return Moments(covariance, jnp.ones_like(covariance))


MOMENTS: dict[str, Callable[[Array, Array, Array], Moments]] = {
    "relu": relu,
    "erf": erf,
    "identity": identity,
}


def require_activation(name: str) -> None:
    """Refuse a nonlinearity whose moments are unknown.

    Raises:
        ValueError: ``name`` is not in ``MOMENTS``.
    """
    if name not in MOMENTS:
        raise ValueError(
            f"activation={name!r} has no kernel in closed form here; pass one of {sorted(MOMENTS)}."
        )


def _snap(cosine: Array) -> Array:
    near = 1 - _COINCIDENT * jnp.finfo(cosine.dtype).eps
    snapped = jnp.where(jnp.abs(cosine) >= near, jnp.sign(cosine), cosine)
    # The derivative is that of the cosine all the same.
    return cosine + jax.lax.stop_gradient(snapped - cosine)


@jax.custom_jvp
def _first_order(cosine: Array) -> Array:
    """Sin θ + (π − θ) cos θ; its derivative by cos θ is π − θ, which autodiff makes ∞ − ∞ at θ = 0."""
    sine = jnp.sqrt((1 - cosine) * (1 + cosine))
    return sine + _zeroth_order(cosine) * cosine


@jax.custom_jvp
def _zeroth_order(cosine: Array) -> Array:
    """π − θ; its derivative by cos θ is 1/sin θ."""
    return math.pi - jnp.arctan2(jnp.sqrt((1 - cosine) * (1 + cosine)), cosine)


@_first_order.defjvp
def _first_order_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (cosine,), (tangent,) = primals, tangents
    return _first_order(cosine), _zeroth_order(cosine) * tangent


@_zeroth_order.defjvp
def _zeroth_order_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (cosine,), (tangent,) = primals, tangents
    inside = jnp.abs(cosine) < 1
    squared = jnp.where(inside, (1 - cosine) * (1 + cosine), 1)
    return _zeroth_order(cosine), jnp.where(inside, tangent / jnp.sqrt(squared), 0)
