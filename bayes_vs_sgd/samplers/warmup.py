"""Stan's windowed warm-up around any Hamiltonian transition: step size and diagonal mass matrix.

The pieces (schedule, dual averaging, Welford) are BlackJAX's; here they are put into one step
function that also serves after the warm-up, so that a run compiles once, can be cut into chunks, and
shows its progress.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from blackjax.adaptation.mass_matrix import mass_matrix_adaptation
from blackjax.adaptation.step_size import dual_averaging_adaptation
from blackjax.adaptation.window_adaptation import build_schedule
from blackjax.mcmc.hmc import HMCState
from blackjax.mcmc.hmc import init as init_chain
from jaxtyping import Array, Float, PRNGKeyArray

from .kernel import Kernel, LogDensity, Stats

Transition = Callable[
    [PRNGKeyArray, HMCState, Float[Array, ""], Float[Array, " d"]], tuple[HMCState, Stats]
]


class Adapted(NamedTuple):
    """A chain with the settings it moves by and what they are estimated from."""

    chain: HMCState
    step_size: Float[Array, ""]
    averaging: Any
    mass: Any


def windowed(
    transition: Transition,
    log_density: LogDensity,
    *,
    n_warmup: int,
    step_size: float,
    target_acceptance: float,
) -> Kernel:
    """A kernel that adapts for ``n_warmup`` iterations and then stays as it is.

    Stan's schedule: a fast window (step size), slow windows of doubling length (mass matrix at the
    end of each, from the window's draws alone), a fast window. Dual averaging drives the mean
    acceptance to ``target_acceptance``; its average is the final step size. With ``n_warmup=0`` the
    step size given and the identity are used.

    Args:
        transition: (key, chain, step size, inverse mass diagonal) → (chain, statistics), where the
            statistics have ``acceptance_rate``.
        log_density: The target.
        n_warmup: Iterations that adapt.
        step_size: Where the step size starts.
        target_acceptance: Mean acceptance to aim at.
    """
    start_averaging, update_averaging, average = dual_averaging_adaptation(target_acceptance)
    start_mass, update_mass, finish_mass = mass_matrix_adaptation(True)
    schedule = jnp.asarray(build_schedule(n_warmup)).reshape(-1, 2)

    def init(params: Any) -> Adapted:
        chain = init_chain(params, log_density)
        dimension = sum(leaf.size for leaf in jax.tree.leaves(params))
        step = jnp.asarray(step_size, chain.logdensity.dtype)
        return Adapted(chain, step, start_averaging(step), start_mass(dimension))

    def adapt(state: Adapted, acceptance: Array, iteration: Array) -> Adapted:
        is_slow, is_window_end = schedule[iteration]
        averaging = update_averaging(state.averaging, acceptance)
        mass = jax.lax.cond(
            is_slow == 1, lambda m: update_mass(m, state.chain.position), lambda m: m, state.mass
        )
        averaging, mass = jax.lax.cond(
            is_window_end == 1,
            lambda a, m: (start_averaging(average(a)), finish_mass(m)),
            lambda a, m: (a, m),
            averaging,
            mass,
        )
        log_step = jnp.where(
            iteration == n_warmup - 1, averaging.log_step_size_avg, averaging.log_step_size
        )
        return state._replace(step_size=jnp.exp(log_step), averaging=averaging, mass=mass)

    def step(key: PRNGKeyArray, state: Adapted, iteration: Array) -> tuple[Adapted, Stats]:
        inverse_mass = state.mass.inverse_mass_matrix
        chain, stats = transition(key, state.chain, state.step_size, inverse_mass)
        stats |= {"step_size": state.step_size, "lp": chain.logdensity}
        state = state._replace(chain=chain)
        if n_warmup > 0:
            state = jax.lax.cond(
                iteration < n_warmup,
                lambda s: adapt(s, stats["acceptance_rate"], iteration),
                lambda s: s,
                state,
            )
        return state, stats

    return Kernel(init, step, lambda state: state.chain.position)
