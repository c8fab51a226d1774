"""The table of operators: the name of an ATen operator → the same operation in JAX.

One entry an operator, with ATen's argument order and defaults. Arguments that place or lay out a
tensor (``device``, ``memory_format``, …) are dropped before the call, and torch dtypes arrive as
NumPy dtypes. What ``torch.export`` writes for multilayer perceptrons is here; a network that needs
more is told which name is missing.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

Operator = Callable[..., Any]


def _addmm(bias: Array, a: Array, b: Array, *, beta: float = 1, alpha: float = 1) -> Array:
    product = a @ b if alpha == 1 else alpha * (a @ b)
    return product + (bias if beta == 1 else beta * bias)


def _add(a: Any, b: Any, *, alpha: float = 1) -> Any:
    return a + b if alpha == 1 else a + alpha * b


def _subtract(a: Any, b: Any, *, alpha: float = 1) -> Any:
    return a - b if alpha == 1 else a - alpha * b


def _gelu(x: Array, *, approximate: str = "none") -> Array:
    return jax.nn.gelu(x, approximate=approximate == "tanh")


def _elu(x: Array, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Array:
    negative = alpha * jnp.expm1(jnp.minimum(x, 0) * input_scale)
    return scale * jnp.where(x > 0, x, negative)


def _softplus(x: Array, beta: float = 1, threshold: float = 20) -> Array:
    scaled = beta * x
    return jnp.where(scaled > threshold, x, jnp.logaddexp(scaled, 0) / beta)


def _reduce(reduction: Operator) -> Operator:
    """A reduction with ATen's signature, where the axes None and [] both mean all of them."""

    def reduced(
        x: Array,
        dim: int | Sequence[int] | None = None,
        keepdim: bool = False,
        *,
        dtype: Any = None,
    ) -> Array:
        axes = (dim,) if isinstance(dim, int) else tuple(dim or ()) or None
        return reduction(x if dtype is None else x.astype(dtype), axis=axes, keepdims=keepdim)

    return reduced


def _slice(x: Array, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Array:
    index: list[Any] = [slice(None)] * x.ndim
    index[dim] = slice(start, end, step)
    return x[tuple(index)]


def _cast(x: Any, *, dtype: Any = None) -> Array:
    return jnp.asarray(x) if dtype is None else jnp.asarray(x).astype(dtype)


def _clamp(x: Array, lower: Any = None, upper: Any = None) -> Array:
    return jnp.clip(x, lower, upper)


OPERATORS: dict[str, Operator] = {
    # products
    "aten.addmm.default": _addmm,
    "aten.mm.default": jnp.matmul,
    "aten.bmm.default": jnp.matmul,
    # arithmetic
    "aten.add.Tensor": _add,
    "aten.add.Scalar": _add,
    "aten.sub.Tensor": _subtract,
    "aten.sub.Scalar": _subtract,
    "aten.mul.Tensor": operator.mul,
    "aten.mul.Scalar": operator.mul,
    "aten.div.Tensor": operator.truediv,
    "aten.div.Scalar": operator.truediv,
    "aten.neg.default": operator.neg,
    "aten.reciprocal.default": jnp.reciprocal,
    "aten.abs.default": jnp.abs,
    "aten.exp.default": jnp.exp,
    "aten.log.default": jnp.log,
    "aten.log1p.default": jnp.log1p,
    "aten.sin.default": jnp.sin,
    "aten.cos.default": jnp.cos,
    "aten.sqrt.default": jnp.sqrt,
    "aten.rsqrt.default": jax.lax.rsqrt,
    "aten.erf.default": jax.scipy.special.erf,
    "aten.pow.Tensor_Scalar": operator.pow,
    "aten.pow.Tensor_Tensor": operator.pow,
    "aten.maximum.default": jnp.maximum,
    "aten.minimum.default": jnp.minimum,
    "aten.clamp.default": _clamp,
    "aten.where.self": jnp.where,
    "aten.gt.Scalar": operator.gt,
    "aten.lt.Scalar": operator.lt,
    "aten.ge.Scalar": operator.ge,
    "aten.le.Scalar": operator.le,
    # activations
    "aten.relu.default": jax.nn.relu,
    "aten.tanh.default": jnp.tanh,
    "aten.sigmoid.default": jax.nn.sigmoid,
    "aten.gelu.default": _gelu,
    "aten.silu.default": jax.nn.silu,
    "aten.elu.default": _elu,
    "aten.softplus.default": _softplus,
    "aten.leaky_relu.default": lambda x, slope=0.01: jnp.where(x > 0, x, slope * x),
    "aten.hardtanh.default": lambda x, lower=-1.0, upper=1.0: jnp.clip(x, lower, upper),
    "aten._softmax.default": lambda x, dim, half_to_float: jax.nn.softmax(x, axis=dim),
    "aten._log_softmax.default": lambda x, dim, half_to_float: jax.nn.log_softmax(x, axis=dim),
    # reductions
    "aten.sum.dim_IntList": _reduce(jnp.sum),
    "aten.sum.default": _reduce(jnp.sum),
    "aten.mean.dim": _reduce(jnp.mean),
    "aten.mean.default": _reduce(jnp.mean),
    "aten.amax.default": _reduce(jnp.max),
    "aten.amin.default": _reduce(jnp.min),
    # shapes
    "aten.view.default": jnp.reshape,
    "aten.reshape.default": jnp.reshape,
    "aten.permute.default": jnp.transpose,
    "aten.unsqueeze.default": jnp.expand_dims,
    "aten.squeeze.dims": lambda x, dims: jnp.squeeze(x, tuple(d for d in dims if x.shape[d] == 1)),
    "aten.expand.default": lambda x, size: jnp.broadcast_to(
        x,
        [
            o if n == -1 else n
            for o, n in zip((1,) * (len(size) - x.ndim) + x.shape, size, strict=True)
        ],
    ),
    "aten.cat.default": lambda xs, dim=0: jnp.concatenate(xs, axis=dim),
    "aten.slice.Tensor": _slice,
    "aten.select.int": lambda x, dim, index: jnp.take(x, index, axis=dim),
    "aten.clone.default": lambda x: x,
    "aten.alias.default": lambda x: x,
    "aten._to_copy.default": _cast,
    "aten.full.default": lambda size, value, *, dtype=None: jnp.full(size, value, dtype),
    "aten.sym_size.int": lambda x, dim: x.shape[dim],
    # arithmetic on sizes
    "operator.add": operator.add,
    "operator.sub": operator.sub,
    "operator.mul": operator.mul,
    "operator.floordiv": operator.floordiv,
    "operator.getitem": operator.getitem,
}

# Arguments that say where or how a tensor lies, never what it holds.
LAYOUT_ARGUMENTS = frozenset(
    {"device", "layout", "memory_format", "non_blocking", "pin_memory", "implicit"}
)
