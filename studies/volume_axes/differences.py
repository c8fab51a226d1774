"""How much more of the target SGD finds than the posterior holds, how much more it errs, and how that changes."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from bayes_vs_sgd.functions.comparison import StudentEstimate, Trend, trend

from .config import Config

# What is compared → its name among the posterior's numbers and among SGD's.
MEASURES = {
    "target": ("target_posterior", "target_probability"),
    "error": ("mean_test_error", "mean_test_error"),
}
Finding = Literal["above", "below", "undecided"]


def differences(
    config: Config, posterior: Mapping[str, Any], trained: Mapping[str, Any]
) -> dict[str, Any]:
    """SGD − posterior of both measures, with Welch's interval and what it says.

    sem² = sem_B² + sem_SGD², with Welch's and Satterthwaite's degrees of freedom of n_runs − 1 and n_fit − 1.
    """
    found: dict[str, Any] = {}
    for name, (of_posterior, of_sgd) in MEASURES.items():
        sems = posterior[f"{of_posterior}_sem"], trained[f"{of_sgd}_sem"]
        parts = [sem**2 for sem in sems]
        rest = parts[0] ** 2 / (config.n_runs - 1) + parts[1] ** 2 / (trained["n_fit"] - 1)
        value = trained[of_sgd] - posterior[of_posterior]
        estimate = StudentEstimate(value, float(np.hypot(*sems)), sum(parts) ** 2 / rest)
        lower, upper = estimate.interval(config.level)
        found |= {
            f"{name}_difference": value,
            f"{name}_difference_sem": estimate.sem,
            f"{name}_difference_degrees_of_freedom": estimate.degrees_of_freedom,
            f"{name}_difference_lower": lower,
            f"{name}_difference_upper": upper,
            f"{name}_finding": finding(lower, upper),
        }
    # Of the total variation, which is at least the difference at any function that was named beforehand.
    least = max(found["target_difference_lower"], -found["target_difference_upper"], 0.0)
    return found | {"total_variation_lower_by_target": least}


def finding(lower: float, upper: float) -> Finding:
    """Whether a number is above 0, as far as its interval says."""
    if lower > 0:
        return "above"
    return "below" if upper < 0 else "undecided"


def trends(config: Config, problems: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Way to train → measure → how the difference changes with every doubling of the axis."""
    names = problems[0]["trainings"]
    return {
        name: {measure: of_line(config, problems, name, measure) for measure in MEASURES}
        for name in names
    }


def of_line(
    config: Config, problems: Sequence[Mapping[str, Any]], training: str, measure: str
) -> dict[str, Any] | None:
    """Slope of a difference on log₂ of the axis, or None where fewer than two values have one."""
    points = [
        (np.log2(problem["x"]), _estimate(config, problem["trainings"][training], measure))
        for problem in problems
        if f"{measure}_difference" in problem["trainings"][training]
    ]
    if len(points) < 2:
        return None
    x, estimates = zip(*points, strict=True)
    return _plain(trend(x, estimates, level=config.level), len(points), config.level)


def _estimate(config: Config, entry: Mapping[str, Any], measure: str) -> StudentEstimate:
    value = entry[f"{measure}_difference"]
    if config.axis == "lr":
        # The posterior is the same at all of them: its error moves the line and does not tilt it.
        return StudentEstimate(value, entry[f"{MEASURES[measure][1]}_sem"], entry["n_fit"] - 1)
    prefix = f"{measure}_difference"
    return StudentEstimate(value, entry[f"{prefix}_sem"], entry[f"{prefix}_degrees_of_freedom"])


def _plain(found: Trend, n: int, level: float) -> dict[str, Any]:
    lower, upper = found.slope.interval(level)
    return {
        "slope": found.slope.value,
        "slope_sem": found.slope.sem,
        "slope_lower": lower,
        "slope_upper": upper,
        "p_value": found.p_value,
        "on_a_line": found.on_a_line,
        "n": n,
        "finding": finding(lower, upper),
    }
