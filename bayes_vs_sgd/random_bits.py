"""Random bits and normal draws of JAX's keys, on a CPU in a fraction of the time of ``jax.random``."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, UInt32

# Threefry's rotations and key parity (Salmon, Moraes, Dror & Shaw 2011).
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD11BDA)


def random_bits(key: PRNGKeyArray, n: int) -> UInt32[Array, " n"]:
    """The same as ``jax.random.bits(key, (n,))``.

    On a CPU JAX runs the 20 rounds of threefry as a loop over arrays; written out, each number stays
    in a register through all of them.
    """
    if jax.random.key_impl(key) != "threefry2x32" or not jax.config.jax_threefry_partitionable:
        return jax.random.bits(key, (n,))
    first, second = _threefry(key, n)
    return first ^ second


def _threefry(key: PRNGKeyArray, n: int) -> tuple[UInt32[Array, " n"], UInt32[Array, " n"]]:
    """The two words of threefry 2x32 at the counters 0 … n − 1, 20 rounds."""
    first, second = jax.random.key_data(key)[:2]
    words = (first, second, first ^ second ^ _PARITY)
    a, b = jnp.full(n, words[0]), jnp.arange(n, dtype=jnp.uint32) + words[1]
    for group in range(5):
        for turn in _ROTATIONS[group % 2]:
            a = a + b
            b = a ^ ((b << np.uint32(turn)) | (b >> np.uint32(32 - turn)))
        a, b = a + words[(group + 1) % 3], b + words[(group + 2) % 3] + np.uint32(group + 1)
    return a, b


def random_normals(key: PRNGKeyArray, n: int) -> Float[Array, " n"]:
    """Independent draws of N(0, 1) in single precision, on a CPU several times as fast as JAX's.

    Box & Muller 1958: one evaluation of threefry gives the two words of a pair of draws,

        r = √(−2 log((a + ½)/2³²)),   x = (b/2³² − ½)·π/2,   (r cos x, r sin x),

    of which two further bits of b swap and negate the pair, so that its angle is uniform on the circle.
    No draw exceeds √(66 log 2) = 6.76 in size, which N(0, 1) does with probability 1.3·10⁻¹¹.

    Args:
        key: Random key; threefry whatever its own generator is.
        n: Number of draws.
    """
    radius_bits, angle_bits = _threefry(key, (n + 1) // 2)
    uniform = (radius_bits.astype(jnp.float32) + np.float32(0.5)) * np.float32(2.0**-32)
    radius = jnp.sqrt(-2 * jnp.log(uniform))
    turn = (angle_bits >> np.uint32(2)).astype(jnp.float32) * np.float32(2.0**-30)
    x = (turn - np.float32(0.5)) * np.float32(np.pi / 2)
    square = x * x
    # Taylor's series, on |x| ≤ π/4 exact to single precision: XLA's own sine is no vector instruction.
    sine = x * (1 + square * (-1 / 6 + square * (1 / 120 + square * (-1 / 5040 + square / 362880))))
    cosine = 1 + square * (-1 / 2 + square * (1 / 24 + square * (-1 / 720 + square / 40320)))
    radius = jnp.where((angle_bits & np.uint32(2)) != 0, radius, -radius)
    swapped = (angle_bits & np.uint32(1)) != 0
    # One array of pairs: XLA would compute the bits, and all that follows, anew for each of two.
    pairs = jax.lax.optimization_barrier(
        jax.lax.complex(
            radius * jnp.where(swapped, sine, cosine), radius * jnp.where(swapped, cosine, sine)
        )
    )
    return jnp.concatenate([pairs.real, pairs.imag])[:n]
