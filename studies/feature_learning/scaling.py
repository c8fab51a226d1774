"""The power of the width that a movement follows, and what that power says."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from scipy import stats

from bayes_vs_sgd import Estimate

# What theory says of the spectral movement of a layer, relative to its start, for large widths.
PREDICTED = {
    "standard": {"input": -1.5, "hidden": -0.5, "output": -0.5},
    "ntk": {"input": -0.5, "hidden": -0.5, "output": -0.5},
    "mup": {"input": 0.0, "hidden": 0.0, "output": 0.0},
}

Finding = Literal["vanishes", "stays", "grows", "undecided"]


def power(widths: Sequence[int], movements: Sequence[Estimate]) -> tuple[Estimate, int]:
    """The a of movement ∝ widthᵃ by weighted least squares of logarithms, with degrees of freedom.

    Each logarithm has the standard error sem/value. The error of a is multiplied by √(χ²/degrees of
    freedom) where that is above 1: movements follow a power for large widths only, and then they lie off the
    line by more than their errors.

    Raises:
        ValueError: A movement is not positive, or has no error.
    """
    values = np.array([m.value for m in movements], float)
    sems = np.array([m.sem for m in movements], float)
    if not ((values > 0) & (sems > 0)).all():
        raise ValueError("a movement is 0 or without an error; no power of the width is fitted.")
    x, y, w = np.log(widths), np.log(values), (values / sems) ** 2
    x_mean, y_mean = (w @ x) / w.sum(), (w @ y) / w.sum()
    spread = w @ (x - x_mean) ** 2
    slope = (w * (x - x_mean)) @ (y - y_mean) / spread
    freedom = len(x) - 2
    chi_squared = w @ (y - y_mean - slope * (x - x_mean)) ** 2
    scale = np.sqrt(max(1.0, chi_squared / freedom))
    return Estimate(float(slope), float(scale / np.sqrt(spread))), freedom


def described(
    widths: Sequence[int], movements: Sequence[Estimate], *, level: float, tolerance: float
) -> dict[str, Any]:
    """The power with its interval by Student's law, and what it says; None where there is no power."""
    try:
        found, freedom = power(widths, movements)
    except ValueError as error:
        return {"power": None, "power_sem": None, "finding": "undecided", "no_power": str(error)}
    reach = float(stats.t.ppf((1 + level) / 2, freedom)) * found.sem
    low, high = found.value - reach, found.value + reach
    return {
        "power": found.value, "power_sem": found.sem, "power_lower": low, "power_upper": high,
        "finding": finding(low, high, tolerance), "no_power": None,
    }  # fmt: skip


def finding(low: float, high: float, tolerance: float) -> Finding:
    """Whether a movement vanishes with the width, as far as the interval of its power says."""
    if high < -tolerance:
        return "vanishes"
    if low > tolerance:
        return "grows"
    return "stays" if -tolerance < low and high < tolerance else "undecided"
