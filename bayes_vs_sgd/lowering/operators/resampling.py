"""Images made larger or smaller."""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array


def _sizes(
    x: Array, output_size: Sequence[int] | None, scale_factors: Sequence[float] | None, n_axes: int
) -> list[tuple[int, int, float]]:
    """(axis, new size, old entries a new one) of every axis."""
    axes = range(x.ndim - n_axes, x.ndim)
    if output_size is not None:
        return [(a, n, x.shape[a] / n) for a, n in zip(axes, output_size, strict=True)]
    factors = scale_factors or ()
    return [(a, int(x.shape[a] * f), 1 / f) for a, f in zip(axes, factors, strict=True)]


def _nearest(n_axes: int) -> Callable[..., Any]:
    def resample(
        x: Array,
        output_size: Sequence[int] | None,
        scale_factors: Sequence[float] | None = None,
    ) -> Array:
        for axis, n, step in _sizes(x, output_size, scale_factors, n_axes):
            size = x.shape[axis]
            # PyTorch rounds in single precision, and for images takes these two sizes as exact.
            step = size / n if n_axes == 2 and n in (size, 2 * size) else step
            places = np.floor(np.arange(n, dtype=np.float32) * np.float32(step)).astype(int)
            x = jnp.take(x, np.minimum(places, size - 1), axis=axis)
        return x

    return resample


def _linear(n_axes: int) -> Callable[..., Any]:
    def resample(
        x: Array,
        output_size: Sequence[int] | None,
        align_corners: bool,
        scale_factors: Sequence[float] | None = None,
    ) -> Array:
        for axis, n, step in _sizes(x, output_size, scale_factors, n_axes):
            weights = jnp.asarray(_interpolation(x.shape[axis], n, step, align_corners), x.dtype)
            x = jnp.moveaxis(jnp.tensordot(x, weights, (axis, 1)), -1, axis)
        return x

    return resample


def _interpolation(size: int, n: int, step: float, align_corners: bool) -> np.ndarray:
    """The matrix (new, old) of linear interpolation along one axis."""
    if align_corners:
        position = np.arange(n) * ((size - 1) / (n - 1) if n > 1 else 0.0)
    else:
        position = np.maximum((np.arange(n) + 0.5) * step - 0.5, 0)
    left = np.minimum(np.floor(position).astype(int), size - 1)
    right = np.minimum(left + 1, size - 1)
    share = position - left
    matrix = np.zeros((n, size))
    np.add.at(matrix, (np.arange(n), left), 1 - share)
    np.add.at(matrix, (np.arange(n), right), share)
    return matrix


RESAMPLING: dict[str, Callable[..., Any]] = {
    "aten.upsample_nearest1d.vec": _nearest(1),
    "aten.upsample_nearest2d.vec": _nearest(2),
    "aten.upsample_nearest3d.vec": _nearest(3),
    "aten.upsample_linear1d.vec": _linear(1),
    "aten.upsample_bilinear2d.vec": _linear(2),
    "aten.upsample_trilinear3d.vec": _linear(3),
}
