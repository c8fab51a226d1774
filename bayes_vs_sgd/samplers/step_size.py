"""Ways to find a step size while a chain warms up."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from blackjax.adaptation.step_size import dual_averaging_adaptation
from jaxtyping import Array, Float

from .kernel import Stats

# Robnik, De Luca, Silverstein & Seljak 2023, as in BlackJAX's tuning of MCLMC.
_TRUST = 1.5
_MEMORY = 149 / 151


class StepSizeSearch(NamedTuple):
    """How a step size follows from the statistics of transitions.

    Attributes:
        start: (step size, number of parameters) → state.
        update: (state, statistics of a transition) → state.
        current: state → the step size to try next.
        best: state → the step size to keep.
    """

    start: Callable[[Float[Array, ""], int], Any]
    update: Callable[[Any, Stats], Any]
    current: Callable[[Any], Float[Array, ""]]
    best: Callable[[Any], Float[Array, ""]]


def dual_averaging(target_acceptance: float) -> StepSizeSearch:
    """Nesterov's dual averaging of log ε on the mean acceptance (Hoffman & Gelman 2014)."""
    start, update, best = dual_averaging_adaptation(target_acceptance)
    return StepSizeSearch(
        lambda step_size, dimension: start(step_size),
        lambda state, stats: update(state, stats["acceptance_rate"]),
        lambda state: jnp.exp(state.log_step_size),
        best,
    )


class _EnergyAverage(NamedTuple):
    step_size: Array
    wanted: Array
    weight: Array
    total: Array
    limit: Array


def energy_variance(wanted: float) -> StepSizeSearch:
    """The ε at which the energy error of one step has E[ΔE²] = wanted·d (Robnik et al. 2023).

    With ξ = ΔE²/(wanted·d) and E[ΔE²] ∝ ε⁶: ε = (Σ w ξ/ε⁶ / Σ w)^(−1/6) with weights
    w = exp(−½(log ξ/(6·1.5))²) that forget by 149/151 a step. What of ΔE may be rounding of the log
    density does not count, or a start far from the mode would drive ε to 0. A step that is not
    finite halves the limit on ε.

    Args:
        wanted: E[ΔE²]/d, with ΔE the statistic ``energy_error``.
    """

    def start(step_size: Float[Array, ""], dimension: int) -> _EnergyAverage:
        zero = jnp.zeros_like(step_size)
        return _EnergyAverage(
            step_size, zero + wanted * dimension, zero, zero, jnp.full_like(step_size, jnp.inf)
        )

    def update(state: _EnergyAverage, stats: Stats) -> _EnergyAverage:
        failed = stats["diverging"]
        rounding = 4 * jnp.finfo(stats["lp"].dtype).eps * jnp.abs(stats["lp"])
        error = jnp.maximum(jnp.abs(stats["energy_error"]) - rounding, 0.0)
        xi = jnp.where(failed, 1.0, error**2 / state.wanted + 1e-8)
        weight = jnp.where(failed, 0.0, jnp.exp(-0.5 * (jnp.log(xi) / (6 * _TRUST)) ** 2))
        total = _MEMORY * state.total + weight * xi / state.step_size**6
        weight = _MEMORY * state.weight + weight
        limit = jnp.where(failed, state.step_size / 2, state.limit)
        found = jnp.where(weight > 0, (total / weight) ** (-1 / 6), state.step_size)
        return _EnergyAverage(jnp.minimum(found, limit), state.wanted, weight, total, limit)

    return StepSizeSearch(
        start, update, lambda state: state.step_size, lambda state: state.step_size
    )
