"""The Metropolis-adjusted Langevin algorithm."""

from dataclasses import dataclass

from ..checks import require_positive, require_probability
from .hmc import HMC
from .kernel import Kernel, Target


@dataclass(frozen=True)
class MALA:
    """Metropolis-adjusted Langevin algorithm (Roberts & Tweedie 1996), preconditioned by the diagonal.

    One transition, with M the diagonal mass matrix: propose
    θ' = θ + (ε²/2) M⁻¹ ∇ log density(θ) + ε M^(−1/2) ξ, ξ ~ N(0, I), and accept with the Metropolis–
    Hastings probability of that proposal, else repeat the old state. It is HMC with one leapfrog
    step, and coded as that: in the convention θ + h∇ + √(2h) ξ its step is h = ε²/2.

    Attributes:
        step_size: ε at the start of the warm-up, which adapts it; kept where ``n_warmup=0``.
        target_acceptance: Mean acceptance the warm-up aims at; 0.574 is optimal in high dimension
            (Roberts & Rosenthal 1998).
    """

    step_size: float = 0.1
    target_acceptance: float = 0.574

    def __post_init__(self) -> None:
        require_positive("step_size", self.step_size)
        require_probability("target_acceptance", self.target_acceptance, 0.574)

    def kernel(self, target: Target, n_warmup: int) -> Kernel:
        """The Markov kernel for one target and one length of warm-up."""
        one_step = HMC(1, self.step_size, self.target_acceptance, step_size_jitter=0.0)
        return one_step.kernel(target, n_warmup)
