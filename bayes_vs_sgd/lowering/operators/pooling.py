"""Pooling over the last one to three axes, one axis after the other."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from .reductions import first_maximum


def _output_size(
    size: int, kernel: int, stride: int, padding: int, dilation: int, ceil: bool
) -> int:
    reach = size + 2 * padding - dilation * (kernel - 1) - 1
    n = (-(-reach // stride) if ceil else reach // stride) + 1
    # PyTorch drops a last window that would start outside the input and its left padding.
    return n - 1 if ceil and (n - 1) * stride >= size + padding else n


def _windows(
    x: Array, axis: int, kernel: int, stride: int, padding: int, dilation: int, n: int, fill: float
) -> Array:
    """(..., size, ...) → (..., n, kernel, ...): the entries that each of n windows sees."""
    if kernel == stride and dilation == 1 and padding == 0 and n * kernel == x.shape[axis]:
        return x.reshape(*x.shape[:axis], n, kernel, *x.shape[axis + 1 :])
    widths = [(0, 0, 0)] * x.ndim
    right = (n - 1) * stride + dilation * (kernel - 1) + 1 - padding - x.shape[axis]
    widths[axis] = (padding, right, 0)
    padded = jax.lax.pad(x, jnp.asarray(fill, x.dtype), widths)
    pieces = [
        jax.lax.slice_in_dim(
            padded, k * dilation, k * dilation + (n - 1) * stride + 1, stride, axis
        )
        for k in range(kernel)
    ]
    return jnp.stack(pieces, axis=axis + 1)


def _per_axis(value: int | Sequence[int], n: int) -> list[int]:
    values = [value] if isinstance(value, int) else list(value)
    return values * n if len(values) == 1 else values


def _max_pool(n_axes: int) -> Callable[..., Any]:
    def pool(
        x: Array,
        kernel_size: Sequence[int],
        stride: Sequence[int] = (),
        padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        ceil_mode: bool = False,
    ) -> tuple[Array, Array]:
        kernel = _per_axis(kernel_size, n_axes)
        settings = zip(
            range(x.ndim - n_axes, x.ndim),
            kernel,
            _per_axis(stride, n_axes) or kernel,
            _per_axis(padding, n_axes),
            _per_axis(dilation, n_axes),
            strict=True,
        )
        space = x.shape[-n_axes:]
        places = jnp.broadcast_to(jnp.arange(np.prod(space)).reshape(space), x.shape)
        lowest = -jnp.inf if jnp.issubdtype(x.dtype, jnp.floating) else jnp.iinfo(x.dtype).min
        # The last axis first: of equal entries PyTorch takes the first in reading order.
        for axis, k, s, p, d in reversed(list(settings)):
            n = _output_size(x.shape[axis], k, s, p, d, ceil_mode)
            seen = _windows(x, axis, k, s, p, d, n, lowest)
            x, chosen = first_maximum(seen, axis + 1)
            numbers = _windows(places, axis, k, s, p, d, n, 0)
            places = jnp.take_along_axis(numbers, jnp.expand_dims(chosen, axis + 1), axis + 1)
            places = places.squeeze(axis + 1)
        return x, places

    return pool


def _average_pool(n_axes: int) -> Callable[..., Any]:
    def pool(
        x: Array,
        kernel_size: Sequence[int],
        stride: Sequence[int] = (),
        padding: int | Sequence[int] = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Array:
        kernel = _per_axis(kernel_size, n_axes)
        strides, paddings = _per_axis(stride, n_axes) or kernel, _per_axis(padding, n_axes)
        count = np.ones(())
        for axis, k, s, p in zip(
            range(x.ndim - n_axes, x.ndim), kernel, strides, paddings, strict=True
        ):
            size = x.shape[axis]
            n = _output_size(size, k, s, p, 1, ceil_mode)
            x = _windows(x, axis, k, s, p, 1, n, 0).sum(axis + 1)
            first = np.arange(n) * s - p
            last = np.minimum(first + k, size + p)
            inside = np.minimum(last, size) - np.maximum(first, 0)
            count = np.multiply.outer(count, last - first if count_include_pad else inside)
        return x / (divisor_override or jnp.asarray(count, x.dtype))

    return pool


def _shares(size: int, n: int) -> np.ndarray:
    """Which entries (columns) each of n adaptive windows (rows) sees: ⌊i·size/n⌋ to ⌈(i+1)·size/n⌉."""
    window, entry = np.arange(n)[:, None], np.arange(size)
    return (entry >= window * size // n) & (entry < -(-(window + 1) * size // n))


def _adaptive_average_pool(x: Array, output_size: Sequence[int]) -> Array:
    for axis, n in zip(range(x.ndim - len(output_size), x.ndim), output_size, strict=True):
        shares = _shares(x.shape[axis], n)
        weights = jnp.asarray(shares / shares.sum(1, keepdims=True), x.dtype)
        x = jnp.moveaxis(jnp.tensordot(x, weights, (axis, 1)), -1, axis)
    return x


def _adaptive_max_pool(x: Array, output_size: Sequence[int]) -> tuple[Array, Array]:
    space = x.shape[-len(output_size) :]
    places = jnp.broadcast_to(jnp.arange(np.prod(space)).reshape(space), x.shape)
    for axis in reversed(range(x.ndim - len(output_size), x.ndim)):
        values, numbers = [], []
        for seen in _shares(x.shape[axis], output_size[axis - x.ndim]):
            inside = np.flatnonzero(seen)
            piece, number = (
                jax.lax.slice_in_dim(a, inside[0], inside[-1] + 1, axis=axis) for a in (x, places)
            )
            value, chosen = first_maximum(piece, axis, keepdims=True)
            values.append(value)
            numbers.append(jnp.take_along_axis(number, chosen, axis))
        x, places = jnp.concatenate(values, axis), jnp.concatenate(numbers, axis)
    return x, places


POOLING: dict[str, Callable[..., Any]] = {
    "aten.max_pool2d_with_indices.default": _max_pool(2),
    "aten.max_pool3d_with_indices.default": _max_pool(3),
    "aten.avg_pool1d.default": _average_pool(1),
    "aten.avg_pool2d.default": _average_pool(2),
    "aten.avg_pool3d.default": _average_pool(3),
    "aten.adaptive_avg_pool1d.default": _adaptive_average_pool,
    "aten._adaptive_avg_pool2d.default": _adaptive_average_pool,
    "aten._adaptive_avg_pool3d.default": _adaptive_average_pool,
    "aten.adaptive_max_pool2d.default": _adaptive_max_pool,
    "aten.adaptive_max_pool3d.default": _adaptive_max_pool,
}
