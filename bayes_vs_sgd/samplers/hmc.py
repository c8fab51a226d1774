"""Hamiltonian Monte Carlo with a fixed number of leapfrog steps."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..checks import require_count, require_positive
from .kernel import Kernel, LogDensity, Stats, Target

if TYPE_CHECKING:
    from blackjax.mcmc.hmc import HMCState

    from .numpyro_backend import NumPyroMoves

Backend = Literal["blackjax", "numpyro"]


def require_backend(backend: str) -> None:
    """Refuse a backend that is none.

    Raises:
        ValueError: It is unknown.
    """
    if backend not in get_args(Backend):
        raise ValueError(f"backend={backend!r} is unknown; pass 'blackjax' or 'numpyro'.")


@dataclass(frozen=True)
class HMC:
    """Hamiltonian Monte Carlo (Duane et al. 1987; Neal 2011), BlackJAX's kernel or NumPyro's.

    One transition, with M the diagonal mass matrix and U = −log density: draw p ~ N(0, M) and
    ε' ~ ε·U(1 − jitter, 1 + jitter); ``n_leapfrog`` times p ← p − (ε'/2)∇U(θ), θ ← θ + ε' M⁻¹ p,
    p ← p − (ε'/2)∇U(θ); accept with probability min(1, exp(−ΔH)), else the old state is repeated.
    Each library brings its own form of Stan's windowed warm-up.

    Attributes:
        n_leapfrog: Gradient evaluations a transition.
        step_size: ε at the start of the warm-up, which adapts it; kept where ``n_warmup=0``.
        target_acceptance: Mean acceptance the warm-up aims at.
        step_size_jitter: Relative half-width of ε'; it breaks the resonances of a fixed length.
        backend: Whose kernel and warm-up.
    """

    n_leapfrog: int = 30
    step_size: float = 0.1
    target_acceptance: float = 0.8
    step_size_jitter: float = 0.1
    backend: Backend = "blackjax"

    def __post_init__(self) -> None:
        require_backend(self.backend)
        require_count("n_leapfrog", self.n_leapfrog)
        require_positive("step_size", self.step_size)
        if not 0 < self.target_acceptance < 1:
            raise ValueError(
                f"target_acceptance={self.target_acceptance} is no probability between 0 and 1; "
                "0.8 is usual."
            )
        if not 0 <= self.step_size_jitter < 1:
            raise ValueError(
                f"step_size_jitter={self.step_size_jitter} must lie in [0, 1); 0.1 is usual."
            )

    def kernel(self, target: Target, n_warmup: int) -> Kernel:
        """The Markov kernel for one target and one length of warm-up."""
        if self.backend == "numpyro":
            return self.numpyro_moves(n_warmup).kernel(target.log_density)
        # Importing BlackJAX starts JAX, after which its devices cannot be chosen any more.
        import blackjax
        from blackjax.mcmc.metrics import default_metric

        from .leapfrog import leapfrog
        from .step_size import dual_averaging
        from .warmup import windowed

        def transition(
            key: PRNGKeyArray,
            chain: "HMCState",
            log_density: LogDensity,
            step_size: Float[Array, ""],
            inverse_mass: Float[Array, " d"],
        ) -> tuple["HMCState", Stats]:
            move = blackjax.hmc.build_kernel(leapfrog(inverse_mass))
            key_move, key_jitter = jax.random.split(key)
            jitter = self.step_size_jitter * jax.random.uniform(
                key_jitter, (), step_size.dtype, minval=-1.0, maxval=1.0
            )
            new, info = move(
                key_move,
                chain,
                log_density,
                step_size * (1 + jitter),
                inverse_mass,
                self.n_leapfrog,
            )
            # BlackJAX reports the proposal's energy even where the proposal was rejected.
            kinetic = default_metric(inverse_mass).kinetic_energy(info.momentum)
            old_energy = kinetic - chain.logdensity
            return new, {
                "acceptance_rate": info.acceptance_rate,
                "diverging": info.is_divergent,
                "energy": jnp.where(info.is_accepted, info.energy, old_energy),
                "n_steps": jnp.asarray(self.n_leapfrog),
            }

        return windowed(
            transition,
            target.log_density,
            dual_averaging(self.target_acceptance),
            n_warmup=n_warmup,
            step_size=self.step_size,
        )

    def numpyro_moves(self, n_warmup: int) -> "NumPyroMoves":
        """NumPyro's transition, whatever the backend."""
        # Importing NumPyro starts JAX, after which its devices cannot be chosen any more.
        from numpyro import infer

        from .numpyro_backend import NumPyroMoves

        def make(potential: Callable[[Any], Array]) -> infer.HMC:
            # With a trajectory length beside the number of steps NumPyro adapts no step size.
            return infer.HMC(
                potential_fn=potential,
                step_size=self.step_size,
                target_accept_prob=self.target_acceptance,
                num_steps=self.n_leapfrog,
                trajectory_length=None,
            )

        return NumPyroMoves(make, n_warmup, self.step_size_jitter)
