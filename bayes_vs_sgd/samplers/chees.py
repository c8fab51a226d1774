"""Hamiltonian Monte Carlo whose trajectory length many chains tune together."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..checks import require_count, require_positive, require_probability
from .kernel import Kernel, Stats, Target, gather_chains

if TYPE_CHECKING:
    from blackjax.mcmc.hmc import HMCInfo, HMCState

# The jitter's sequence repeats after 2^16 iterations.
_HALTON_BITS = 16


class _Tuned(NamedTuple):
    chain: "HMCState"
    step_size: Float[Array, ""]
    length: Float[Array, ""]
    search: Any
    mass: Any
    inverse_mass: Float[Array, " d"]


@dataclass(frozen=True)
class ChEES:
    """Dynamic HMC whose step size and trajectory length maximise ChEES (Hoffman, Radul & Sountsov 2021).

    One transition is that of ``HMC`` with n = ⌈h_k·length/ε⌉ leapfrog steps, h_k in (0, 1) the k-th
    number of Halton's sequence, the same in all chains: no chain waits for a longer trajectory.

    Warm-up: Adam climbs E[¼(‖θ' − E θ'‖² − ‖θ − E θ‖²)²] in the log of the length, with expectations
    over all chains and in units of the mass matrix; dual averaging drives the harmonic mean of the
    acceptance to its aim; Stan's windows estimate the diagonal mass matrix, averaged over chains.
    The criterion and its update are BlackJAX's. More chains give a steadier length: 16 or more.

    Attributes:
        step_size: ε at the start of the warm-up, which adapts it; kept where ``n_warmup=0``.
        n_leapfrog: length/ε where ``n_warmup=0``.
        harmonic_acceptance: Harmonic mean of the acceptance over chains that the warm-up aims at.
        learning_rate: Adam's, for the log of the length.
        max_leapfrog: Leapfrog steps at most.
    """

    step_size: float = 0.1
    n_leapfrog: int = 10
    harmonic_acceptance: float = 0.651
    learning_rate: float = 0.025
    max_leapfrog: int = 1000

    def __post_init__(self) -> None:
        require_positive("step_size", self.step_size)
        require_count("n_leapfrog", self.n_leapfrog)
        require_probability("harmonic_acceptance", self.harmonic_acceptance, 0.651)
        require_positive("learning_rate", self.learning_rate)
        require_count("max_leapfrog", self.max_leapfrog)

    def kernel(self, target: Target, n_warmup: int) -> Kernel:
        """The Markov kernel for one target and one length of warm-up."""
        # Importing BlackJAX starts JAX, after which its devices cannot be chosen any more.
        import blackjax
        import optax
        from blackjax.adaptation import chees_adaptation
        from blackjax.adaptation.mass_matrix import mass_matrix_adaptation
        from blackjax.adaptation.window_adaptation import build_schedule
        from blackjax.mcmc.dynamic_hmc import halton_sequence

        def jitter(iteration: Array) -> Array:
            return halton_sequence(iteration, _HALTON_BITS)

        move = blackjax.hmc.build_kernel()
        start_search, update_search = chees_adaptation.base(
            jitter,
            lambda i: i + 1,
            optax.adam(self.learning_rate),
            self.harmonic_acceptance,
            0.5,
            self.max_leapfrog,
        )
        start_mass, update_mass, finish_mass = mass_matrix_adaptation(True)
        schedule = jnp.asarray(build_schedule(n_warmup)).reshape(-1, 2)

        def init(key: PRNGKeyArray, params: Any) -> _Tuned:
            chain = blackjax.hmc.init(params, target.log_density)
            size = sum(leaf.size for leaf in jax.tree.leaves(params))
            step = jnp.asarray(self.step_size, chain.logdensity.dtype)
            search = jax.tree.map(jnp.asarray, start_search(jnp.asarray(0), step))
            mass = start_mass(size)
            return _Tuned(
                chain, step, self.n_leapfrog * step, search, mass, mass.inverse_mass_matrix
            )

        def transition(
            key: PRNGKeyArray, state: _Tuned, iteration: Array
        ) -> tuple["HMCState", "HMCInfo", Stats]:
            n = jnp.ceil(jitter(iteration) * state.length / state.step_size)
            n = jnp.clip(n, 1, self.max_leapfrog).astype(int)
            new, info = move(
                key, state.chain, target.log_density, state.step_size, state.inverse_mass, n
            )
            return (
                new,
                info,
                {
                    "acceptance_rate": info.acceptance_rate,
                    "diverging": info.is_divergent,
                    "n_steps": n,
                    "step_size": state.step_size,
                    "trajectory_length": state.length,
                    "lp": new.logdensity,
                },
            )

        def adapt(state: _Tuned, new: "HMCState", info: "HMCInfo", iteration: Array) -> _Tuned:
            seen = (
                info.proposal.position,
                info.proposal.momentum,
                state.chain.position,
                info.acceptance_rate,
                info.is_divergent,
            )
            search = update_search(state.search, *gather_chains(seen), state.inverse_mass)
            is_slow, is_window_end = schedule[iteration]
            mass = jax.lax.cond(
                is_slow == 1, lambda m: update_mass(m, new.position), lambda m: m, state.mass
            )
            mass, inverse_mass = jax.lax.cond(
                is_window_end == 1, renew, lambda m: (m, state.inverse_mass), mass
            )
            last = iteration == n_warmup - 1
            return _Tuned(
                new,
                jnp.where(last, jnp.exp(search.log_step_size_moving_average), search.step_size),
                search.trajectory_length,
                search,
                mass,
                inverse_mass,
            )

        def renew(mass: Any) -> tuple[Any, Array]:
            mass = finish_mass(mass)
            return mass, gather_chains(mass.inverse_mass_matrix).mean(axis=0)

        def step(key: PRNGKeyArray, state: _Tuned, iteration: Array) -> tuple[_Tuned, Stats]:
            new, info, stats = transition(key, state, iteration)
            if n_warmup == 0:
                return state._replace(chain=new), stats
            state = jax.lax.cond(
                iteration < n_warmup,
                lambda s: adapt(s, new, info, iteration),
                lambda s: s._replace(chain=new),
                state,
            )
            return state, stats

        return Kernel(init, step, lambda state: state.chain.position)
