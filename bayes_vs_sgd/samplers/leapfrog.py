"""The leapfrog step as few operations as it takes."""

from collections.abc import Callable
from typing import Any

import jax
from blackjax.mcmc.integrators import IntegratorState
from jaxtyping import Array, Float

from .kernel import LogDensity

Step = Callable[[IntegratorState, Float[Array, ""]], IntegratorState]


def leapfrog(inverse_mass: Float[Array, " d"]) -> Callable[[LogDensity, Any], Step]:
    """BlackJAX's velocity Verlet for parameters in one vector and a diagonal mass matrix.

    p ← p + (ε/2) ∇ log density(θ); θ ← θ + ε M⁻¹ p; p ← p + (ε/2) ∇ log density(θ). BlackJAX differentiates
    the kinetic energy and maps over trees, which takes a sixth of the time on a small network.

    Args:
        inverse_mass: The diagonal of M⁻¹.

    Returns:
        What BlackJAX's kernels take as ``integrator``.
    """

    def integrator(log_density: LogDensity, kinetic_energy: Any) -> Step:
        value_and_grad = jax.value_and_grad(log_density)

        def step(state: IntegratorState, step_size: Float[Array, ""]) -> IntegratorState:
            momentum = state.momentum + step_size / 2 * state.logdensity_grad
            position = state.position + step_size * inverse_mass * momentum
            value, gradient = value_and_grad(position)
            return IntegratorState(position, momentum + step_size / 2 * gradient, value, gradient)

        return step

    return integrator
