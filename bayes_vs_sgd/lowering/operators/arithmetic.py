"""Elementwise arithmetic, comparisons and logic, on tensors and on sizes."""

import math
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

special = jax.scipy.special


def _add(a: Any, b: Any, *, alpha: float = 1) -> Any:
    return a + (b if alpha == 1 else alpha * b)


def _subtract(a: Any, b: Any, *, alpha: float = 1) -> Any:
    return a - (b if alpha == 1 else alpha * b)


def _divide(a: Any, b: Any, *, rounding_mode: str | None = None) -> Any:
    if rounding_mode == "floor":
        return jnp.floor_divide(a, b)
    quotient = a / b
    if rounding_mode is None:
        return quotient
    return jnp.trunc(quotient).astype(jnp.result_type(a, b))


def _power(x: Any, exponent: Any) -> Any:
    if exponent == 0.5:
        return jnp.sqrt(x)
    # Whole exponents have a derivative at 0 and below it.
    real = jnp.issubdtype(x.dtype, jnp.floating)
    whole = real and isinstance(exponent, float) and exponent.is_integer()
    return x ** (int(exponent) if whole else exponent)


def clamp(x: Array, lower: Any = None, upper: Any = None) -> Array:
    """Between two numbers; the derivative on the bounds is PyTorch's 0, where jnp.clip has a half."""
    if lower is not None:
        x = jnp.where(x <= lower, lower, x)
    return x if upper is None else jnp.where(x >= upper, upper, x)


def _maximum(a: Any, b: Any) -> Array:
    """The larger of two; where they are equal they share the derivative.

    The derivative of jnp.maximum looks for the one that equals the result, which XLA may have computed with
    another rounding.
    """
    if not jnp.issubdtype(jnp.result_type(a, b), jnp.floating):
        return jnp.maximum(a, b)
    return jnp.where(a > b, a, jnp.where(a < b, b, a / 2 + b / 2))


def _minimum(a: Any, b: Any) -> Array:
    if not jnp.issubdtype(jnp.result_type(a, b), jnp.floating):
        return jnp.minimum(a, b)
    return -_maximum(-jnp.asarray(a), -jnp.asarray(b))


def _clamp_tensor(x: Array, lower: Array | None = None, upper: Array | None = None) -> Array:
    # Here an entry and a bound that are equal share the derivative.
    if lower is not None:
        x = _maximum(x, lower)
    return x if upper is None else _minimum(x, upper)


def _absolute(x: Array) -> Array:
    # jnp.abs has the derivative 1 at 0, where PyTorch has 0.
    return jnp.where(x == 0, jnp.zeros_like(x), jnp.abs(x))


def _sign(x: Array) -> Array:
    return x if x.dtype == jnp.bool_ else jnp.sign(x)


def of_reals(function: Callable[..., Any]) -> Callable[..., Any]:
    """Take integers and booleans too, in the default floating-point type."""

    def applied(x: Array) -> Array:
        is_real = jnp.issubdtype(x.dtype, jnp.floating)
        return function(x if is_real else x.astype(jnp.result_type(float)))

    return applied


def _cast(x: Any, *, dtype: Any = None) -> Array:
    return jnp.asarray(x) if dtype is None else jnp.asarray(x).astype(dtype)


def _same(x: Any) -> Any:
    return x


def _nothing(*_: Any, **__: Any) -> None:
    """An assertion that torch.export wrote down; both engines were compared already."""


_COMPARISONS: dict[str, Callable[..., Any]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}

_ON_BOTH: dict[str, Callable[..., Any]] = _COMPARISONS | {
    "add": _add,
    "sub": _subtract,
    "mul": operator.mul,
    "div": _divide,
    "remainder": jnp.mod,
    "fmod": jnp.fmod,
    "bitwise_and": operator.and_,
    "bitwise_or": operator.or_,
    "bitwise_xor": operator.xor,
}

_UNARY: dict[str, Callable[..., Any]] = {
    "abs": _absolute,
    "alias": _same,
    "bitwise_not": jnp.invert,
    "ceil": jnp.ceil,
    "clone": _same,
    "detach": jax.lax.stop_gradient,
    "floor": jnp.floor,
    "isfinite": jnp.isfinite,
    "isinf": jnp.isinf,
    "isnan": jnp.isnan,
    "lift_fresh_copy": _same,
    "logical_not": jnp.logical_not,
    "neg": operator.neg,
    "round": jnp.round,
    "sign": _sign,
    "trunc": jnp.trunc,
}

_REAL: dict[str, Callable[..., Any]] = {
    "acos": jnp.arccos,
    "acosh": jnp.arccosh,
    "asin": jnp.arcsin,
    "asinh": jnp.arcsinh,
    "atan": jnp.arctan,
    "atanh": jnp.arctanh,
    "cos": jnp.cos,
    "cosh": jnp.cosh,
    "digamma": special.digamma,
    "erf": special.erf,
    "erfc": special.erfc,
    "erfinv": special.erfinv,
    "exp": jnp.exp,
    "exp2": jnp.exp2,
    "expm1": jnp.expm1,
    "lgamma": special.gammaln,
    "log": jnp.log,
    "log10": jnp.log10,
    "log1p": jnp.log1p,
    "log2": jnp.log2,
    "reciprocal": jnp.reciprocal,
    "rsqrt": jax.lax.rsqrt,
    "sin": jnp.sin,
    "sinh": jnp.sinh,
    "sqrt": jnp.sqrt,
    "tan": jnp.tan,
}

_BINARY: dict[str, Callable[..., Any]] = {
    "atan2": jnp.arctan2,
    "logical_and": jnp.logical_and,
    "logical_or": jnp.logical_or,
    "logical_xor": jnp.logical_xor,
    "maximum": _maximum,
    "minimum": _minimum,
}

_ON_SIZES: dict[str, Callable[..., Any]] = _COMPARISONS | {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "floordiv": operator.floordiv,
    "truediv": operator.truediv,
    "mod": operator.mod,
    "neg": operator.neg,
    "pow": operator.pow,
    "getitem": operator.getitem,
    "ceil": math.ceil,
    "floor": math.floor,
    "trunc": math.trunc,
    "sym_max": max,
    "sym_min": min,
    "sym_float": float,
    "sym_int": int,
    "sym_sum": sum,
}

ARITHMETIC: dict[str, Callable[..., Any]] = {
    **{f"aten.{name}.Tensor": f for name, f in _ON_BOTH.items()},
    **{f"aten.{name}.Scalar": f for name, f in _ON_BOTH.items()},
    **{f"aten.{name}.default": f for name, f in (_UNARY | _BINARY).items()},
    **{f"aten.{name}.default": of_reals(f) for name, f in _REAL.items()},
    **{f"operator.{name}": f for name, f in _ON_SIZES.items()},
    "aten.div.Tensor_mode": _divide,
    "aten.div.Scalar_mode": _divide,
    "aten.pow.Tensor_Scalar": _power,
    "aten.pow.Tensor_Tensor": operator.pow,
    "aten.pow.Scalar": operator.pow,
    "aten.clamp.default": clamp,
    "aten.clamp.Tensor": _clamp_tensor,
    "aten._to_copy.default": _cast,
    "aten.sym_size.int": lambda x, dim: x.shape[dim],
    "aten._assert_tensor_metadata.default": _nothing,
    "aten._assert_async.msg": _nothing,
    "aten._assert_scalar.default": _nothing,
}
