"""Regions around a solution: where its cost is almost as low, or where it is the same function."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Num

from ...checks import require_positive
from ...programs import found_again
from ..patterns import classify

Cost = Callable[[Any, Any], Float[Array, ""]]
Inside = Callable[[Any, Any], Bool[Array, ""]]


@dataclass(frozen=True)
class Region:
    """A set of parameters.

    Attributes:
        inside: (params, data) → whether the parameters belong to it; pure JAX.
        data: What ``inside`` takes besides; an argument of the compiled search, so that another centre
            or other rows of the same shape need no second compilation.
    """

    inside: Inside
    data: Any = ()


def cost_below(cost: Cost, centre: Any, cutoff: float, *, data: Any = ()) -> Region:
    """The basin {θ: cost(θ) − cost(θ*) ≤ cutoff}.

    Where the cost is not a number, θ is outside.

    Args:
        cost: (params, data) → scalar, such as a mean cross-entropy or a divergence from the
            predictions at θ*; pure JAX.
        centre: θ*, parameters by name.
        cutoff: How far above its value at θ* the cost may lie, in its own unit.
        data: Passed on to ``cost``.

    Raises:
        ValueError: ``cutoff`` is not positive, or the cost at θ* not finite.
    """
    require_positive("cutoff", cutoff)
    lowest = jax.jit(cost)(centre, data)
    if not jnp.isfinite(lowest):
        raise ValueError(f"the cost at the centre is {lowest}; pass a centre where it is finite.")
    return Region(_cost_is_below(cost), (data, lowest + cutoff))


def same_function(apply: Callable[..., Array], x: Num[Array, "n ..."], centre: Any) -> Region:
    """All parameters that give every row of x the class that θ* gives it.

    It is the set of a function f on x, of which P(f) is the whole prior mass. A region need not be
    star-shaped around θ*, nor connected: what rays from θ* see of it is a lower bound of P(f).

    Args:
        apply: (params, x) → outputs of shape (n,), (n, 1) for 1[z > 0], or (n, classes) for the
            index of the largest.
        x: Inputs.
        centre: θ*, parameters by name.
    """
    rows = jnp.asarray(x)
    return Region(_gives_the_classes(apply), (rows, classify(jax.jit(apply)(centre, rows))))


@found_again(32)
def _cost_is_below(cost: Cost) -> Inside:
    def inside(params: Any, data: Any) -> Bool[Array, ""]:
        rows, limit = data
        return cost(params, rows) <= limit

    return inside


@found_again(32)
def _gives_the_classes(apply: Callable[..., Array]) -> Inside:
    def inside(params: Any, data: Any) -> Bool[Array, ""]:
        x, classes = data
        return (classify(apply(params, x)) == classes).all()

    return inside
