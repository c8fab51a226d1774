"""Stochastic gradient Hamiltonian Monte Carlo by a symmetric splitting."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from ..checks import require_positive
from .kernel import Kernel, Stats, Target
from .minibatch import (
    Step,
    check_settings,
    count_rows,
    mean_square,
    minibatch_kernel,
)
from .noise import normal_like
from .preconditioner import RMSprop, Scales
from .schedules import Schedule, as_schedule


@dataclass(frozen=True)
class SGHMC:
    """Stochastic gradient Hamiltonian Monte Carlo (Chen, Fox & Guestrin 2014), split as in BAOAB.

    With ĝ the gradient of ``log_density_estimate`` on one batch, c = exp(−γε) and ξ ~ N(0, I), in
    this order: p ← p + ε ĝ(θ); θ ← θ + (ε/2) p; p ← c p + √(1 − c² − c²ε²V̂) ξ; θ ← θ + (ε/2) p.
    At temperature 0 there is no ξ. The momentum is drawn once, at the start, and goes on from
    iteration to iteration.

    These are the steps of BAOAB (Leimkuhler & Matthews 2013) with its two half kicks by one and the
    same gradient put together, so θ has the law of BAOAB for one gradient an iteration: with the full
    gradient a Gaussian has its exact covariance at every stable step, ε < 2/√a for precision a. OBABO
    has variance 1/(a(1 − ε²a/4)) instead, and takes as much of the noise of ĝ on top; the explicit Euler
    step of most implementations may diverge. Noise of variance V in ĝ heats the chain by about
    εV/(2γ). The statistic ``kinetic_temperature`` shows it (Wenzel et al. 2020): the mean of p² over all
    components, before and after the third step; 1 when all is well.

    SGLD's step ε corresponds to √ε here. With γ → ∞ it becomes SGLD with averaged noise.

    Attributes:
        step_size: ε, or a ``Schedule`` of it: ``Polynomial``, ``CosineCycles`` (cyclical SGHMC).
        friction: γ: the momentum forgets over 1/(γε) iterations, and 1 − exp(−γε) is SGD's
            1 − momentum.
        batch_size: Rows of one gradient; the number of all rows gives the full gradient.
        control_variates: As in ``SGLD``.
        gradient_noise: V̂, what is known of the variance of one component of ĝ; the paper's
            B̂ = εV̂/2. It is taken off the noise injected.
        preconditioner: A mass matrix M = G⁻¹, estimated in the warm-up and then frozen; None for the
            identity. p stands for M^(−½)·momentum: kicks are ε√G ĝ, moves (ε/2)√G p.
    """

    step_size: float | Schedule = 1e-2
    friction: float = 10.0
    batch_size: int = 32
    control_variates: bool = False
    gradient_noise: float = 0.0
    preconditioner: RMSprop | None = None

    def __post_init__(self) -> None:
        check_settings(self)
        require_positive("friction", self.friction)
        most = 2 * self.friction / as_schedule(self.step_size).largest
        if not 0 <= self.gradient_noise <= most:
            raise ValueError(
                f"gradient_noise={self.gradient_noise} must lie between 0 and 2·friction/step_size = "
                f"{most:.4g}, more than which friction cannot take off; raise friction, or lower "
                "step_size."
            )
        if self.gradient_noise and self.preconditioner is not None:
            raise ValueError(
                f"gradient_noise={self.gradient_noise} is one variance for all components, which a "
                "preconditioner makes unequal; leave one of the two out."
            )

    def kernel(self, target: Target, n_warmup: int) -> Kernel:
        """The Markov kernel for one target and one length of warm-up."""

        def start(key: PRNGKeyArray, params: Any) -> tuple[Any, Scales | None]:
            scales = None if self.preconditioner is None else self.preconditioner.start(params)
            return normal_like(key, params), scales

        def move(
            key: PRNGKeyArray, position: Any, auxiliary: Any, gradient: Any, step: Step
        ) -> tuple[Any, Any, Stats]:
            momentum, scales = auxiliary
            scale = jax.tree.map(lambda _: 1.0, position)
            if self.preconditioner is not None:
                scales = self.preconditioner.update(
                    scales, gradient, step.iteration, n_warmup=n_warmup, n_rows=count_rows(target)
                )
                scale = scales.scale
            decay = jnp.exp(-self.friction * step.size)
            taken_off = (decay * step.size) ** 2 * self.gradient_noise
            spread = jnp.sqrt(
                jnp.maximum(-jnp.expm1(-2 * self.friction * step.size) - taken_off, 0.0)
            )
            noise = normal_like(key, position, step.has_noise)
            kicked = jax.tree.map(lambda p, s, g: p + step.size * s * g, momentum, scale, gradient)
            momentum = jax.tree.map(lambda p, z: decay * p + spread * z, kicked, noise)
            position = jax.tree.map(
                lambda q, s, before, after: q + step.size / 2 * s * (before + after),
                position,
                scale,
                kicked,
                momentum,
            )
            stats = {"kinetic_temperature": (mean_square(kicked) + mean_square(momentum)) / 2}
            return position, (momentum, scales), stats

        return minibatch_kernel(target, self, start, move)
