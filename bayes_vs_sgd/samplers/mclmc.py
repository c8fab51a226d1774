"""Microcanonical Langevin Monte Carlo, unadjusted and adjusted."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..checks import require_count, require_positive, require_probability
from .kernel import Kernel, LogDensity, Stats, Target

if TYPE_CHECKING:
    from blackjax.mcmc.hmc import HMCState
    from blackjax.mcmc.integrators import IntegratorState


@dataclass(frozen=True)
class MCLMC:
    """Unadjusted microcanonical Langevin Monte Carlo (Robnik et al. 2023), BlackJAX's kernel.

    One transition, with u the unit vector of velocity and M the diagonal mass matrix: u is turned a
    little by noise, (θ, u) moves by one step ε of McLachlan's integrator of dθ = M^(−1/2) u dt,
    du = (I − uuᵀ) M^(−1/2) ∇ log density(θ)/(d − 1) dt, and u is turned again, so that its direction
    is forgotten over a length L = decoherence·√d. It costs two gradients.

    Nothing is rejected: the draws have a bias that grows with ε, which the warm-up chooses for an
    energy error of E[ΔE²] = energy_variance·d a step. One step is a short way, so pass ``thin``
    and a long warm-up, and start at a maximum or at trained networks (microcanonical Langevin
    ensembles, Sommer et al. 2025): it is slow to come down from afar.

    Attributes:
        energy_variance: E[ΔE²]/d that the warm-up aims at: the dial between bias and speed. The
            variances of a standard Gaussian in 10 and in 100 dimensions came out 2 % too small at
            5e-4 and 6 % at 5e-3 (Monte Carlo errors below 0.4 %).
        decoherence: L/√d, in units of the posterior's standard deviation.
        step_size: ε at the start of the warm-up, which adapts it; kept where ``n_warmup=0``.
    """

    energy_variance: float = 5e-4
    decoherence: float = 1.0
    step_size: float = 0.1

    def __post_init__(self) -> None:
        require_positive("energy_variance", self.energy_variance)
        require_positive("decoherence", self.decoherence)
        require_positive("step_size", self.step_size)

    def kernel(self, target: Target, n_warmup: int) -> Kernel:
        """The Markov kernel for one target and one length of warm-up."""
        # Importing BlackJAX starts JAX, after which its devices cannot be chosen any more.
        import blackjax

        from .step_size import energy_variance
        from .warmup import windowed

        move = blackjax.mclmc.build_kernel()

        def start(key: PRNGKeyArray, params: Any, log_density: LogDensity) -> "IntegratorState":
            _require_two_dimensions(params)
            return blackjax.mclmc.init(params, log_density, key)

        def transition(
            key: PRNGKeyArray,
            chain: "IntegratorState",
            log_density: LogDensity,
            step_size: Float[Array, ""],
            inverse_mass: Float[Array, " d"],
        ) -> tuple["IntegratorState", Stats]:
            length = self.decoherence * math.sqrt(inverse_mass.size)
            new, info = move(key, chain, log_density, inverse_mass, length, step_size)
            return new, {
                "diverging": ~info.nonans,
                "energy_error": info.energy_change,
                "n_steps": jnp.asarray(2),
            }

        return windowed(
            transition,
            target.log_density,
            energy_variance(self.energy_variance),
            n_warmup=n_warmup,
            step_size=self.step_size,
            start_chain=start,
        )


@dataclass(frozen=True)
class AdjustedMCLMC:
    """Metropolis-adjusted microcanonical Monte Carlo (Robnik et al. 2025), BlackJAX's kernel.

    One transition, with M the diagonal mass matrix: draw a unit velocity u uniformly; move (θ, u) by
    n steps ε of McLachlan's integrator (see ``MCLMC``; no noise on the way); accept with probability
    min(1, exp(−ΔE)), else repeat the old state. n is uniform on 1, …, ⌈2L/ε⌉ − 1 with
    L = decoherence·√d, so that the mean trajectory has length L. A step costs two gradients.

    Attributes:
        decoherence: L/√d, in units of the posterior's standard deviation.
        step_size: ε at the start of the warm-up, which adapts it; kept where ``n_warmup=0``.
        target_acceptance: Mean acceptance the warm-up aims at.
        max_steps: Steps of a trajectory at most.
    """

    decoherence: float = 1.0
    step_size: float = 0.1
    target_acceptance: float = 0.9
    max_steps: int = 256

    def __post_init__(self) -> None:
        require_positive("decoherence", self.decoherence)
        require_positive("step_size", self.step_size)
        require_probability("target_acceptance", self.target_acceptance, 0.9)
        require_count("max_steps", self.max_steps)

    def kernel(self, target: Target, n_warmup: int) -> Kernel:
        """The Markov kernel for one target and one length of warm-up."""
        # Importing BlackJAX starts JAX, after which its devices cannot be chosen any more.
        import blackjax
        from blackjax.mcmc.dynamic_hmc import DynamicHMCState
        from blackjax.mcmc.hmc import HMCState

        from .step_size import dual_averaging
        from .warmup import start_hmc, windowed

        def n_steps(key: PRNGKeyArray, mean: Array) -> Array:
            most = jnp.clip(jnp.ceil(2 * mean) - 1, 1, self.max_steps)
            return 1 + (jax.random.uniform(key) * most).astype(int)

        move = blackjax.adjusted_mclmc_dynamic.build_kernel(integration_steps_fn=n_steps)

        def start(key: PRNGKeyArray, params: Any, log_density: LogDensity) -> "HMCState":
            _require_two_dimensions(params)
            return start_hmc(key, params, log_density)

        def transition(
            key: PRNGKeyArray,
            chain: "HMCState",
            log_density: LogDensity,
            step_size: Float[Array, ""],
            inverse_mass: Float[Array, " d"],
        ) -> tuple["HMCState", Stats]:
            key_move, key_length = jax.random.split(key)
            length = self.decoherence * math.sqrt(inverse_mass.size)
            new, info = move(
                key_move,
                DynamicHMCState(*chain, key_length),
                log_density,
                step_size,
                inverse_mass_matrix=inverse_mass,
                integration_steps_params=(length / step_size,),
            )
            return HMCState(new.position, new.logdensity, new.logdensity_grad), {
                "acceptance_rate": info.acceptance_rate,
                "diverging": info.is_divergent,
                "n_steps": 2 * info.num_integration_steps,
            }

        return windowed(
            transition,
            target.log_density,
            dual_averaging(self.target_acceptance),
            n_warmup=n_warmup,
            step_size=self.step_size,
            start_chain=start,
        )


def _require_two_dimensions(params: Any) -> None:
    if sum(leaf.size for leaf in jax.tree.leaves(params)) < 2:
        raise ValueError(
            "microcanonical samplers move by the direction of a velocity, so one parameter is too "
            "few; pass HMC or NUTS for one."
        )
