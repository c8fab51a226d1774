"""What a sampler is: settings that build a Markov kernel for a target, warm-up included."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import jax
from jaxtyping import Array, PRNGKeyArray

LogDensity = Callable[[Any], Array]
State = Any
Stats = dict[str, Array]

# The names of the axes that chains lie on: over devices, and side by side in one device.
DEVICE_AXIS = "chain"
LANE_AXIS = "lane"


class Target(Protocol):
    """What is sampled: a ``Posterior``, or a plain function in a ``Density``."""

    def log_density(self, params: Any) -> Array:
        """The log density of one set of parameters, up to a constant."""
        ...


@dataclass(frozen=True)
class Density:
    """A plain log density as a target: it has no prior, no likelihood and no rows."""

    log_density: LogDensity


class Kernel(NamedTuple):
    """One Markov chain; many of them are vmapped, or run one after another.

    Attributes:
        init: (key, params) → state.
        step: (key, state, iteration) → (state, statistics). Iterations below ``n_warmup`` adapt; all
            later ones leave the settings of the kernel as they are, so the chain is Markov.
        params: state → params.
        together: When the chains of one CPU device are vmapped, and not run one after another:
            ``"always"``, as chains that learn from each other must be; ``"never"``, best where steps
            differ in length and vmapped chains would wait for the longest; or where they are ``"many"``.
    """

    init: Callable[[PRNGKeyArray, Any], State]
    step: Callable[[PRNGKeyArray, State, Array], tuple[State, Stats]]
    params: Callable[[State], Any]
    together: Literal["always", "many", "never"] = "always"


class Sampler(Protocol):
    """A frozen dataclass of settings."""

    def kernel(self, target: Any, n_warmup: int) -> Kernel:
        """The Markov kernel for one target and one length of warm-up."""
        ...


def as_target(target: Any) -> Target:
    """The target itself, or a ``Density`` around a function params → log density.

    Raises:
        ValueError: It is neither.
    """
    if hasattr(target, "log_density"):
        return target
    if callable(target):
        return Density(target)
    raise ValueError(
        f"the target is a {type(target).__name__}; pass a Posterior or a function "
        "params → log density."
    )


def require_parts(target: Any, needed_by: str) -> Any:
    """The target, refused where prior, likelihood and rows are not known apart.

    Raises:
        ValueError: The target is a plain log density.
    """
    if not hasattr(target, "log_likelihood"):
        raise ValueError(
            f"{needed_by} needs the prior and the likelihood apart; pass a "
            "Posterior(log_prior=…, log_likelihood=…, data=…) in place of a log density."
        )
    return target


def gather_chains(tree: Any) -> Any:
    """The trees of all chains, stacked in the order of the chains; for kernels that learn from all.

    Outside of ``sample`` a chain is alone, and the leading axis has length 1.
    """

    def gather(leaf: Array) -> Array:
        leaf = jax.lax.all_gather(leaf, LANE_AXIS) if _is_bound(LANE_AXIS) else leaf[None]
        return jax.lax.all_gather(leaf, DEVICE_AXIS, tiled=True) if _is_bound(DEVICE_AXIS) else leaf

    return jax.tree.map(gather, tree)


def chain_number() -> Array | int:
    """Which chain this is, counted from 0 in the order of ``gather_chains``."""
    lane: Array | int = 0
    n_lanes = 1
    if _is_bound(LANE_AXIS):
        lane, n_lanes = jax.lax.axis_index(LANE_AXIS), jax.lax.axis_size(LANE_AXIS)
    return lane + (jax.lax.axis_index(DEVICE_AXIS) * n_lanes if _is_bound(DEVICE_AXIS) else 0)


def _is_bound(axis: str) -> bool:
    try:
        jax.lax.axis_size(axis)
    except NameError:
        return False
    return True
