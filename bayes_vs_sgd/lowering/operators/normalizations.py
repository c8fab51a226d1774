"""Normalisations within one row, and those with fixed statistics."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array


def _normalise(x: Array, axes: Sequence[int], eps: float) -> tuple[Array, Array, Array]:
    """(x − mean)/√(variance + eps), the mean and 1/√(variance + eps), over some axes."""
    mean = x.mean(axes, keepdims=True)
    centred = x - mean
    scale = jax.lax.rsqrt(jnp.square(centred).mean(axes, keepdims=True) + eps)
    return centred * scale, mean, scale


def _affine(x: Array, weight: Array | None, bias: Array | None) -> Array:
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


def _per_channel(vector: Array | None, n_axes: int) -> Array | None:
    return None if vector is None else vector.reshape(-1, *(1,) * (n_axes - 2))


def _layer_norm(
    x: Array, shape: Sequence[int], weight: Array | None, bias: Array | None, eps: float
) -> tuple[Array, Array, Array]:
    y, mean, scale = _normalise(x, tuple(range(-len(shape), 0)), eps)
    return _affine(y, weight, bias), mean, scale


def _group_norm(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    n: int,
    channels: int,
    space: int,
    groups: int,
    eps: float,
) -> tuple[Array, Array, Array]:
    # With channels and places apart XLA may keep the convolution's axis order.
    grouped = x.reshape(n, groups, channels // groups, space)
    y, mean, scale = _normalise(grouped, (2, 3), eps)
    y = _affine(y.reshape(x.shape), _per_channel(weight, x.ndim), _per_channel(bias, x.ndim))
    return y, mean[..., 0, 0], scale[..., 0, 0]


def _batch_norm_without_statistics(
    x: Array, weight: Array | None, bias: Array | None, training: bool, momentum: float, eps: float
) -> tuple[Array, Array, Array]:
    """What instance norm becomes, with every pair of row and channel a channel of its own."""
    y, mean, scale = _normalise(x, (0, *range(2, x.ndim)), eps)
    y = _affine(y, _per_channel(weight, x.ndim), _per_channel(bias, x.ndim))
    return y, mean.reshape(-1), scale.reshape(-1)


def _batch_norm_with_fixed_statistics(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    mean: Array,
    variance: Array,
    momentum: float,
    eps: float,
) -> tuple[Array, Array, Array]:
    one = (1,) * (x.ndim - 2)
    y = (x - mean.reshape(-1, *one)) * jax.lax.rsqrt(variance.reshape(-1, *one) + eps)
    y = _affine(y, _per_channel(weight, x.ndim), _per_channel(bias, x.ndim))
    return y, jnp.zeros(0, x.dtype), jnp.zeros(0, x.dtype)


NORMALIZATIONS: dict[str, Callable[..., Any]] = {
    "aten.native_layer_norm.default": _layer_norm,
    "aten.native_group_norm.default": _group_norm,
    "aten._native_batch_norm_legit.no_stats": _batch_norm_without_statistics,
    "aten._native_batch_norm_legit_no_training.default": _batch_norm_with_fixed_statistics,
}
