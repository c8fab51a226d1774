"""How a number that is known with an error goes along an axis: the slope of a weighted line."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from ...checks import require_probability
from .student import StudentEstimate


@dataclass(frozen=True)
class Trend:
    """The line through estimates along an axis.

    Attributes:
        slope: Change of the number for a step of 1 along the axis.
        chi_squared: Σ_k (residual_k/sem_k)² about the line.
        p_value: Chance of a χ² as large if the numbers lie on a line; NaN for two numbers.
        on_a_line: Whether they may; if not, the slope's error is that of their scatter about the line.
    """

    slope: StudentEstimate
    chi_squared: float
    p_value: float
    on_a_line: bool


def trend(
    x: Sequence[float] | Float[np.ndarray, " n"],
    estimates: Sequence[StudentEstimate],
    *,
    level: float = 0.95,
) -> Trend:
    """The weighted least-squares slope of independent estimates along an axis.

    With w_k = 1/sem_k², x̄ = Σ w_k x_k/Σ w_k and S = Σ w_k (x_k − x̄)²,

        slope = Σ w_k (x_k − x̄) y_k / S,   sem² = Σ c_k² sem_k² = 1/S,   c_k = w_k (x_k − x̄)/S,

    with Welch's and Satterthwaite's degrees of freedom, sem⁴/Σ (c_k sem_k)⁴/ν_k. Where
    χ² = Σ_k w_k (y_k − line)² with K − 2 degrees of freedom says at ``level`` that the true numbers lie on
    no line, the slope is one of a curve, whose value depends on which x were looked at: its error is then
    that of the scatter, sem² = χ²/(K − 2)/S with K − 2 degrees of freedom. Of three numbers that lie on no
    line it says next to nothing.

    Args:
        x: Places along the axis, two different ones at least.
        estimates: The number at each, independent of one another.
        level: At which a line is given up.

    Raises:
        ValueError: Lengths differ, there are fewer than two places, or an error is not positive.
    """
    require_probability("level", level, usual=0.95)
    x, y = np.asarray(x, float), np.array([float(e.value) for e in estimates])
    if len(x) != len(y) or len(np.unique(x)) < 2:
        raise ValueError(
            f"x={x.tolist()} and {len(y)} estimates make no line; pass as many of both, at two places at least."
        )
    sem = np.array([float(e.sem) for e in estimates])
    if not ((sem > 0) & np.isfinite(sem) & np.isfinite(y)).all():
        raise ValueError(f"sem={sem.tolist()} must be positive and the estimates finite.")
    w = 1 / sem**2
    away = x - w @ x / w.sum()
    c = w * away / (w @ away**2)
    slope = float(c @ y)
    chi_squared = float(w @ (y - w @ y / w.sum() - slope * away) ** 2)
    rest = len(x) - 2
    p_value = float(stats.chi2.sf(chi_squared, rest)) if rest else float("nan")
    on_a_line = not p_value <= 1 - level
    variance = float(c**2 @ sem**2)
    if not on_a_line:
        scattered = StudentEstimate(slope, float(np.sqrt(variance * chi_squared / rest)), rest)
        return Trend(scattered, chi_squared, p_value, on_a_line)
    spread = float(((c * sem) ** 4 / [e.degrees_of_freedom for e in estimates]).sum())
    degrees = variance**2 / spread if spread else float("inf")
    found = StudentEstimate(slope, float(np.sqrt(variance)), degrees)
    return Trend(found, chi_squared, p_value, on_a_line)
