"""Order and chaos of wide networks at initialisation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...checks import require_positive

Nonlinearity = Callable[[Array], Array]

# Beyond that a normal density is 1e-22.
_REACH = 10.0
_N_POINTS = 8000
_MOST_LAYERS = 10_000
_TOLERANCE = 1e-9
# A variance this large, in units of the first layer's, is on its way to infinity.
_INFINITE = 1e12


@dataclass(frozen=True)
class Phase:
    """What becomes of inputs in a deep network of infinite width.

    Attributes:
        variance: q*, the variance that the layers' outputs tend to; infinite where they grow for ever.
        slope: χ, by which the squared distance of two close inputs is multiplied in every layer.
    """

    variance: float
    slope: float

    @property
    def name(self) -> Literal["ordered", "critical", "chaotic"]:
        """Ordered for χ < 1, where all inputs become alike; chaotic for χ > 1, where none do."""
        if abs(self.slope - 1) < 1e-6:
            return "critical"
        return "ordered" if self.slope < 1 else "chaotic"


def phase(activation: Nonlinearity, *, weight_std: float, bias_std: float) -> Phase:
    """Order or chaos of h ↦ W φ(h) + b with W ~ N(0, σ_w²/width), b ~ N(0, σ_b²), infinitely wide.

    With z ~ N(0, 1) the variance of a layer's outputs goes by q ← σ_w²·E φ(√q z)² + σ_b², which is
    repeated from q = σ_w² + σ_b² until it stands still at q*, and χ = σ_w²·E φ′(√q* z)². For
    max(0, h): q* = σ_b²/(1 − σ_w²/2) and χ = σ_w²/2. Expectations are sums over the middles of
    8000 equal steps on [−10, 10]; a kink at 0 lies between two of them.

    Sources: Poole et al. 2016 (arXiv 1606.05340); Schoenholz et al. 2017 (arXiv 1611.01232).

    Args:
        activation: φ, elementwise on JAX arrays and differentiable.
        weight_std: σ_w.
        bias_std: σ_b.

    Raises:
        ValueError: A standard deviation is not possible.
    """
    require_positive("weight_std", weight_std)
    if not 0 <= bias_std < np.inf:
        raise ValueError(f"bias_std={bias_std} is not possible; pass 0 or a positive number.")
    z = (np.arange(_N_POINTS) + 0.5) * (2 * _REACH / _N_POINTS) - _REACH
    weights = np.exp(-0.5 * z**2)
    weights /= weights.sum()

    def mean_square(function: Nonlinearity, variance: float) -> float:
        values = np.asarray(function(jnp.asarray(np.sqrt(variance) * z)), np.float64)
        return float(weights @ values**2)

    variance = start = weight_std**2 + bias_std**2
    for _ in range(_MOST_LAYERS):
        before = variance
        variance = weight_std**2 * mean_square(activation, before) + bias_std**2
        if variance > _INFINITE * start:
            variance = float("inf")
            break
        if abs(variance - before) <= _TOLERANCE * start:
            break
    at = min(variance, before)
    return Phase(variance, weight_std**2 * mean_square(jax.vmap(jax.grad(activation)), at))
