"""Tensors made from nothing, or from the shape of another."""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import Array


def _full(size: Sequence[int], value: Any, *, dtype: Any = None) -> Array:
    return jnp.full(tuple(size), value, dtype)


def _full_like(x: Array, value: Any, *, dtype: Any = None) -> Array:
    return jnp.full(x.shape, value, x.dtype if dtype is None else dtype)


def _arange(start: Any, end: Any, step: Any = 1, *, dtype: Any = None) -> Array:
    return jnp.arange(start, end, step, dtype)


def _scalar(value: Any, *, dtype: Any = None) -> Array:
    return jnp.asarray(value, jnp.result_type(float) if dtype is None else dtype)


def _copy(x: Array, source: Array, non_blocking: bool = False) -> Array:
    return jnp.broadcast_to(source.astype(x.dtype), x.shape)


CONSTRUCTORS: dict[str, Callable[..., Any]] = {
    "aten.full.default": _full,
    "aten.full_like.default": _full_like,
    "aten.empty.memory_format": lambda size, *, dtype=None: _full(size, 0.0, dtype=dtype),
    "aten.scalar_tensor.default": _scalar,
    "aten.arange.start_step": _arange,
    "aten.copy.default": _copy,
    "aten.fill.Scalar": _full_like,
}
