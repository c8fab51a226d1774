"""What moves entries without computing anything."""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array


def _index(x: Array, dim: int, entry: Any) -> tuple[Any, ...]:
    index: list[Any] = [slice(None)] * x.ndim
    index[dim] = entry
    return tuple(index)


def _slice(x: Array, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Array:
    return x[_index(x, dim, slice(start, end, step))]


def _slice_scatter(
    x: Array, source: Array, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Array:
    return x.at[_index(x, dim, slice(start, end, step))].set(source)


def _select_scatter(x: Array, source: Array, dim: int, index: int) -> Array:
    return x.at[_index(x, dim, index)].set(source)


def _split(x: Array, sizes: Sequence[int], dim: int = 0) -> list[Array]:
    return jnp.split(x, list(accumulate(sizes))[:-1], axis=dim)


def _unbind(x: Array, dim: int = 0) -> list[Array]:
    return [jax.lax.index_in_dim(x, i, dim, keepdims=False) for i in range(x.shape[dim])]


def _expand(x: Array, size: Sequence[int]) -> Array:
    old = (1,) * (len(size) - x.ndim) + x.shape
    return jnp.broadcast_to(x, [o if n == -1 else n for o, n in zip(old, size, strict=True)])


def _squeeze(x: Array, dims: int | Sequence[int]) -> Array:
    chosen = (dims,) if isinstance(dims, int) else dims
    return jnp.squeeze(x, tuple(d for d in chosen if x.shape[d] == 1))


def _pad(x: Array, pad: Sequence[int], value: Any = 0) -> Array:
    # ATen counts axes from the last one, and a negative width cuts.
    widths = [(low, high, 0) for low, high in zip(pad[::2], pad[1::2], strict=True)]
    untouched = [(0, 0, 0)] * (x.ndim - len(widths))
    return jax.lax.pad(x, jnp.asarray(value, x.dtype), untouched + widths[::-1])


def _diagonal(x: Array, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Array:
    return jnp.diagonal(x, offset, dim1, dim2)


def _concatenate(tensors: Sequence[Array], dim: int = 0) -> Array:
    # An empty vector fits beside anything in PyTorch.
    return jnp.concatenate([t for t in tensors if t.shape != (0,)] or list(tensors)[:1], axis=dim)


SHAPES: dict[str, Callable[..., Any]] = {
    "aten.view.default": jnp.reshape,
    "aten.reshape.default": jnp.reshape,
    "aten._unsafe_view.default": jnp.reshape,
    "aten.permute.default": jnp.transpose,
    "aten.transpose.int": jnp.swapaxes,
    "aten.unsqueeze.default": jnp.expand_dims,
    "aten.squeeze.dim": _squeeze,
    "aten.squeeze.dims": _squeeze,
    "aten.expand.default": _expand,
    "aten.repeat.default": jnp.tile,
    "aten.flip.default": jnp.flip,
    "aten.cat.default": _concatenate,
    "aten.stack.default": lambda tensors, dim=0: jnp.stack(tensors, axis=dim),
    "aten.slice.Tensor": _slice,
    "aten.slice_scatter.default": _slice_scatter,
    "aten.select.int": lambda x, dim, index: jax.lax.index_in_dim(x, index, dim, keepdims=False),
    "aten.select_scatter.default": _select_scatter,
    "aten.split_with_sizes.default": _split,
    "aten.unbind.int": _unbind,
    "aten.diagonal.default": _diagonal,
    "aten.constant_pad_nd.default": _pad,
}
