"""Normals that a step can afford: on a CPU in half the time of ``jax.random``."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, PRNGKeyArray, UInt32

from ..random_bits import random_bits

# Giles 2010, Approximating the erfinv function, single precision: coefficients for w < 5 and beyond.
_CENTRAL = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
    -0.00125372503, -0.00417768164, 0.246640727, 1.50140941,
)  # fmt: skip
_TAIL = (
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773,
    -0.0076224613, 0.00943887047, 1.00167406, 2.83297682,
)  # fmt: skip


def normal_like(key: PRNGKeyArray, tree: Any, when: Bool[Array, ""] | None = None) -> Any:
    """Independent standard normals in the shape of a tree; zeros unless ``when``.

    They are drawn at once for all leaves, and are the numbers of ``jax.random.normal`` for as many,
    but for rounding.
    """
    flat, unravel = ravel_pytree(tree)

    def draw() -> Array:
        if flat.dtype != jnp.float32:
            return jax.random.normal(key, flat.shape, flat.dtype)
        # The barrier keeps XLA from making the bits once for each use of them.
        return _normal(jax.lax.optimization_barrier(random_bits(key, flat.size)))

    return unravel(
        draw() if when is None else jax.lax.cond(when, draw, lambda: jnp.zeros_like(flat))
    )


def _normal(bits: UInt32[Array, " n"]) -> Float[Array, " n"]:
    """√2 erfinv(u), with u uniform in (−1, 1) from the upper 23 bits."""
    one_to_two = jax.lax.bitcast_convert_type((bits >> 9) | np.uint32(0x3F800000), jnp.float32)
    least = np.nextafter(np.float32(-1), np.float32(0))
    u = jnp.maximum(least, (one_to_two - 1) * (1 - least) + least)
    # JAX's erf_inv takes log1p(−u²) here, which is slower, and off by up to 6e-6 in the tails.
    w = -jnp.log((1 - u) * (1 + u))
    is_central = w < 5
    x = jnp.where(is_central, w - 2.5, jnp.sqrt(w) - 3)
    polynomial = jnp.zeros_like(x)
    for central, tail in zip(_CENTRAL, _TAIL, strict=True):
        polynomial = jnp.where(is_central, np.float32(central), np.float32(tail)) + polynomial * x
    return np.float32(2**0.5) * polynomial * u
