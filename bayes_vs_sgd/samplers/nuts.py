"""The No-U-Turn sampler."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jaxtyping import Array, Float, PRNGKeyArray

from ..checks import require_count, require_positive
from .hmc import Backend, require_backend
from .kernel import Kernel, LogDensity, Stats, Target

if TYPE_CHECKING:
    from blackjax.mcmc.hmc import HMCState

    from .numpyro_backend import NumPyroMoves


@dataclass(frozen=True)
class NUTS:
    """No-U-Turn sampler (Hoffman & Gelman 2014, multinomial as in Betancourt 2017).

    One transition: draw p ~ N(0, M); double the leapfrog trajectory forwards or backwards at random
    until it turns back on itself, diverges, or has 2^max_tree_depth steps; choose one of its states
    with probability proportional to exp(−H). Chains that run side by side in one device wait for the
    longest trajectory, so HMC is often faster on networks. The kernel is BlackJAX's or NumPyro's, and
    each library brings its own form of Stan's windowed warm-up.

    Attributes:
        max_tree_depth: Doublings at most.
        step_size: At the start of the warm-up, which adapts it; kept where ``n_warmup=0``.
        target_acceptance: Mean acceptance over the trajectory that the warm-up aims at.
        backend: Whose kernel and warm-up.
    """

    max_tree_depth: int = 10
    step_size: float = 0.1
    target_acceptance: float = 0.8
    backend: Backend = "blackjax"

    def __post_init__(self) -> None:
        require_backend(self.backend)
        require_count("max_tree_depth", self.max_tree_depth)
        require_positive("step_size", self.step_size)
        if not 0 < self.target_acceptance < 1:
            raise ValueError(
                f"target_acceptance={self.target_acceptance} is no probability between 0 and 1; "
                "0.8 is usual."
            )

    def kernel(self, target: Target, n_warmup: int) -> Kernel:
        """The Markov kernel for one target and one length of warm-up."""
        if self.backend == "numpyro":
            return self.numpyro_moves(n_warmup).kernel(target.log_density)
        # Importing BlackJAX starts JAX, after which its devices cannot be chosen any more.
        import blackjax

        from .leapfrog import leapfrog
        from .numpyro_backend import tree_statistics
        from .step_size import dual_averaging
        from .warmup import windowed

        def transition(
            key: PRNGKeyArray,
            chain: "HMCState",
            log_density: LogDensity,
            step_size: Float[Array, ""],
            inverse_mass: Float[Array, " d"],
        ) -> tuple["HMCState", Stats]:
            move = blackjax.nuts.build_kernel(leapfrog(inverse_mass))
            new, info = move(key, chain, log_density, step_size, inverse_mass, self.max_tree_depth)
            return new, {
                "acceptance_rate": info.acceptance_rate,
                "diverging": info.is_divergent,
                "energy": info.energy,
                "n_steps": info.num_integration_steps,
            } | tree_statistics(info.num_trajectory_expansions, self.max_tree_depth)

        kernel = windowed(
            transition,
            target.log_density,
            dual_averaging(self.target_acceptance),
            n_warmup=n_warmup,
            step_size=self.step_size,
        )
        return kernel._replace(together="never")

    def numpyro_moves(self, n_warmup: int) -> "NumPyroMoves":
        """NumPyro's transition, whatever the backend."""
        # Importing NumPyro starts JAX, after which its devices cannot be chosen any more.
        from numpyro import infer

        from .numpyro_backend import NumPyroMoves

        def make(potential: Callable[[Any], Array]) -> infer.NUTS:
            return infer.NUTS(
                potential_fn=potential,
                step_size=self.step_size,
                target_accept_prob=self.target_acceptance,
                max_tree_depth=self.max_tree_depth,
            )

        return NumPyroMoves(make, n_warmup, max_tree_depth=self.max_tree_depth)
