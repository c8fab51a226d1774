"""What the estimate is for a quadratic loss, in closed form: the known answer, and SGLD's bias."""

import numpy as np
from jaxtyping import Float

from ...checks import require_positive


def quadratic_learning_coefficient(
    curvatures: Float[np.ndarray, " d"],
    *,
    n_beta: float,
    localization: float,
    step_size: float = 0.0,
) -> float:
    """λ̂ = ½ Σ_j nβ·h_j/a_j / (1 − ε·a_j/4), a_j = nβ·h_j + γ, for the loss L(w*) + ½ Σ_j h_j·(w_j − w*_j)².

    For ε = 0 it is the exact sampler's; the division is that of Langevin steps of size ε with the
    full gradient, whose stationary variance is 1/(a(1 − εa/4)). It tends to half the number of
    parameters with h_j > 0 as nβ → ∞.

    Args:
        curvatures: h, eigenvalues of the Hessian of the mean loss.
        n_beta: nβ.
        localization: γ.
        step_size: ε.

    Raises:
        ValueError: ``n_beta`` is not positive, or the step is so large that the chain diverges.
    """
    require_positive("n_beta", n_beta)
    h = np.asarray(curvatures, dtype=np.float64)
    precisions = n_beta * h + localization
    if not step_size * precisions.max(initial=0.0) < 4:
        raise ValueError(
            f"step_size={step_size} diverges: it must be below {4 / precisions.max():.3g}, 4 by the "
            "largest curvature."
        )
    held = np.divide(n_beta * h, precisions, out=np.zeros_like(h), where=precisions != 0)
    return float(0.5 * (held / (1 - step_size * precisions / 4)).sum())


def step_size_bias(
    trace: float | Float[np.ndarray, "..."], *, n_beta: float, step_size: float
) -> float | Float[np.ndarray, "..."]:
    """What Langevin steps add to λ̂, to first order in ε: ε·nβ·tr(H)/8.

    It is the first term of the series of ``quadratic_learning_coefficient`` in ε, whatever γ is.

    Args:
        trace: tr H, H the Hessian of the mean loss at w*.
        n_beta: nβ.
        step_size: ε.
    """
    return step_size * n_beta * trace / 8
