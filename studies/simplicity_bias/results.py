"""From counted functions to one table and one verdict."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import numpy as np
import pandas as pd
from scipy import stats

from bayes_vs_sgd import Estimate, functions
from bayes_vs_sgd.functions import FunctionCounts, comparison, complexity, kernels

from .config import Config

# Functions of the table, the most probable of each prior, each found twice at least.
_MOST_ROWS = 20_000
# Uniformly random functions, whose mean complexity needs no more.
_MOST_RANDOM = 100_000

Finding = Literal["simpler", "not simpler", "undecided"]


def table(config: Config, found: Mapping[float, FunctionCounts]) -> pd.DataFrame:
    """A row for a function of a prior that was found at least twice, the most probable first."""
    parts = []
    for sigma_w, counts in found.items():
        order = np.argsort(-counts.counts, kind="stable")[:_MOST_ROWS]
        order = order[counts.counts[order] >= 2]
        p = counts.probability
        kept = FunctionCounts(counts.words[order], counts.counts[order], counts.n_inputs)
        patterns = kept.patterns
        part = pd.DataFrame(
            {
                "sigma_w": sigma_w,
                "function": [functions.as_text(row) for row in patterns],
                "count": kept.counts,
                "p": p.value[order],
                "p_sem": p.sem[order],
                "complexity": complexity.measure(config.complexity, patterns),
                "ones": patterns.sum(axis=1, dtype=np.int64),
            }
        )
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def verdict(
    config: Config, found: Mapping[float, FunctionCounts], perceptron: FunctionCounts
) -> dict[str, Any]:
    """What every prior prefers, beside uniformly random functions; and the perceptron's theorem."""
    uniform, histogram = random_functions(config)
    result: dict[str, Any] = {
        "complexity": config.complexity,
        "unit": complexity.MEASURES[config.complexity].unit,
        "level": config.level,
        "uniform": {
            "mean_complexity": uniform.value,
            "mean_complexity_sem": uniform.sem,
            "histogram": histogram,
        },
        "priors": [of_prior(config, value, counts, uniform) for value, counts in found.items()],
        "perceptron": of_perceptron(config, perceptron),
    }
    return result | {"statement": statement(result)}


def random_functions(config: Config) -> tuple[Estimate, dict[str, list[float]]]:
    """Mean complexity of functions whose every value is a fair coin, and its distribution."""
    n = min(config.n_draws, _MOST_RANDOM)
    rng = np.random.default_rng([config.seed, *b"uniform"])
    patterns = rng.integers(0, 2, (n, 2**config.n_variables), dtype=np.uint8)
    values = complexity.measure(config.complexity, patterns)
    mean = Estimate(float(values.mean()), float(values.std(ddof=1) / np.sqrt(n)))
    return mean, distribution(values, np.ones(n, np.int64))


def distribution(values: np.ndarray, counts: np.ndarray) -> dict[str, list[float]]:
    """Every distinct value with its share of the draws."""
    distinct, places = np.unique(values.round(9), return_inverse=True)
    shares = np.bincount(places, weights=counts, minlength=len(distinct)) / counts.sum()
    return {"value": distinct.tolist(), "share": shares.tolist()}


def of_prior(
    config: Config, sigma_w: float, counts: FunctionCounts, uniform: Estimate
) -> dict[str, Any]:
    """One prior: how much simpler its functions are, how P(f) goes with K(f), and T."""
    patterns = counts.patterns
    values = complexity.measure(config.complexity, patterns)
    ones = patterns.sum(axis=1, dtype=np.int64)
    mean = counts.mean_of(values)
    gap = Estimate(uniform.value - mean.value, float(np.hypot(uniform.sem, mean.sem)))
    reach = float(stats.norm.ppf((1 + config.level) / 2)) * gap.sem
    constant = counts.mean_of(np.isin(ones, [0, counts.n_inputs]).astype(float))
    in_phase = kernels.phase(
        getattr(jax.nn, config.activation), weight_std=sigma_w, bias_std=config.sigma_b
    )
    unseen = comparison.unseen_mass(comparison.Sampled.independent(counts.counts, n_replicates=2))
    entropy = counts.mean_of(complexity.entropy(patterns))
    return {
        "sigma_w": sigma_w,
        "slope_of_distances": in_phase.slope,
        "phase": in_phase.name,
        "n_draws": counts.total,
        "n_functions": counts.n_functions,
        "unseen_mass": unseen.value,
        "unseen_mass_sem": unseen.sem,
        "p_constant": constant.value,
        "p_constant_sem": constant.sem,
        "mean_entropy": entropy.value,
        "mean_entropy_sem": entropy.sem,
        "mean_complexity": mean.value,
        "mean_complexity_sem": mean.sem,
        "gap": gap.value,
        "gap_sem": gap.sem,
        "gap_lower": gap.value - reach,
        "gap_upper": gap.value + reach,
        "finding": finding(gap.value - reach, gap.value + reach),
        "histogram": distribution(values, counts.counts),
        "ones": np.bincount(ones, weights=counts.counts, minlength=counts.n_inputs + 1).tolist(),
        **ranks(config, counts, values),
        **envelope(config, counts, values),
    }


def finding(lower: float, upper: float) -> Finding:
    """Whether the prior's functions are simpler than random ones, as far as the interval says."""
    if lower > 0:
        return "simpler"
    return "not simpler" if upper <= 0 else "undecided"


def ranks(config: Config, counts: FunctionCounts, values: np.ndarray) -> dict[str, Any]:
    """Spearman's correlation of P and K, or why there is none."""

    def found() -> dict[str, Any]:
        rho = complexity.rank_correlation(
            counts.counts, counts.total, values, least_count=config.least_count,
            n_bootstrap=config.n_bootstrap, level=config.level, seed=config.seed,
        )  # fmt: skip
        return {
            "spearman": rho.estimate.value, "spearman_sem": rho.estimate.sem,
            "spearman_lower": rho.low, "spearman_upper": rho.high, "n_ranked": rho.n_functions,
        }  # fmt: skip

    return or_the_reason("spearman", found)


def envelope(config: Config, counts: FunctionCounts, values: np.ndarray) -> dict[str, Any]:
    """The upper envelope log₂ P ≤ −a·K − b with the complexities it is fitted to, or why there is none."""

    def found() -> dict[str, Any]:
        line = complexity.levin_envelope(
            counts.counts, counts.total, values, least_count=config.least_count,
            n_bootstrap=config.n_bootstrap, seed=config.seed,
        )  # fmt: skip
        first, last = line.complexities[[0, -1]].tolist()
        return {
            "envelope": {
                "a": line.slope.value, "a_sem": line.slope.sem, "b": line.intercept.value,
                "b_sem": line.intercept.sem, "excess": line.mean_excess, "from": first, "to": last,
            }
        }  # fmt: skip

    return or_the_reason("envelope", found)


def or_the_reason(name: str, found: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What is found, or None under that name and the sentence that refused it."""
    try:
        return found() | {f"no_{name}": None}
    except ValueError as error:
        return {name: None, f"no_{name}": str(error)}


def of_perceptron(config: Config, counts: FunctionCounts) -> dict[str, Any]:
    """The number T of ones beside the theorem's uniform law: Pearson's χ² and the largest share."""
    patterns = counts.patterns
    ones = np.bincount(
        patterns.sum(axis=1, dtype=np.int64), weights=counts.counts, minlength=counts.n_inputs + 1
    )
    # T = 2ⁿ is impossible: the input 0 is mapped to 0.
    test = stats.chisquare(ones[:-1])
    entropy = counts.mean_of(complexity.entropy(patterns))
    return {
        "n_draws": counts.total,
        "n_functions": counts.n_functions,
        "ones": ones.tolist(),
        "chi_squared": float(test.statistic),
        "degrees_of_freedom": counts.n_inputs - 1,
        "p_value": float(test.pvalue),
        "mean_entropy": entropy.value,
        "mean_entropy_sem": entropy.sem,
    }


def statement(found: Mapping[str, Any]) -> str:
    """The verdict in words, a line a prior; the perceptron last."""
    uniform, unit, percent = found["uniform"], found["unit"], 100 * found["level"]
    lines = [
        f"A uniformly random function has a complexity of {uniform['mean_complexity']:.2f} ± "
        f"{uniform['mean_complexity_sem']:.2f} {unit} ({found['complexity'].replace('_', ' ')}; ± one standard "
        f"error; intervals are of {percent:g} % each)."
    ]
    lines += [of_one(row, unit) for row in found["priors"]]
    perceptron = found["perceptron"]
    lines.append(
        f"Perceptron without bias: by the theorem T is uniform on 0 … {perceptron['degrees_of_freedom']}; "
        f"χ² = {perceptron['chi_squared']:.1f} with {perceptron['degrees_of_freedom']} degrees of freedom, "
        f"p = {perceptron['p_value']:.3f}."
    )
    return "\n".join(lines)


def of_one(row: Mapping[str, Any], unit: str) -> str:
    """What is said of one prior."""
    text = {
        "simpler": f"simpler than random functions by {row['gap']:.2f} {unit} ({row['gap_lower']:.2f} to "
        f"{row['gap_upper']:.2f})",
        "not simpler": f"not simpler than random functions: the difference is {row['gap']:.2f} {unit} "
        f"({row['gap_lower']:.2f} to {row['gap_upper']:.2f})",
        "undecided": f"as simple as random functions as far as can be said: the difference is {row['gap']:.2f} "
        f"{unit} ({row['gap_lower']:.2f} to {row['gap_upper']:.2f})",
    }[row["finding"]]
    line = f"σ_w = {row['sigma_w']:g} ({row['phase']}, χ = {row['slope_of_distances']:.2f}): {text}"
    if row["envelope"] is None:
        return f"{line}; too few functions were found often enough for an envelope."
    fit = row["envelope"]
    return (
        f"{line}; log₂ P(f) ≤ −a·K(f) − b with a = {fit['a']:.3f} ± {fit['a_sem']:.3f}, b = "
        f"{fit['b']:.1f} ± {fit['b_sem']:.1f}."
    )
