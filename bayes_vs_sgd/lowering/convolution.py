"""Convolution as a primitive of its own: the form that each platform runs fast, in loops too.

XLA runs a convolution on the CPU by Eigen only if its axes lie as (batch, space, feature), and it
mends other layouts only outside ``scan`` and ``while``; inside, and for the gradients that JAX
derives there, it falls back to a plain loop that is 15 times as slow and more. Here every convolution,
those of the derivatives included, is written with its axes in that order. Several chains, each with
its own kernel, are a stack of convolutions and run one after another on the CPU, where XLA's grouped
convolution is several times slower; a GPU takes the grouped one.

A kernel of few numbers, such as a first layer's, is a matrix product with shifted images instead: those
of the data are the same for all chains and in every step of a loop, so XLA makes them once.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir


@dataclass(frozen=True)
class Window:
    """How the kernel moves over the input, one entry for every spatial axis.

    Attributes:
        stride: Step of the window.
        padding: Zeros (before, after) the input, dilated; negative ones cut it.
        input_dilation: Distance of neighbouring inputs; above 1 for a transposed convolution.
        kernel_dilation: Distance of neighbouring taps.
    """

    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    input_dilation: tuple[int, ...]
    kernel_dilation: tuple[int, ...]

    def output(self, space: Sequence[int], kernel: Sequence[int]) -> tuple[int, ...]:
        """Spatial shape of the output."""
        return tuple(
            (_dilated(n, a) + low + high - _dilated(k, b)) // s + 1
            for n, k, s, (low, high), a, b in self.axes(space, kernel)
        )

    def axes(self, *sizes: Sequence[int]) -> Iterator[tuple[Any, ...]]:
        """The sizes, stride, padding and dilations of one axis after the other."""
        settings = (self.stride, self.padding, self.input_dilation, self.kernel_dilation)
        return zip(*sizes, *settings, strict=True)


def convolve(x: Array, kernel: Array, window: Window) -> Array:
    """Cross-correlation y[g, n, p, o] = Σ_{k, i} x[g, n, stride·p + dilation·k − low, i] kernel[g, k, i, o].

    Differentiable to any order, forwards and backwards, and vmapped over either argument.

    Args:
        x: Shape (stack, batch, *space, in), for one to three spatial axes.
        kernel: Shape (stack, *taps, in, out); member g of the stack sees x[g] alone.
        window: Strides, padding and dilations.

    Returns:
        Shape (stack, batch, *space', out).
    """
    n_weights = math.prod(kernel.shape[1:-1])
    if 1 < n_weights <= _FEW_WEIGHTS and kernel.shape[-1] > 1:
        return _by_product(x, kernel, window)
    return _primitive.bind(x, kernel, window=window)


# Numbers that one output sees: 25 in LeNet's first layer, 27 for a 3×3 kernel on three colours. At 72 the
# product was slower already.
_FEW_WEIGHTS = 32


def _by_product(x: Array, kernel: Array, window: Window) -> Array:
    """Shifted images side by side and one matrix product."""
    shifted = jnp.concatenate(_pieces(x, kernel.shape[1:-2], window), axis=-1)
    outputs = kernel.shape[-1]
    return jnp.einsum("gn...i,gio->gn...o", shifted, kernel.reshape(len(kernel), -1, outputs))


_primitive = Primitive("stacked_convolution")


_primitive.def_impl(jax.jit(_primitive.bind, static_argnames="window"))


@_primitive.def_abstract_eval
def _shape(x: Any, kernel: Any, *, window: Window) -> Any:
    space = window.output(x.shape[2:-1], kernel.shape[1:-2])
    return x.update(shape=(*x.shape[:2], *space, kernel.shape[-1]), weak_type=False)


def _gradient_to_input(cotangent: Array, x: Any, kernel: Array, *, window: Window) -> Array:
    """The convolution of the cotangent with the kernel turned round."""
    sizes = x.aval.shape[2:-1], kernel.shape[1:-2], cotangent.shape[2:-1]
    padding = []
    for n, k, out, s, (low, _), a, b in window.axes(*sizes):
        before = _dilated(k, b) - 1 - low
        padding.append((before, _dilated(n, a) + _dilated(k, b) - 1 - _dilated(out, s) - before))
    turned = jnp.flip(kernel, range(1, kernel.ndim - 2)).swapaxes(-1, -2)
    back = Window(window.input_dilation, tuple(padding), window.stride, window.kernel_dilation)
    return convolve(cotangent, turned, back)


def _gradient_to_kernel(cotangent: Array, x: Array, kernel: Any, *, window: Window) -> Array:
    """The convolution of the input with the cotangent as the kernel; rows take the place of features."""
    sizes = x.shape[2:-1], kernel.aval.shape[1:-2], cotangent.shape[2:-1]
    padding = tuple(
        (low, _dilated(out, s) - _dilated(n, a) + _dilated(k, b) - 1 - low)
        for n, k, out, s, (low, _), a, b in window.axes(*sizes)
    )
    back = Window(window.kernel_dilation, padding, window.input_dilation, window.stride)
    gradient = convolve(x.swapaxes(1, -1), jnp.moveaxis(cotangent, 1, -2), back)
    return jnp.moveaxis(gradient, 1, -2)


def _batched(
    args: tuple[Array, Array], axes: tuple[Any, Any], *, window: Window
) -> tuple[Array, int]:
    """Fold the new axis into the batch or the outputs, or, if both arguments have it, into the stack."""
    (x, kernel), (x_axis, kernel_axis) = args, axes
    if kernel_axis is None:
        x = jnp.moveaxis(x, x_axis, 1)
        many, rows = x.shape[1:3]
        y = convolve(x.reshape(x.shape[0], many * rows, *x.shape[3:]), kernel, window)
        return y.reshape(y.shape[0], many, rows, *y.shape[2:]), 1
    if x_axis is None:
        kernel = jnp.moveaxis(kernel, kernel_axis, -2)
        many, outputs = kernel.shape[-2:]
        y = convolve(x, kernel.reshape(*kernel.shape[:-2], many * outputs), window)
        return y.reshape(*y.shape[:-1], many, outputs), y.ndim - 1
    x, kernel = jnp.moveaxis(x, x_axis, 0), jnp.moveaxis(kernel, kernel_axis, 0)
    merged_x, merged = x.reshape(-1, *x.shape[2:]), kernel.reshape(-1, *kernel.shape[2:])
    y = convolve(merged_x, merged, window)
    return y.reshape(*x.shape[:2], *y.shape[1:]), 0


def _by_xla(x: Array, kernel: Array, *, window: Window) -> Array:
    """XLA's own convolution, grouped where there is a stack."""
    return jax.vmap(partial(_one, window=window))(x, kernel)


def _on_cpu(x: Array, kernel: Array, *, window: Window) -> Array:
    x, window = _cut(x, window)
    if x.shape[-1] == 1 and kernel.shape[-1] == 1 and math.prod(kernel.shape[1:-2]) <= _MAX_TERMS:
        return _as_sum(x, kernel, window)
    if len(x) == 1:
        return _one(x[0], kernel[0], window)[None]
    return jax.lax.map(lambda pair: _one(pair[0], pair[1], window), (x, kernel))


# Depthwise kernels have few taps; their gradients have as many as the image has places.
_MAX_TERMS = 49


def _one(x: Array, kernel: Array, window: Window) -> Array:
    """One convolution in the axis order that Eigen takes."""
    letters = "DHW"[-(x.ndim - 2) :]
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window.stride,
        window.padding,
        window.input_dilation,
        window.kernel_dilation,
        dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C"),
    )


def _cut(x: Array, window: Window) -> tuple[Array, Window]:
    """Replace negative padding by slices, where the input is not dilated."""
    cut: list[Any] = [slice(None)] * x.ndim
    padding = list(window.padding)
    for axis, (low, high) in enumerate(window.padding):
        if window.input_dilation[axis] == 1:
            stop = x.shape[axis + 2] + min(high, 0)
            cut[axis + 2] = slice(max(-low, 0), stop)
            padding[axis] = (max(low, 0), max(high, 0))
    return x[tuple(cut)], replace(window, padding=tuple(padding))


def _as_sum(x: Array, kernel: Array, window: Window) -> Array:
    """One elementwise product for every tap; XLA fuses them into one loop."""
    taps = kernel.shape[1:-2]
    terms = [
        piece * kernel[(slice(None), *tap)].reshape(len(kernel), *(1,) * (x.ndim - 2), -1)
        for tap, piece in zip(product(*map(range, taps)), _pieces(x, taps, window), strict=True)
    ]
    return sum(terms[1:], start=terms[0])


def _pieces(x: Array, taps: Sequence[int], window: Window) -> list[Array]:
    """What each tap of the kernel sees, in the order of the taps."""
    padded, space = _pad(x, window), window.output(x.shape[2:-1], taps)
    return [
        _piece(
            padded,
            [t * d for t, d in zip(tap, window.kernel_dilation, strict=True)],
            space,
            window.stride,
        )
        for tap in product(*map(range, taps))
    ]


def _pad(x: Array, window: Window) -> Array:
    none = (0, 0, 0)
    inner = [
        (low, high, a - 1)
        for (low, high), a in zip(window.padding, window.input_dilation, strict=True)
    ]
    return jax.lax.pad(x, jnp.zeros((), x.dtype), [none, none, *inner, none])


def _piece(x: Array, start: Sequence[int], size: Sequence[int], step: Sequence[int]) -> Array:
    """A strided box of the spatial axes."""
    box = [
        slice(first, first + (n - 1) * by + 1, by)
        for first, n, by in zip(start, size, step, strict=True)
    ]
    return x[(slice(None), slice(None), *box)]


def _dilated(size: int, dilation: int) -> int:
    return 0 if size == 0 else 1 + dilation * (size - 1)


ad.defbilinear(_primitive, _gradient_to_input, _gradient_to_kernel)
batching.primitive_batchers[_primitive] = _batched
mlir.register_lowering(_primitive, mlir.lower_fun(_by_xla, multiple_results=False))
mlir.register_lowering(_primitive, mlir.lower_fun(_on_cpu, multiple_results=False), platform="cpu")
