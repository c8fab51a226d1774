"""Matrix products."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import Array


def _addmm(bias: Array, a: Array, b: Array, *, beta: float = 1, alpha: float = 1) -> Array:
    product = a @ b if alpha == 1 else alpha * (a @ b)
    return product + (bias if beta == 1 else beta * bias)


PRODUCTS: dict[str, Callable[..., Any]] = {
    "aten.addmm.default": _addmm,
    "aten.baddbmm.default": _addmm,
    "aten.mm.default": jnp.matmul,
    "aten.bmm.default": jnp.matmul,
    "aten.mv.default": jnp.matmul,
    "aten.dot.default": jnp.matmul,
}
