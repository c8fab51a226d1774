"""Reading and writing entries by their number, choosing between entries, sorting."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array


def _as_index(indices: Sequence[Array | None]) -> tuple[Any, ...]:
    return tuple(slice(None) if index is None else index for index in indices)


def _put(
    x: Array, indices: Sequence[Array | None], values: Array, accumulate: bool = False
) -> Array:
    given = [(axis, index) for axis, index in enumerate(indices) if index is not None]
    axis, index = given[0]
    if len(given) == 1 and index.dtype == jnp.bool_:
        # ``x[:, mask] = value``, which JAX does not take under jit.
        mask = index.reshape(*index.shape, *(1,) * (x.ndim - axis - index.ndim))
        return jnp.where(mask, x + values if accumulate else values, x)
    place = x.at[_as_index(indices)]
    return place.add(values) if accumulate else place.set(values)


def _grid(index: Array, dim: int) -> tuple[Array, ...]:
    """The coordinates that entry by entry ``gather`` and ``scatter`` speak of."""
    axes = list(jnp.indices(index.shape, sparse=True))
    axes[dim] = index
    return tuple(axes)


def _gather(x: Array, dim: int, index: Array, *, sparse_grad: bool = False) -> Array:
    return x[_grid(index, dim)]


def _scatter(x: Array, dim: int, index: Array, source: Any) -> Array:
    return x.at[_grid(index, dim)].set(jnp.asarray(_cut_like(source, index), x.dtype))


def _scatter_add(x: Array, dim: int, index: Array, source: Any) -> Array:
    return x.at[_grid(index, dim)].add(_cut_like(source, index))


def _cut_like(source: Any, index: Array) -> Any:
    """The source may be larger than the index; what lies outside is not read."""
    return source if jnp.ndim(source) == 0 else source[tuple(slice(n) for n in index.shape)]


def _embedding(
    weight: Array,
    indices: Array,
    padding_idx: int = -1,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Array:
    if padding_idx >= 0:
        # PyTorch never moves this row, whatever the output depends on.
        still = jnp.arange(len(weight)) == padding_idx
        weight = jnp.where(still[:, None], jax.lax.stop_gradient(weight), weight)
    return weight[indices]


def _sort(x: Array, dim: int = -1, descending: bool = False) -> tuple[Array, Array]:
    order = jnp.argsort(x, axis=dim, descending=descending, stable=True)
    return jnp.take_along_axis(x, order, axis=dim), order


def _top(
    x: Array, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> tuple[Array, Array]:
    last = jnp.moveaxis(x, dim, -1)
    values, places = jax.lax.top_k(last if largest else -last, k)
    values = values if largest else -values
    return jnp.moveaxis(values, -1, dim), jnp.moveaxis(places, -1, dim)


INDEXING: dict[str, Callable[..., Any]] = {
    "aten.where.self": jnp.where,
    "aten.index.Tensor": lambda x, indices: x[_as_index(indices)],
    "aten.index_put.default": _put,
    "aten.index_select.default": lambda x, dim, index: jnp.take(x, index, axis=dim),
    "aten.gather.default": _gather,
    "aten.scatter.src": _scatter,
    "aten.scatter.value": _scatter,
    "aten.scatter_add.default": _scatter_add,
    "aten.embedding.default": _embedding,
    "aten.sort.default": _sort,
    "aten.topk.default": _top,
}
