"""What a prior is, and what it is on."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from jaxtyping import Array, Float, PRNGKeyArray

Params = Mapping[str, Float[Array, "..."]]
Shapes = Mapping[str, tuple[int, ...]]


class Prior(Protocol):
    """What every prior offers."""

    def log_prob(self, params: Params) -> Float[Array, ""]:
        """The normalised log density of all parameters together."""
        ...

    def sample(self, key: PRNGKeyArray, shapes: Shapes) -> dict[str, Float[Array, "..."]]:
        """One draw of all parameters."""
        ...


def fan_in(shape: tuple[int, ...]) -> int:
    """Number of inputs of one unit of a weight (out, in, ...): the product of ``shape[1:]``."""
    return math.prod(shape[1:])


def shapes_of(params: Params) -> dict[str, tuple[int, ...]]:
    """The shape of every parameter."""
    return {name: tuple(value.shape) for name, value in params.items()}


def params_of(prior: Prior) -> Callable[[Any], Any]:
    """Variables → the network's parameters; the variables themselves where the prior is on those."""
    return getattr(prior, "params", _unchanged)


def _unchanged(variables: Any) -> Any:
    return variables
