"""Reductions along axes, and running ones."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array


def _axes(dim: int | Sequence[int] | None) -> tuple[int, ...] | None:
    """ATen's axes as NumPy's; None and [] both mean all of them."""
    return (dim,) if isinstance(dim, int) else tuple(dim or ()) or None


def _reduce(reduction: Callable[..., Any]) -> Callable[..., Any]:
    """A reduction with ATen's signature."""

    def reduced(
        x: Array,
        dim: int | Sequence[int] | None = None,
        keepdim: bool = False,
        *,
        dtype: Any = None,
    ) -> Array:
        x = x if dtype is None else x.astype(dtype)
        return reduction(x, axis=_axes(dim), keepdims=keepdim)

    return reduced


def _extreme(reduction: Callable[..., Any]) -> Callable[..., Any]:
    """A largest or smallest entry, of equal ones each with its share of the derivative.

    The derivative looks for the entries that equal the extreme one. XLA may compute the operand again for
    it, and where that is rounded otherwise the derivative is lost; the barrier keeps it from that.
    """
    return lambda x, *args, **kwargs: reduction(jax.lax.optimization_barrier(x), *args, **kwargs)


def _variance(
    x: Array,
    dim: int | Sequence[int] | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
) -> Array:
    axes = _axes(dim)
    count = math.prod(x.shape if axes is None else (x.shape[a] for a in axes))
    centred = x - x.mean(axis=axes, keepdims=True)
    freedom = max(count - (1 if correction is None else correction), 0)
    return jnp.square(centred).sum(axis=axes, keepdims=keepdim) / freedom


def first_maximum(x: Array, axis: int, *, keepdims: bool = False) -> tuple[Array, Array]:
    """The maximum along an axis and where it is; the first of equals alone has the derivative."""
    place = jnp.argmax(x, axis=axis, keepdims=True)
    shape = [1] * x.ndim
    shape[axis] = x.shape[axis]
    chosen = jnp.arange(x.shape[axis], dtype=place.dtype).reshape(shape) == place
    value = jnp.where(chosen, x, 0).sum(axis=axis, keepdims=keepdims, dtype=x.dtype)
    return value, place if keepdims else place.squeeze(axis)


def _max(x: Array, dim: int, keepdim: bool = False) -> tuple[Array, Array]:
    return first_maximum(x, dim, keepdims=keepdim)


def _min(x: Array, dim: int, keepdim: bool = False) -> tuple[Array, Array]:
    turn = jnp.logical_not if x.dtype == jnp.bool_ else jnp.negative
    value, place = first_maximum(turn(x), dim, keepdims=keepdim)
    return turn(value), place


def _logical(reduction: Callable[..., Any]) -> Callable[..., Any]:
    def reduced(x: Array, dim: Sequence[int] | None = None, keepdim: bool = False) -> Array:
        # Here [] means no axis at all.
        return reduction(x, axis=None if dim is None else tuple(dim), keepdims=keepdim)

    return reduced


def _running(accumulate: Callable[..., Any]) -> Callable[..., Any]:
    def run(x: Array, dim: int, *, dtype: Any = None) -> Array:
        return accumulate(x if dtype is None else x.astype(dtype), axis=dim)

    return run


def _index_of(search: Callable[..., Any]) -> Callable[..., Any]:
    def found(x: Array, dim: int | None = None, keepdim: bool = False) -> Array:
        return search(x, axis=dim, keepdims=keepdim)

    return found


REDUCTIONS: dict[str, Callable[..., Any]] = {
    "aten.sum.dim_IntList": _reduce(jnp.sum),
    "aten.sum.default": _reduce(jnp.sum),
    "aten.mean.dim": _reduce(jnp.mean),
    "aten.mean.default": _reduce(jnp.mean),
    "aten.prod.dim_int": _reduce(jnp.prod),
    "aten.prod.default": lambda x, *, dtype=None: _reduce(jnp.prod)(x, dtype=dtype),
    "aten.amax.default": _extreme(_reduce(jnp.max)),
    "aten.amin.default": _extreme(_reduce(jnp.min)),
    "aten.max.default": _extreme(jnp.max),
    "aten.min.default": _extreme(jnp.min),
    "aten.max.dim": _max,
    "aten.min.dim": _min,
    "aten.any.default": jnp.any,
    "aten.any.dim": _reduce(jnp.any),
    "aten.any.dims": _logical(jnp.any),
    "aten.all.default": jnp.all,
    "aten.all.dim": _reduce(jnp.all),
    "aten.all.dims": _logical(jnp.all),
    "aten.argmax.default": _index_of(jnp.argmax),
    "aten.argmin.default": _index_of(jnp.argmin),
    "aten.var.correction": _variance,
    "aten.cumsum.default": _running(jnp.cumsum),
    "aten.cumprod.default": _running(jnp.cumprod),
}
