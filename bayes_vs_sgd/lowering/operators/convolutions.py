"""Convolutions and transposed convolutions over one to three axes, with groups."""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import Array

from ..convolution import Window, convolve


def _convolution(
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Array:
    """x: (n, in, *space); weight: (out, in/groups, *taps), or (in, out/groups, *taps) transposed."""
    n_axes = x.ndim - 2
    stride, padding, dilation, output_padding = (
        tuple(v) * (n_axes if len(v) == 1 else 1)
        for v in (stride, padding, dilation, output_padding)
    )
    one = (1,) * n_axes
    if transposed:
        reach = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        ends = [
            (r - p, r - p + extra)
            for r, p, extra in zip(reach, padding, output_padding, strict=True)
        ]
        window = Window(one, tuple(ends), stride, dilation)
    else:
        window = Window(stride, tuple((p, p) for p in padding), one, dilation)
    y = convolve(_by_group(x, groups), _kernel(weight, groups, transposed), window)
    y = jnp.moveaxis(y, (0, -1), (1, 2)).reshape(y.shape[1], -1, *y.shape[2:-1])
    return y if bias is None else y + bias.reshape(-1, *one)


def _by_group(x: Array, groups: int) -> Array:
    """(n, channels, *space) → (groups, n, *space, channels/groups)."""
    grouped = x.reshape(x.shape[0], groups, -1, *x.shape[2:])
    return jnp.moveaxis(grouped, (1, 2), (0, -1))


def _kernel(weight: Array, groups: int, transposed: bool) -> Array:
    """A torch weight → (groups, *taps, in/groups, out/groups)."""
    grouped = weight.reshape(groups, -1, *weight.shape[1:])
    if transposed:
        turned = jnp.flip(grouped, range(3, grouped.ndim))
        return jnp.moveaxis(turned, (1, 2), (-2, -1))
    return jnp.moveaxis(grouped, (2, 1), (-2, -1))


CONVOLUTIONS: dict[str, Callable[..., Any]] = {"aten.convolution.default": _convolution}
