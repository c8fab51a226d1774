"""From finished cells to one table of networks and one verdict."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from bayes_vs_sgd import Estimate, functions, runs
from bayes_vs_sgd.functions.table import find_rows
from bayes_vs_sgd.functions.volume.posterior import log_mean
from studies._functions import (
    Problem,
    Training,
    convergence_doubts,
    frequencies_of,
    volume_of,
)

from .config import Config
from .correlation import correlate
from .measures import FAMILIES, MEASURES
from .networks import Networks, of_tree
from .statement import statement

# What the measures are set beside → its label, and 1 where more volume should go with more of it.
TARGETS = {
    "log_p_posterior": ("log P_B(f | S)", 1),
    "log_p_sgd": ("log P_SGD(f | S)", 1),
    "test_error": ("test error", -1),
}
# An unbiased estimate exceeds what it estimates by a factor of 1000 with a chance of 1/1000 at most (Markov).
_MARKOV = 1000.0
_STANDARD_ERRORS = 5

Finding = Literal["follows", "opposes", "undecided"]


@dataclass(frozen=True)
class OfTraining:
    """What was found of one way to train.

    Attributes:
        frequencies: Functions of the networks that were counted.
        networks: The networks that were measured.
        columns: Numbers of every network, by name.
        doubts: Measure → the doubts of every network.
    """

    frequencies: functions.FunctionFrequencies
    networks: Networks
    columns: Mapping[str, np.ndarray]
    doubts: Mapping[str, list[list[str]]]


@dataclass(frozen=True)
class Results:
    """Everything that the cells found.

    Attributes:
        config: The study's settings.
        problem: The problem.
        posterior: P_B(f | S) and P(S).
        attributes: Of the posterior's cell.
        trained: Way to train → what was found of it.
    """

    config: Config
    problem: Problem
    posterior: functions.FunctionPosterior
    attributes: Mapping[str, Any]
    trained: Mapping[Training, OfTraining]


def read(config: Config, problem: Problem, folder: runs.RunFolder) -> Results:
    """All cells of a finished run."""
    tree = folder.read("posterior")
    attributes = {str(name): value for name, value in tree.attrs.items()}
    trained = {training: _of(training, problem, folder) for training in config.trainings()}
    return Results(config, problem, volume_of(tree, problem), attributes, trained)


def _of(training: Training, problem: Problem, folder: runs.RunFolder) -> OfTraining:
    columns: dict[str, np.ndarray] = {}
    doubts: dict[str, list[list[str]]] = {}
    for family in FAMILIES:
        tree = folder.read(f"{family}-{training.name}")
        columns |= {str(name): values.to_numpy() for name, values in tree.data_vars.items()}
        doubts |= json.loads(tree.attrs["doubts"])
    return OfTraining(
        frequencies_of(folder.read(training.name), problem),
        of_tree(folder.read(f"networks-{training.name}"), problem),
        columns,
        doubts,
    )


def table(results: Results) -> pd.DataFrame:
    """A row a network: its function with both probabilities, its test error, and every measure."""
    parts = [rows_of(results, training) for training in results.trained]
    return pd.concat(parts, ignore_index=True)


def rows_of(results: Results, training: Training) -> pd.DataFrame:
    """The rows of one way to train."""
    problem, found = results.problem, results.trained[training]
    patterns = functions.unpack(found.networks.words, results.posterior.n_test)
    columns: dict[str, Any] = {
        "training": training.name,
        "seed": found.networks.seeds,
        "function": [functions.as_text(row) for row in problem.whole(patterns)],
        "test_error": (patterns != problem.dataset.y_test).mean(axis=1),
        "train_loss": found.networks.train_loss,
    }
    sides = {
        "log_p_posterior": log_of(results.posterior.probability_of(patterns)),
        "log_p_sgd": log_of(frequency_of(found.frequencies, patterns)),
        "log_joint": log_joint(results.posterior, found.networks.words),
    }
    for name, estimate in sides.items():
        columns |= {name: estimate.value, f"{name}_sem": estimate.sem}
    for name in MEASURES:
        columns |= {
            name: found.columns[name],
            f"{name}_sem": found.columns[f"{name}_sem"],
            f"{name}_trusted": [not doubts for doubts in found.doubts[name]],
        }
    own = {name for name in found.columns if name.removesuffix("_sem") not in MEASURES}
    return pd.DataFrame(columns | {name: found.columns[name] for name in sorted(own)})


def frequency_of(found: functions.FunctionFrequencies, patterns: np.ndarray) -> Estimate:
    """P_SGD(f | S) = count/n of given functions, with the binomial error."""
    n = max(found.n_fit, 1)
    p = found.counts.count_of(patterns) / n
    return Estimate(p, np.sqrt(p * (1 - p) / n))


def log_of(p: Estimate) -> Estimate:
    """The logarithm with the error of the delta method, sem/p; NaN where p is 0."""
    value = np.where(p.value > 0, p.value, np.nan)
    return Estimate(np.log(value), p.sem / value)


def log_joint(posterior: functions.FunctionPosterior, words: np.ndarray) -> Estimate:
    """Log P(f, S) = log((1/R) Σ_r Ê_r·p̂_r(f)) with the jackknife's error over runs; NaN where not found.

    The jackknife needs two runs that found f.
    """
    places = find_rows(posterior.words, words)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = posterior.log_evidences[:, None] + np.log(posterior.shares[:, places])
        found = [log_mean(column) for column in logs.T]
    value = np.array([e.value for e in found])
    sem = np.array([e.sem for e in found])
    known = (places >= 0) & np.isfinite(value) & np.isfinite(sem)
    return Estimate(np.where(known, value, np.nan), np.where(known, sem, np.nan))


def verdict(results: Results) -> dict[str, Any]:
    """For each measure what it follows; the missing nats of local volumes; doubts."""
    posterior = results.posterior
    found: dict[str, Any] = {
        "level": results.config.level,
        "evidence": asdict(posterior.log_evidence),
        "n_functions_posterior": posterior.n_functions,
        "doubts": [*posterior.doubts, *convergence_doubts(results.attributes)],
        "targets": {name: label for name, (label, _) in TARGETS.items()},
        "measures": {t.name: of_training(results, t) for t in results.trained},
    }
    return found | {"statement": statement(found)}


def of_training(results: Results, training: Training) -> dict[str, Any]:
    """One way to train: its networks, every measure, the missing nats."""
    rows, found = rows_of(results, training), results.trained[training]
    places = pd.factorize(rows["function"])[0]
    counted = {name: known(rows, name, results.config) for name in TARGETS}
    return {
        "label": training.label,
        "n_runs": found.frequencies.n_runs,
        "n_fit": found.frequencies.n_fit,
        "n_networks": len(rows),
        "n_functions": int(places.max()) + 1,
        "n_functions_known": {
            name: int(rows["function"][kept].nunique()) for name, kept in counted.items()
        },
        "maximum": {
            "same_function": float(rows["maximum_same_function"].mean()),
            "least_log_density": float(rows["maximum_log_density"].min()),
            "most_log_density": float(rows["maximum_log_density"].max()),
        },
        "measures": {
            name: of_measure(results, rows, places, counted, name, found.doubts[name])
            for name in MEASURES
        },
        "gaps": {
            "volume_function": gap(rows, "volume_function", rows["log_joint"], rows["log_joint_sem"]),
            "volume_fit": gap(
                rows, "volume_fit", results.posterior.log_evidence.value,
                results.posterior.log_evidence.sem,
            ),
        },
        "llc_difference": difference(rows, "llc_sgld", "llc_hmc"),
    }  # fmt: skip


def known(rows: pd.DataFrame, name: str, config: Config) -> np.ndarray:
    """Networks whose function's probability is known well enough; all for the test error."""
    if f"{name}_sem" not in rows:
        return np.ones(len(rows), bool)
    return (rows[f"{name}_sem"] <= config.max_relative_error).to_numpy()


def of_measure(
    results: Results,
    rows: pd.DataFrame,
    places: np.ndarray,
    counted: Mapping[str, np.ndarray],
    name: str,
    doubted: list[list[str]],
) -> dict[str, Any]:
    """One measure: whether it can be trusted, its scatter, and its correlations."""
    measure, values = MEASURES[name], rows[name].to_numpy()
    untrusted = [d for d in doubted if d]
    return {
        "label": measure.label,
        "unit": measure.unit,
        "sign": measure.sign,
        "n_known": int(np.isfinite(values).sum()),
        "untrusted_share": len(untrusted) / len(rows),
        "a_doubt": untrusted[0][0] if untrusted else None,
        "std": float(np.nanstd(values, ddof=1)) if np.isfinite(values).sum() > 1 else None,
        "within_std": within_functions(values, places),
        "correlations": {
            target: correlation(results.config, rows, places, counted[target], name, target)
            for target in TARGETS
        },
    }


def within_functions(values: np.ndarray, places: np.ndarray) -> float | None:
    """The standard deviation of networks around the mean of their function, pooled."""
    finite = pd.Series(values[np.isfinite(values)])
    groups = places[np.isfinite(values)]
    left = len(finite) - len(np.unique(groups))
    if left < 1:
        return None
    apart = finite - finite.groupby(groups).transform("mean")
    return float(np.sqrt((apart**2).sum() / left))


def correlation(
    config: Config,
    rows: pd.DataFrame,
    places: np.ndarray,
    counted: np.ndarray,
    name: str,
    target: str,
) -> dict[str, Any]:
    """Spearman's ρ of a measure and a target with what it says, or why there is none."""
    y = np.where(counted, rows[target], np.nan)
    sign = MEASURES[name].sign * TARGETS[target][1]
    try:
        rho = correlate(
            rows[name].to_numpy(float), y, places,
            n_bootstrap=config.n_bootstrap, level=config.level, seed=config.seed,
        )  # fmt: skip
    except ValueError as error:
        return {"value": None, "finding": "undecided", "reason": str(error), "sign": sign}
    found = finding(rho.lower, rho.upper, sign)
    return asdict(rho) | {"finding": found, "reason": None, "sign": sign}


def finding(lower: float, upper: float, sign: int) -> Finding:
    """What the interval of ρ says, ``sign`` being that of a measure that follows."""
    if lower <= 0 <= upper:
        return "undecided"
    return "follows" if (lower > 0) == (sign > 0) else "opposes"


def gap(rows: pd.DataFrame, name: str, bound: Any, bound_sem: Any) -> dict[str, Any]:
    """How far log local volumes lie below the log probability that bounds them, in nats.

    A local volume is estimated without bias, so that exp of it exceeds the bound by a factor of 1000 with
    a chance of 1/1000 at most, however few directions carry it (Markov's inequality). More than that
    beside five standard errors of the bound counts as a violation.
    """
    gaps, sems = rows[name] - bound, pd.Series(bound_sem, index=rows.index)
    kept = np.isfinite(gaps)
    gaps, sems = gaps[kept], sems[kept]
    if gaps.empty:
        return {"n": 0, "n_violated": 0, "median": None, "least": None, "most": None}
    return {
        "n": len(gaps),
        "n_violated": int((gaps > np.log(_MARKOV) + _STANDARD_ERRORS * sems).sum()),
        "median": float(gaps.median()),
        "least": float(gaps.min()),
        "most": float(gaps.max()),
    }


def difference(rows: pd.DataFrame, one: str, other: str) -> dict[str, Any]:
    """How two measures of the same thing differ, over networks where both are known."""
    apart = rows[one].to_numpy(float) - rows[other].to_numpy(float)
    error = np.hypot(rows[f"{one}_sem"].to_numpy(float), rows[f"{other}_sem"].to_numpy(float))
    apart, error = apart[np.isfinite(apart)], error[np.isfinite(apart)]
    n = len(apart)
    if n < 2:
        return {"n": n, "mean": None, "mean_sem": None, "most_standard_errors": None}
    return {
        "n": n,
        "mean": float(apart.mean()),
        "mean_sem": float(apart.std(ddof=1) / np.sqrt(n)),
        "most_standard_errors": float(np.abs(apart / error).max()),
    }
