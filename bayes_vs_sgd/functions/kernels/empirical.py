"""The tangent kernel of a network of finite width, at given parameters."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...checks import require_count

# Numbers that the Jacobian of one block of rows may hold.
_BLOCK = 2**24


def empirical_ntk(
    apply: Callable[..., Array],
    params: Mapping[str, Float[Array, "..."]],
    x: Float[Array, "n ..."],
    y: Float[Array, "m ..."] | None = None,
    *,
    batch_size: int | None = None,
) -> Float[Array, "n out m out"]:
    """Θ(x, y) = Σ_p ∂f(x)/∂θ_p ∂f(y)/∂θ_p over all parameters.

    Pure JAX: it can be jitted, and vmapped over draws of the parameters. The Jacobians of ``batch_size``
    rows of x and of y are held at a time and multiplied parameter by parameter, never the whole. Rows are
    taken one by one, so that a network whose rows depend on one another has no such kernel. Reshaped to
    (n·out, m·out) it is the matrix of gradient descent on all outputs; ``output_mean`` makes it
    comparable with ``Kernels.ntk``.

    Args:
        apply: (params, x) → outputs of shape (n,) or (n, out).
        params: Parameters by name, without a leading axis.
        x: Inputs.
        y: Inputs; None is x itself.
        batch_size: Rows whose Jacobians are held at once; None takes as many as 2²⁴ numbers allow.

    Returns:
        Shape (n, out, m, out), with out = 1 for a network that returns shape (n,).

    Raises:
        ValueError: ``batch_size`` is no positive integer.
    """
    inputs, others, given = jnp.asarray(x), jnp.asarray(x if y is None else y), dict(params)

    def outputs(values: Any, row: Array) -> Array:
        return apply(values, row[None]).reshape(-1)

    n_outputs = jax.eval_shape(outputs, given, inputs[0]).size
    size = n_outputs * sum(math.prod(jnp.shape(value)) for value in given.values())
    rows = max(1, _BLOCK // size) if batch_size is None else batch_size
    require_count("batch_size", rows)

    def jacobian(row: Array) -> dict[str, Array]:
        found = jax.jacrev(outputs)(given, row)
        return {name: value.reshape(n_outputs, -1) for name, value in found.items()}

    def against_others(row: Array) -> Array:
        of_row = jacobian(row)
        return _mapped(lambda other: _product(of_row, jacobian(other)), others, rows)

    kernel = _mapped(against_others, inputs, rows)
    return jnp.moveaxis(kernel, 2, 1)


def output_mean(kernel: Float[Array, "n out m out"]) -> Float[Array, "n m"]:
    """The mean over outputs of each with itself: (1/out)·Σ_a Θ_(i,a),(j,a)."""
    return jnp.einsum("iaja->ij", kernel) / kernel.shape[1]


def _mapped(function: Callable[[Array], Array], rows: Array, batch_size: int) -> Array:
    """A function of one row for all rows; ``lax.map`` would compile it twice where one batch is all."""
    if batch_size >= len(rows):
        return jax.vmap(function)(rows)
    return jax.lax.map(function, rows, batch_size=batch_size)


def _product(a: dict[str, Array], b: dict[str, Array]) -> Array:
    parts = [jnp.matmul(a[name], b[name].T, precision="highest") for name in sorted(a)]
    return sum(parts[1:], start=parts[0])
