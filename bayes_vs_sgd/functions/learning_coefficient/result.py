"""A local learning coefficient with what it rests on, and whether it can be trusted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from ...types import Estimate

# The limits of ``diagnostics``.
MAX_RHAT = 1.05
MIN_ESS = 50


@dataclass(frozen=True)
class LearningCoefficient:
    """λ̂ = nβ·[mean L_n(w) − L_n(w*)] around one centre.

    Attributes:
        estimate: λ̂ over all chains that ran to the end, and its Monte Carlo error: the standard deviation of
            the losses by √ESS, times nβ.
        by_chain: λ̂ of each chain; NaN where its parameters ceased to be finite.
        loss_at_centre: L_n(w*), over all rows.
        losses: L_n(w) of every draw after the burn-in, shape (chain, draw).
        ess: Effective sample size of the losses, all chains together.
        rhat: Rank-normalised split R-hat of the losses. All chains start at w*, so it cannot see a
            region that none has reached.
        step_size_bias: ε·nβ·tr(H)/8, what SGLD's step adds to λ̂ to first order, with its Monte Carlo
            error; None for samplers with an accept step, and where the step size varies.
        acceptance: Mean acceptance of each chain; None for samplers without an accept step.
        n_divergences: Divergent transitions after the burn-in.
        n_stopped: Chains whose parameters ceased to be finite; they are left out.
        n_beta: nβ.
        localization: γ.
        last: The final parameters of each chain by name.
        info: What ``samplers.sample`` says of the run.
    """

    estimate: Estimate
    by_chain: Float[np.ndarray, " chain"]
    loss_at_centre: float
    losses: Float[np.ndarray, "chain draw"] = field(repr=False)
    ess: float
    rhat: float
    step_size_bias: Estimate | None
    acceptance: Float[np.ndarray, " chain"] | None
    n_divergences: int
    n_stopped: int
    n_beta: float
    localization: float
    last: Any = field(repr=False)
    info: Mapping[str, Any] = field(repr=False)

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why the number cannot be trusted, a sentence each; empty where nothing speaks against it."""
        found = []
        if self.n_stopped:
            found.append(
                f"the parameters of {self.n_stopped} of {len(self.by_chain)} chains ceased to be finite; "
                "lower the step size"
            )
        if not self.rhat <= MAX_RHAT:
            found.append(f"R-hat {self.rhat:.2f} exceeds {MAX_RHAT}; burn in longer")
        if not self.ess >= MIN_ESS:
            found.append(f"ESS {self.ess:.0f} is below {MIN_ESS}; draw more")
        if self.estimate.value < -2 * self.estimate.sem:
            found.append("the chains found a lower loss than the centre's, which is no minimum")
        bias = self.step_size_bias
        if bias is not None and bias.value > 0.1 * abs(self.estimate.value) + 2 * bias.sem:
            found.append(f"the step size adds {bias} to it; lower the step size")
        return tuple(found)

    @property
    def trusted(self) -> bool:
        """Whether nothing speaks against the number."""
        return not self.doubts

    def __str__(self) -> str:
        text = f"learning coefficient {self.estimate}, ESS {self.ess:.0f}, R-hat {self.rhat:.3f}"
        if self.step_size_bias is not None:
            text += f", of it by the step size {self.step_size_bias}"
        return text if self.trusted else f"{text}; it cannot be trusted: {'; '.join(self.doubts)}."
