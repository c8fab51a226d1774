"""The stochastic gradient Nosé–Hoover thermostat by a symmetric splitting."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..checks import require_positive
from .kernel import Kernel, Stats, Target
from .minibatch import Step, check_settings, mean_square, minibatch_kernel
from .noise import normal_like
from .schedules import CosineCycles, Schedule


@dataclass(frozen=True)
class SGNHT:
    """Stochastic gradient Nosé–Hoover thermostat (Ding et al. 2014), split as in BADODAB.

    The friction ζ is a variable that takes off whatever heat the noise of the gradient brings, without
    knowing how much. With ĝ the gradient of ``log_density_estimate`` on one batch, K(p) = p·p/d and
    ξ ~ N(0, I), in this order: p ← p + ε ĝ(θ); θ ← θ + (ε/2) p; ζ ← ζ + (ε/2μ)(K(p) − 1);
    p ← exp(−ζε) p + √(A(1 − exp(−2ζε))/ζ) ξ; ζ ← ζ + (ε/2μ)(K(p) − 1); θ ← θ + (ε/2) p.

    These are the steps of BADODAB (Leimkuhler & Shang 2016) with its two half kicks by one and the
    same gradient put together, so θ has the law of BADODAB for one gradient an iteration. Noise of
    the same variance V in every component of ĝ moves the mean of ζ from A to about A + εV/2 and
    leaves θ's law nearly as it was; noise that depends on θ or on the direction is taken off on average
    only. ``kinetic_temperature`` is as in ``SGHMC``; the thermostat holds its mean at 1, so it is
    ``thermostat`` (ζ) that must have settled by the end of the warm-up.

    Attributes:
        step_size: ε, or a ``Schedule`` of it. ``CosineCycles`` must have ``exploration=0``: without
            noise the thermostat would run away.
        friction: A: the noise injected, and ζ at the start.
        thermostat_mass: μ, by dimension: ζ settles in about μA/ε iterations, √μ/ε where A is small;
            the paper has 1.
        batch_size: Rows of one gradient; the number of all rows gives the full gradient.
        control_variates: As in ``SGLD``.
    """

    step_size: float | Schedule = 1e-2
    friction: float = 10.0
    thermostat_mass: float = 1.0
    batch_size: int = 32
    control_variates: bool = False

    def __post_init__(self) -> None:
        check_settings(self)
        require_positive("friction", self.friction)
        require_positive("thermostat_mass", self.thermostat_mass)
        if isinstance(self.step_size, CosineCycles) and self.step_size.n_exploration:
            raise ValueError(
                f"exploration={self.step_size.exploration} has stages without noise, in which a "
                "thermostat runs away; pass CosineCycles(…, exploration=0), or take SGHMC."
            )

    def kernel(self, target: Target, n_warmup: int) -> Kernel:
        """The Markov kernel for one target and one length of warm-up."""

        def start(key: PRNGKeyArray, params: Any) -> tuple[Any, Float[Array, ""]]:
            momentum = normal_like(key, params)
            return momentum, jnp.full_like(mean_square(momentum), self.friction)

        def move(
            key: PRNGKeyArray, position: Any, auxiliary: Any, gradient: Any, step: Step
        ) -> tuple[Any, Any, Stats]:
            momentum, thermostat = auxiliary
            answer = step.size / (2 * self.thermostat_mass)
            noise = normal_like(key, position)
            kicked = jax.tree.map(lambda p, g: p + step.size * g, momentum, gradient)
            hot = mean_square(kicked)
            thermostat += answer * (hot - 1)
            decay = jnp.exp(-thermostat * step.size)
            spread = jnp.sqrt(2 * self.friction * step.size * _relative(2 * thermostat * step.size))
            momentum = jax.tree.map(lambda p, z: decay * p + spread * z, kicked, noise)
            cooled = mean_square(momentum)
            thermostat += answer * (cooled - 1)
            position = jax.tree.map(
                lambda q, before, after: q + step.size / 2 * (before + after),
                position,
                kicked,
                momentum,
            )
            stats = {"kinetic_temperature": (hot + cooled) / 2, "thermostat": thermostat}
            return position, (momentum, thermostat), stats

        return minibatch_kernel(target, self, start, move)


def _relative(x: Float[Array, ""]) -> Float[Array, ""]:
    """(1 − exp(−x))/x, 1 at 0; x may have either sign."""
    safe = jnp.where(x == 0, 1.0, x)
    return jnp.where(x == 0, 1.0, -jnp.expm1(-safe) / safe)
