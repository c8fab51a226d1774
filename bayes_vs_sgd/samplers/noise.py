"""Standard normals in the shape of a tree, the same numbers as ``jax.random.normal`` makes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, PRNGKeyArray, UInt32

# Salmon, Moraes, Dror & Shaw 2011.
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD11BDA)


def normal_like(key: PRNGKeyArray, tree: Any, when: Bool[Array, ""] | None = None) -> Any:
    """Independent standard normals in the shape of a tree; zeros unless ``when``."""
    flat, unravel = ravel_pytree(tree)

    def draw() -> Array:
        return _normal(key, flat.shape[0], flat.dtype)

    return unravel(
        draw() if when is None else jax.lax.cond(when, draw, lambda: jnp.zeros_like(flat))
    )


def _normal(key: PRNGKeyArray, n: int, dtype: Any) -> Float[Array, " n"]:
    is_threefry = jax.random.key_impl(key) == "threefry2x32"
    if not is_threefry or dtype != jnp.float32 or not jax.config.jax_threefry_partitionable:
        return jax.random.normal(key, (n,), dtype)
    # On a CPU JAX runs the rounds of threefry as a loop over arrays. Written out they are one loop
    # over numbers in registers, in half the time; the barrier keeps XLA from running it twice.
    bits = jax.lax.optimization_barrier(_bits(jax.random.key_data(key), n))
    one_to_two = jax.lax.bitcast_convert_type((bits >> 9) | np.uint32(0x3F800000), jnp.float32)
    least = np.nextafter(np.float32(-1), np.float32(0))
    uniform = jnp.maximum(least, (one_to_two - 1) * (1 - least) + least)
    return np.float32(2**0.5) * jax.lax.erf_inv(uniform)


def _bits(key: UInt32[Array, "2"], n: int) -> UInt32[Array, " n"]:
    """32 bits for each of the counters 0…n−1, by 20 rounds of threefry."""
    words = (key[0], key[1], key[0] ^ key[1] ^ _PARITY)
    a, b = words[0], jnp.arange(n, dtype=jnp.uint32) + words[1]
    for group in range(5):
        for turn in _ROTATIONS[group % 2]:
            a = a + b
            b = a ^ ((b << np.uint32(turn)) | (b >> np.uint32(32 - turn)))
        a, b = a + words[(group + 1) % 3], b + words[(group + 2) % 3] + np.uint32(group + 1)
    return a ^ b
