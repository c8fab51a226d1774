"""Activations."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from .arithmetic import clamp, of_reals


def _gelu(x: Array, *, approximate: str = "none") -> Array:
    return jax.nn.gelu(x, approximate=approximate == "tanh")


def _elu(x: Array, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Array:
    # Kept from overflowing where it is not taken; jnp.minimum would halve the derivative at 0.
    negative = alpha * jnp.expm1(jnp.where(x > 0, 0, x) * input_scale)
    return scale * jnp.where(x > 0, x, negative)


def _softplus(x: Array, beta: float = 1, threshold: float = 20) -> Array:
    scaled = beta * x
    return jnp.where(scaled > threshold, x, jnp.logaddexp(scaled, 0) / beta)


@jax.custom_jvp
def _hardsigmoid(x: Array) -> Array:
    return jnp.clip(x + 3, 0, 6) / 6


@_hardsigmoid.defjvp
def _hardsigmoid_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (tangent,) = primals, tangents
    # PyTorch's derivative is 1/6 in single precision whatever the type of x.
    slope = jnp.asarray(float(np.float32(1 / 6)), x.dtype)
    return _hardsigmoid(x), jnp.where((x > -3) & (x < 3), slope, 0) * tangent


ACTIVATIONS: dict[str, Callable[..., Any]] = {
    "aten.relu.default": jax.nn.relu,
    "aten.tanh.default": of_reals(jnp.tanh),
    "aten.sigmoid.default": of_reals(jax.nn.sigmoid),
    "aten.gelu.default": _gelu,
    "aten.silu.default": jax.nn.silu,
    "aten.elu.default": _elu,
    "aten.softplus.default": _softplus,
    "aten.leaky_relu.default": lambda x, slope=0.01: jnp.where(x > 0, x, slope * x),
    "aten.hardtanh.default": lambda x, lower=-1, upper=1: clamp(x, lower, upper),
    "aten.hardsigmoid.default": _hardsigmoid,
    "aten._softmax.default": lambda x, dim, half_to_float: jax.nn.softmax(x, axis=dim),
    "aten._log_softmax.default": lambda x, dim, half_to_float: jax.nn.log_softmax(x, axis=dim),
}
