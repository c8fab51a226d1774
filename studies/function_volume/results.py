"""From finished cells to one table of functions and one verdict."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayes_vs_sgd import Estimate, functions, runs
from bayes_vs_sgd.functions import comparison
from studies._functions import Problem, Training, frequencies_of, volume_of

from .config import Config


@dataclass(frozen=True)
class Results:
    """Everything that the cells found.

    Attributes:
        config: The study's settings.
        problem: The problem.
        volumes: Estimator → its posterior; the first is the one that is compared.
        trained: Way to train → its functions.
        cells: Name of a cell → its attributes.
    """

    config: Config
    problem: Problem
    volumes: dict[str, functions.FunctionPosterior]
    trained: dict[Training, functions.FunctionFrequencies]
    cells: dict[str, dict[str, Any]]

    @property
    def posterior(self) -> functions.FunctionPosterior:
        """The posterior that is compared with SGD."""
        return next(iter(self.volumes.values()))


def read(config: Config, problem: Problem, folder: runs.RunFolder) -> Results:
    """All cells of a finished run."""
    volumes, trained = {}, {}
    cells: dict[str, dict[str, Any]] = {}
    for name in config.estimators:
        tree = folder.read(f"volume-{name}")
        volumes[name], cells[f"volume-{name}"] = volume_of(tree, problem), _plain(tree.attrs)
    for training in config.trainings():
        tree = folder.read(training.name)
        trained[training], cells[training.name] = frequencies_of(tree, problem), _plain(tree.attrs)
    return Results(config, problem, volumes, trained, cells)


def _plain(attributes: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in attributes.items()}


def all_words(results: Results) -> np.ndarray:
    """Every function found by the compared posterior or by any training, in rising order."""
    found = [results.posterior.words, *(t.counts.words for t in results.trained.values())]
    return functions.FunctionCounts.of(np.concatenate(found), results.posterior.n_test).words


def table(results: Results) -> pd.DataFrame:
    """One row a function: probability on both sides, test error, complexity; the most probable first."""
    problem, words = results.problem, all_words(results)
    patterns = functions.unpack(words, results.posterior.n_test)
    whole = problem.whole(patterns)
    volume = results.posterior.probability_of(patterns)
    columns: dict[str, Any] = {
        "function": [functions.as_text(row) for row in whole],
        "p_posterior": volume.value,
        "p_posterior_sem": volume.sem,
    }
    for training, found in results.trained.items():
        n = found.n_fit
        p = found.counts.count_of(patterns) / n if n else np.full(len(words), np.nan)
        columns[f"p_sgd_{training.name}"] = p
        columns[f"p_sgd_{training.name}_sem"] = _binomial_sem(p, n)
    columns["test_error"] = (patterns != problem.dataset.y_test).mean(axis=1)
    columns["complexity"] = functions.complexity.measure(results.config.complexity, whole)
    return pd.DataFrame(columns).sort_values(
        ["p_posterior", "function"], ascending=[False, True], ignore_index=True
    )


def _binomial_sem(p: Any, n: int) -> Any:
    """Of a share of n independent runs; 1/n where there was none."""
    return np.where(p > 0, np.sqrt(p * (1 - p) / max(n, 1)), 1 / n if n else np.nan)


def verdict(results: Results) -> dict[str, Any]:
    """Evidence, posterior of the target, error, how estimators agree, and the comparisons."""
    problem, posterior = results.problem, results.posterior
    y = problem.dataset.y_test
    numbers = {
        "log_evidence": posterior.log_evidence,
        "target_posterior": scalar(posterior.probability_of(y[None])),
        "mean_test_error": posterior.mean_error(y),
    }
    found: dict[str, Any] = {}
    for name, estimate in numbers.items():
        found |= {name: estimate.value, f"{name}_sem": estimate.sem}
    found["n_functions"] = posterior.n_functions
    found["estimators"] = estimators(results)
    found["doubts"] = doubts(results)
    found["comparison"] = {
        training.name: against_sgd(results, training) for training in results.trained
    }
    found["statement"] = statement(found, results.config.level)
    return found


def scalar(estimate: Estimate) -> Estimate:
    """The one entry of an estimate of arrays."""
    return Estimate(float(estimate.value[0]), float(estimate.sem[0]))


def estimators(results: Results) -> dict[str, Any]:
    """Every estimator's numbers, and how far each lies from the first in standard errors."""
    y, first = results.problem.dataset.y_test, results.posterior
    rows = {}
    for name, volume in results.volumes.items():
        target = scalar(volume.probability_of(y[None]))
        apart = volume.log_evidence.value - first.log_evidence.value
        error = float(np.hypot(volume.log_evidence.sem, first.log_evidence.sem))
        rows[name] = {
            "log_evidence": volume.log_evidence.value,
            "log_evidence_sem": volume.log_evidence.sem,
            "target_posterior": target.value,
            "target_posterior_sem": target.sem,
            "mean_test_error": volume.mean_error(y).value,
            "mean_test_error_sem": volume.mean_error(y).sem,
            "standard_errors_from_first": apart / error if volume is not first and error else None,
            "doubts": list(volume.doubts),
        }
    return rows


def doubts(results: Results) -> list[str]:
    """Why the compared posterior should not be trusted."""
    attributes = results.cells[f"volume-{next(iter(results.volumes))}"]
    found = list(results.posterior.doubts)
    if "converged" in attributes and not attributes["converged"]:
        found.append(
            f"its runs have not converged in function space (R-hat {attributes['rhat']:.3f}, bulk ESS "
            f"{attributes['ess_bulk']:.0f})"
        )
    return found


def against_sgd(results: Results, training: Training) -> dict[str, Any]:
    """One way to train beside the posterior."""
    config, found = results.config, results.trained[training]
    y, posterior = results.problem.dataset.y_test, results.posterior
    counts = found.counts
    entry: dict[str, Any] = {
        "label": training.label,
        "n_runs": found.n_runs,
        "n_fit": found.n_fit,
        "n_unfit": found.n_unfit,
        "n_failed": found.n_failed,
    }
    if found.n_fit < max(config.n_blocks, 2):
        return entry | {
            "statement": f"{training.label}: only {found.n_fit} of {found.n_runs} runs fit; nothing is said of them."
        }
    errors = (counts.patterns != y).mean(axis=1)
    mean = float(errors @ counts.counts / counts.total)
    spread = float(np.sqrt((errors - mean) ** 2 @ counts.counts / counts.total))
    p = float(counts.count_of(y[None])[0] / counts.total)
    entry |= {
        "target_probability": p,
        "target_probability_sem": float(_binomial_sem(p, counts.total)),
        "mean_test_error": mean,
        "mean_test_error_sem": spread / np.sqrt(counts.total),
    }
    common = comparison.align(posterior.words, counts.words)
    compared = comparison.compare(
        posterior.sampled(common),
        comparison.Sampled.independent(
            common.b(counts.counts), n_replicates=config.n_blocks, seed=config.seed
        ),
        names=("P_B", "P_SGD"),
        margin=config.margin,
        level=config.level,
        seed=config.seed,
    )
    return entry | compared.as_dict() | {"statement": f"{training.label}: {compared.sentence()}"}


def statement(found: Mapping[str, Any], level: float) -> str:
    """The verdict in words: doubts first, then the evidence, then every way to train."""
    lines = [f"The posterior is not to be trusted: {doubt}." for doubt in found["doubts"]]
    lines.append(
        f"log P(S) = {found['log_evidence']:.3f} ± {found['log_evidence_sem']:.3f}; the posterior's share of the "
        f"target is {found['target_posterior']:.3f} ± {found['target_posterior_sem']:.3f}, its mean test error "
        f"{found['mean_test_error']:.4f} ± {found['mean_test_error_sem']:.4f} (± one standard error over independent runs)."
    )
    for name, row in list(found["estimators"].items())[1:]:
        apart = row["standard_errors_from_first"]
        trusted = f" It says of itself: {row['doubts'][0]}." if row["doubts"] else ""
        away = "unknown" if apart is None else f"{abs(apart):.1f}"
        lines.append(
            f"By {name} log P(S) = {row['log_evidence']:.3f} ± {row['log_evidence_sem']:.3f}, {away} standard "
            f"errors away.{trusted}"
        )
    lines += [entry["statement"] for entry in found["comparison"].values()]
    return "\n".join(lines)
