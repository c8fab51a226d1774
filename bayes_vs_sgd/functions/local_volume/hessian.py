"""The whole Hessian of a function of named parameters, some columns at a time, in float64."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...checks import human_bytes, require_count
from ...conjugate.features import unflatten
from ...programs import found_again
from .regions import Cost

# A matrix of more columns takes more than a gigabyte, and its eigenvalues an hour.
_MOST = 12_000


@dataclasses.dataclass(frozen=True)
class Expansion:
    """A function to second order at θ: f(θ + δ) ≈ value + gradient·δ + ½ δᵀ·hessian·δ.

    Attributes:
        value: f(θ).
        gradient: In the order of the parameters, each flattened.
        hessian: Symmetric, in the same order.
    """

    value: float
    gradient: Float[np.ndarray, " d"]
    hessian: Float[np.ndarray, "d d"]


def hessian_matrix(
    cost: Cost, centre: Any, *, data: Any = (), n_at_once: int = 32
) -> Float[np.ndarray, "d d"]:
    """∇²cost at θ*, in the order of the names of ``centre``, each flattened in C order.

    Args:
        cost: (params, data) → scalar, pure JAX; it is computed in float64.
        centre: θ*, parameters by name.
        data: Passed on to ``cost``.
        n_at_once: Columns computed side by side, by products of the Hessian with unit vectors.

    Raises:
        ValueError: There are more than 12,000 parameters, or ``n_at_once`` is no count.
    """
    return expansion(cost, centre, data, n_at_once).hessian


def expansion(cost: Cost, centre: Any, data: Any, n_at_once: int) -> Expansion:
    """The function to second order at the centre, in float64.

    Raises:
        ValueError: There are more than 12,000 parameters, or ``n_at_once`` is no count.
    """
    require_count("n_at_once", n_at_once)
    shapes = {name: tuple(np.shape(value)) for name, value in centre.items()}
    size = sum(math.prod(shape) for shape in shapes.values())
    if size > _MOST:
        raise ValueError(
            f"the centre has {size} parameters, whose Hessian takes {human_bytes(8.0 * size**2)}; pass at "
            f"most {_MOST}, or use hessian_diagonal."
        )
    with jax.enable_x64(True):
        theta = jnp.asarray(flat64(centre))
        value, gradient, columns = _second_order(cost, tuple(shapes.items()), n_at_once)(
            theta, in_float64(data)
        )
        matrix = np.array(columns)
    return Expansion(float(value), np.asarray(gradient), 0.5 * (matrix + matrix.T))


def flat64(centre: Mapping[str, Any]) -> Float[np.ndarray, " d"]:
    """The parameters in the order of their names, flattened, in float64."""
    return np.concatenate([np.ravel(np.asarray(v, dtype=np.float64)) for v in centre.values()])


def in_float64(data: Any) -> Any:
    """The data with every floating-point array in double precision; called where JAX has it."""

    def convert(leaf: Any) -> Array:
        array = jnp.asarray(leaf)
        return array.astype(jnp.float64) if jnp.issubdtype(array.dtype, jnp.floating) else array

    return jax.tree.map(convert, data)


@found_again(32)
def _second_order(
    cost: Cost, shapes: tuple[tuple[str, tuple[int, ...]], ...], n_at_once: int
) -> Callable[..., Any]:
    def second_order(theta: Array, data: Any) -> tuple[Array, Array, Array]:
        def function(theta: Array) -> Array:
            return cost(unflatten(theta, dict(shapes)), data)

        gradient = jax.grad(function)

        def column(i: Array) -> Array:
            unit = jnp.zeros_like(theta).at[i].set(1)
            return jax.jvp(gradient, (theta,), (unit,))[1]

        columns = jax.lax.map(column, jnp.arange(len(theta)), batch_size=n_at_once)
        return function(theta), gradient(theta), columns

    return jax.jit(second_order)
