"""The Hessian's diagonal and trace from its products with random signs."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from ...checks import require_count
from ...programs import found_again
from ...types import Estimate
from .regions import Cost


def hessian_diagonal(
    key: PRNGKeyArray, cost: Cost, centre: Any, *, data: Any = (), n_probes: int = 100
) -> Estimate:
    """The diagonal of H = ∇²cost at θ*, unbiased (Hutchinson 1990; Bekas, Kokiopoulou & Saad 2007).

    diag H = E[v ∘ Hv] with independent signs v; the estimate of entry i has variance
    Σ_{j≠i} H_ij²/n_probes, so it may be negative where H's diagonal is not.

    Args:
        key: Source of randomness.
        cost: (params, data) → scalar, pure JAX.
        centre: θ*, parameters by name.
        data: Passed on to ``cost``.
        n_probes: Products with H, each about the price of two gradients.

    Returns:
        Parameters by name, and their standard errors by name.

    Raises:
        ValueError: ``n_probes`` is less than 2.
    """
    require_count("n_probes", n_probes, least=2)
    mean, square = _diagonal_moments(cost)(jax.random.split(key, n_probes), centre, data)
    value, sem = {}, {}
    for name in mean:
        value[name] = np.asarray(mean[name])
        spread = np.maximum(np.asarray(square[name]) - value[name] ** 2, 0)
        sem[name] = np.sqrt(spread / (n_probes - 1))
    return Estimate(value, sem)


def hessian_trace(
    key: PRNGKeyArray, cost: Cost, centre: Any, *, data: Any = (), n_probes: int = 100
) -> Estimate:
    """The trace of H = ∇²cost at θ*: the mean of vᵀHv over independent signs v.

    Args:
        key: Source of randomness.
        cost: (params, data) → scalar, pure JAX.
        centre: θ*, parameters by name.
        data: Passed on to ``cost``.
        n_probes: Products with H.

    Returns:
        The trace with its standard error.

    Raises:
        ValueError: ``n_probes`` is less than 2.
    """
    require_count("n_probes", n_probes, least=2)
    values = np.asarray(
        _traces(cost)(jax.random.split(key, n_probes), centre, data), dtype=np.float64
    )
    return Estimate(float(values.mean()), float(values.std(ddof=1) / np.sqrt(n_probes)))


def probe(key: PRNGKeyArray, cost: Cost, centre: Any, data: Any) -> Any:
    """One draw of v ∘ Hv with random signs v; pure JAX."""
    leaves, tree = jax.tree.flatten(centre)
    keys = jax.random.split(key, len(leaves))
    signs = jax.tree.unflatten(
        tree,
        [
            jax.random.rademacher(k, leaf.shape, leaf.dtype)
            for k, leaf in zip(keys, leaves, strict=True)
        ],
    )
    _, product = jax.jvp(jax.grad(lambda params: cost(params, data)), (centre,), (signs,))
    return jax.tree.map(jnp.multiply, signs, product)


@found_again(32)
def _diagonal_moments(cost: Cost) -> Any:
    def moments(keys: Any, centre: Any, data: Any) -> tuple[Any, Any]:
        def add(sums: Any, key: PRNGKeyArray) -> tuple[Any, None]:
            one = probe(key, cost, centre, data)
            total, squares = sums
            return (
                jax.tree.map(jnp.add, total, one),
                jax.tree.map(lambda s, a: s + a * a, squares, one),
            ), None

        zeros = jax.tree.map(jnp.zeros_like, centre)
        sums, _ = jax.lax.scan(add, (zeros, zeros), keys)
        return jax.tree.map(lambda s: s / len(keys), sums)

    return jax.jit(moments)


@found_again(32)
def _traces(cost: Cost) -> Any:
    def traces(keys: Any, centre: Any, data: Any) -> Any:
        def one(key: PRNGKeyArray) -> Any:
            return sum(leaf.sum() for leaf in jax.tree.leaves(probe(key, cost, centre, data)))

        return jax.lax.map(one, keys)

    return jax.jit(traces)
