"""Step sizes as functions of the iteration, for samplers without an accept step.

Iterations are counted from 0 and all of them count: those of the warm-up (the burn-in), and with
``thin`` those between two draws.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from ..checks import require_count, require_positive


class Schedule(ABC):
    """A step size ε for every iteration; hashable, so that compiled runs are found again."""

    @property
    @abstractmethod
    def largest(self) -> float:
        """The largest step size of all iterations."""

    @abstractmethod
    def __call__(self, iteration: Int[Array, "..."]) -> Float[Array, "..."]:
        """The step size of an iteration, or of an array of them."""


@dataclass(frozen=True)
class Constant(Schedule):
    """ε_k = step_size. A chain of constant step size has one stationary law, biased by O(ε).

    Attributes:
        step_size: ε.
    """

    step_size: float

    def __post_init__(self) -> None:
        require_positive("step_size", self.step_size)

    @property
    def largest(self) -> float:
        """The step size itself."""
        return self.step_size

    def __call__(self, iteration: Int[Array, "..."]) -> Float[Array, "..."]:
        """ε, whatever the iteration."""
        return jnp.full(jnp.shape(iteration), self.step_size)


@dataclass(frozen=True)
class Polynomial(Schedule):
    """ε_k = scale·(shift + k)^(−power) (Welling & Teh 2011).

    With ½ < power ≤ 1 averages converge to those of the target if draw k is weighted by its
    ``step_size``; power = ⅓ has the smallest error for a given number of iterations (Teh, Thiery &
    Vollmer 2016).

    Attributes:
        scale: a; ε_0 is scale·shift^(−power).
        shift: b > 0, in iterations: how long the step size stays near ε_0.
        power: γ in (0, 1]. Above 1 the chain would come to a standstill.
    """

    scale: float
    shift: float = 1.0
    power: float = 1 / 3

    def __post_init__(self) -> None:
        require_positive("scale", self.scale)
        require_positive("shift", self.shift)
        if not 0 < self.power <= 1:
            raise ValueError(
                f"power={self.power} must lie in (0, 1]: above 1 the step sizes have a finite sum and "
                "the chain comes to a standstill; 1/3 is usual."
            )

    @property
    def largest(self) -> float:
        """The first step size."""
        return self.scale * self.shift**-self.power

    def __call__(self, iteration: Int[Array, "..."]) -> Float[Array, "..."]:
        """a·(b + k)^(−γ)."""
        return self.scale * (self.shift + jnp.asarray(iteration)) ** -self.power


@dataclass(frozen=True)
class CosineCycles(Schedule):
    """ε_k = (step_size/2)·(cos(π·mod(k, L)/L) + 1) with L = cycle_length (Zhang et al. 2020).

    It makes any sampler cyclical: each cycle begins with large steps without noise (temperature 0),
    which look for another mode (exploration), and ends with small ones with noise, which sample
    it. The statistic ``sampling_stage`` tells the two apart, and ``samplers.sampling_stage`` keeps the
    draws of the second. The paper counts cycles, M = ⌈iterations/L⌉, and k from 1.

    Attributes:
        step_size: ε at the start of every cycle.
        cycle_length: L, in iterations.
        exploration: β in [0, 1): the share of a cycle, mod(k, L)/L < β, that explores.
    """

    step_size: float
    cycle_length: int
    exploration: float = 0.8

    def __post_init__(self) -> None:
        require_positive("step_size", self.step_size)
        require_count("cycle_length", self.cycle_length)
        if not 0 <= self.exploration < 1 or self.n_exploration >= self.cycle_length:
            raise ValueError(
                f"exploration={self.exploration} leaves no iteration of cycle_length="
                f"{self.cycle_length} to sample in; pass a share in [0, 1) that does."
            )

    @property
    def largest(self) -> float:
        """The step size at the start of a cycle."""
        return self.step_size

    @property
    def n_exploration(self) -> int:
        """Iterations of a cycle that explore."""
        # The product of a share like 0.28 and a length like 100 may lie a rounding above 28.
        return math.ceil(self.exploration * self.cycle_length - 1e-9)

    def __call__(self, iteration: Int[Array, "..."]) -> Float[Array, "..."]:
        """(ε/2)·(cos(π·mod(k, L)/L) + 1)."""
        place = jnp.asarray(iteration) % self.cycle_length
        return self.step_size / 2 * (jnp.cos(jnp.pi * place / self.cycle_length) + 1)

    def is_sampling(self, iteration: Int[Array, "..."]) -> Bool[Array, "..."]:
        """Whether an iteration belongs to the sampling stage of its cycle."""
        return jnp.asarray(iteration) % self.cycle_length >= self.n_exploration


def as_schedule(step_size: object) -> Schedule:
    """The schedule itself, or a constant one of this step size.

    Raises:
        ValueError: It is neither a schedule nor a positive number.
    """
    if isinstance(step_size, Schedule):
        return step_size
    if not isinstance(step_size, int | float | np.integer | np.floating):
        raise ValueError(
            f"step_size={step_size!r} is neither a number nor a Schedule; pass a number, "
            "Polynomial(…), CosineCycles(…), or a Schedule of your own."
        )
    return Constant(float(step_size))
