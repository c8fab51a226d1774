"""Stochastic gradient Langevin dynamics, plain and preconditioned."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from .kernel import Kernel, Stats, Target
from .minibatch import Step, check_settings, count_rows, minibatch_kernel
from .noise import normal_like
from .preconditioner import RMSprop, Scales
from .schedules import Schedule


@dataclass(frozen=True)
class SGLD:
    """Stochastic gradient Langevin dynamics (Welling & Teh 2011).

    θ ← θ + (ε/2) ĝ + √ε ξ, with ξ ~ N(0, I) and ĝ the gradient of ``log_density_estimate`` on one
    batch (at temperature 0 without ξ). There is no accept step: even with the full gradient N(0, 1/a)
    becomes N(0, 1/(a(1 − εa/4))), it diverges above ε = 4/a, and the noise of ĝ adds to the variance.

    Batches are drawn without replacement, in a fresh random order every epoch, each chain its own.
    The ``n_warmup`` iterations are a burn-in that adapts nothing. There is no ``acceptance_rate`` and
    no ``lp``; ``lp_estimate`` is the estimate on the batch at the old θ.

    Attributes:
        step_size: ε, or a ``Schedule`` of it: ``Polynomial``, ``CosineCycles`` (cyclical SGLD).
        batch_size: Rows of one gradient; the number of all rows gives the full gradient.
        control_variates: ĝ becomes ∇ log density(θ̂) + [ĝ(θ) − ĝ(θ̂)] with θ̂ where the chain starts
            (Baker et al. 2019), for two gradients a step. Start at a mode, such as a MAP or an SGD
            solution: far from θ̂ the variance is larger than without.
    """

    step_size: float | Schedule = 1e-4
    batch_size: int = 32
    control_variates: bool = False

    def __post_init__(self) -> None:
        check_settings(self)

    def kernel(self, target: Target, n_warmup: int) -> Kernel:
        """The Markov kernel for one target and one length of warm-up."""

        def move(
            key: PRNGKeyArray, position: Any, auxiliary: Any, gradient: Any, step: Step
        ) -> tuple[Any, Any, Stats]:
            noise = normal_like(key, position, step.has_noise)
            position = jax.tree.map(
                lambda p, g, z: p + step.size / 2 * g + jnp.sqrt(step.size) * z,
                position,
                gradient,
                noise,
            )
            return position, auxiliary, {}

        return minibatch_kernel(target, self, lambda key, params: (), move)


@dataclass(frozen=True)
class PreconditionedSGLD:
    """SGLD with a diagonal RMSprop preconditioner G (Li et al. 2016), frozen after the warm-up.

    θ ← θ + (ε/2) G ĝ + √(εG) ξ, with ξ ~ N(0, I), ĝ as in ``SGLD`` and G = 1/(λ + √v) from a running
    mean v of (ĝ/n)². The term Γ of the paper, Σⱼ ∂Gᵢⱼ/∂θⱼ, is left out. What that costs is avoided:
    G changes in the warm-up alone, and a constant G has Γ = 0, so the draws are those of ``SGLD`` in
    rescaled coordinates. With ``n_warmup=0`` G is the identity.

    Attributes:
        step_size: ε, or a ``Schedule`` of it. As ĝ/n is small, ε is usually smaller than SGLD's.
        batch_size: Rows of one gradient.
        control_variates: As in ``SGLD``.
        preconditioner: How v is estimated, and λ.
    """

    step_size: float | Schedule = 1e-5
    batch_size: int = 32
    control_variates: bool = False
    preconditioner: RMSprop = field(default_factory=RMSprop)

    def __post_init__(self) -> None:
        check_settings(self)

    def kernel(self, target: Target, n_warmup: int) -> Kernel:
        """The Markov kernel for one target and one length of warm-up."""

        def move(
            key: PRNGKeyArray, position: Any, scales: Scales, gradient: Any, step: Step
        ) -> tuple[Any, Scales, Stats]:
            scales = self.preconditioner.update(
                scales, gradient, step.iteration, n_warmup=n_warmup, n_rows=count_rows(target)
            )
            noise = normal_like(key, position, step.has_noise)
            position = jax.tree.map(
                lambda p, s, g, z: p + step.size / 2 * s**2 * g + jnp.sqrt(step.size) * s * z,
                position,
                scales.scale,
                gradient,
                noise,
            )
            return position, scales, {}

        start = self.preconditioner.start
        return minibatch_kernel(target, self, lambda key, params: start(params), move)
