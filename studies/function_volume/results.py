"""From finished cells to one table of functions and one verdict."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bayes_vs_sgd import Estimate, functions, runs
from bayes_vs_sgd.functions import comparison
from studies._functions import Problem, Training, frequencies_of, volume_of

from .config import Config
from .difference import Relation, common, relation
from .infinite import Infinite


@dataclass(frozen=True)
class Results:
    """Everything that the cells found.

    Attributes:
        config: The study's settings.
        problem: The problem.
        volumes: Estimator of the network itself → its posterior; the first is the one that is compared.
        trained: Way to train → its functions.
        cells: Name of a cell → its attributes.
        infinite: Estimator of the network of infinite width → what it says.
    """

    config: Config
    problem: Problem
    volumes: dict[str, functions.FunctionPosterior]
    trained: dict[Training, functions.FunctionFrequencies]
    cells: dict[str, dict[str, Any]]
    infinite: dict[str, Infinite] = field(default_factory=dict)

    @property
    def posterior(self) -> functions.FunctionPosterior:
        """The posterior that is compared with SGD."""
        return next(iter(self.volumes.values()))


def read(config: Config, problem: Problem, folder: runs.RunFolder) -> Results:
    """All cells of a finished run."""
    volumes, trained = {}, {}
    cells: dict[str, dict[str, Any]] = {}
    for name in config.finite:
        tree = folder.read(f"volume-{name}")
        volumes[name], cells[f"volume-{name}"] = volume_of(tree, problem), _plain(tree.attrs)
    for training in config.trainings():
        tree = folder.read(training.name)
        trained[training], cells[training.name] = frequencies_of(tree, problem), _plain(tree.attrs)
    infinite = {name: Infinite.of(folder.read(f"volume-{name}")) for name in config.infinite}
    return Results(config, problem, volumes, trained, cells, infinite)


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
    for name, wide in results.infinite.items():
        log_p = wide.log_probability_of(words)
        columns |= {f"log_p_{name}": log_p.value, f"log_p_{name}_sem": log_p.sem}
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
    found["infinite"] = infinite(results)
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
    """Every estimator's numbers, None where unknown, and how far each lies from the first in standard errors."""
    y, first = results.problem.dataset.y_test, results.posterior
    rows = {}
    for name, volume in results.volumes.items():
        target, error = scalar(volume.probability_of(y[None])), volume.mean_error(y)
        rows[name] = row_of(volume.log_evidence, target, error, volume.doubts)
        if volume is not first:
            rows[name]["standard_errors_from_first"] = apart(first, volume.log_evidence)[2]
    for name, wide in results.infinite.items():
        target = scalar(wide.probability_of(functions.pack_bits(y[None])))
        rows[name] = row_of(wide.log_evidence, target, wide.mean_test_error, wide.doubts)
        rows[name]["standard_errors_from_first"] = apart(first, wide.log_evidence)[2]
    return rows


def row_of(
    log_evidence: Estimate, target: Estimate, error: Estimate, doubts: Iterable[str]
) -> dict[str, Any]:
    """The numbers of one estimator."""
    return {
        "log_evidence": known(log_evidence.value),
        "log_evidence_sem": known(log_evidence.sem),
        "target_posterior": known(target.value),
        "target_posterior_sem": known(target.sem),
        "mean_test_error": known(error.value),
        "mean_test_error_sem": known(error.sem),
        "standard_errors_from_first": None,
        "doubts": list(doubts),
    }


def known(value: float) -> float | None:
    """The number, or None for NaN."""
    return None if np.isnan(value) else float(value)


def apart(
    first: functions.FunctionPosterior, log_evidence: Estimate
) -> tuple[float, float | None, float | None]:
    """How far a log P(S) lies above the first estimator's: the difference, its sem, their ratio."""
    difference = float(log_evidence.value - first.log_evidence.value)
    sem = known(np.hypot(log_evidence.sem, first.log_evidence.sem))
    return difference, sem, difference / sem if sem else None


def infinite(results: Results) -> dict[str, Any]:
    """How far every estimator of the infinite network is from the finite network, and on which functions."""
    words = common(results.posterior, results.config.n_compared)
    target = functions.pack_bits(results.problem.dataset.y_test[None])
    found = {}
    for name, wide in results.infinite.items():
        difference, sem, ratio = apart(results.posterior, wide.log_evidence)
        entry = {"difference": difference, "difference_sem": sem, "standard_errors": ratio}
        entry |= beside(relation(results.posterior, wide, words, target), target)
        entry |= from_orthants(results, name)
        found[name] = entry | {"statement": of_infinite(name, wide, results.posterior, entry)}
    return found


def from_orthants(results: Results, name: str) -> dict[str, Any]:
    """How far log P(S) of expectation propagation is from that of nngp, its own error then; None without both."""
    exact = results.infinite.get("nngp")
    if name != "ep" or exact is None or exact.doubts:
        return {"from_nngp": None, "from_nngp_sem": None}
    log_evidence = results.infinite[name].log_evidence.value
    return {
        "from_nngp": log_evidence - exact.log_evidence.value,
        "from_nngp_sem": exact.log_evidence.sem,
    }


def beside(relation: Relation | None, target: np.ndarray) -> dict[str, Any]:
    """What a relation says, as plain numbers; None where there is none."""
    if relation is None:
        names = ("log_ratio", "correlation", "correlation_of_others")
        none = dict.fromkeys([*names, "finite_sem", *(f"{name}_sem" for name in names)])
        return none | {"functions": []}
    columns = {
        "log_p_finite": relation.finite.value,
        "log_p_finite_sem": relation.finite.sem,
        "log_p": relation.infinite.value,
        "log_p_sem": relation.infinite.sem,
        "is_target": (relation.words == target).all(axis=1),
    }
    return {
        "log_ratio": known(relation.log_ratio.value),
        "log_ratio_sem": known(relation.log_ratio.sem),
        "finite_sem": known(relation.finite_sem),
        "correlation": known(relation.correlation.value),
        "correlation_sem": known(relation.correlation.sem),
        "correlation_of_others": known(relation.correlation_of_others.value),
        "correlation_of_others_sem": known(relation.correlation_of_others.sem),
        "functions": pd.DataFrame(columns).to_dict("records"),
    }


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
    n_empty = int(np.isneginf(posterior.log_evidences).sum())
    if n_empty >= posterior.n_runs // 2:
        return entry | {
            "statement": f"{training.label}: {n_empty} of the {posterior.n_runs} runs of the posterior have no draws; "
            "nothing is compared with it. Raise n_particles or n_moves."
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


def of_infinite(
    name: str, wide: Infinite, posterior: functions.FunctionPosterior, entry: Mapping[str, Any]
) -> str:
    """The difference in words: of two networks, hence no error of an estimator."""
    if entry["difference_sem"] is None:
        value = f"{wide.log_evidence.value:.3f} (of unknown error)"
        sem = f"{entry['difference']:+.3f} nats (± {posterior.log_evidence.sem:.3f} by its runs alone)"
    else:
        value = f"{wide.log_evidence.value:.3f} ± {wide.log_evidence.sem:.3f}"
        sem = (
            f"{entry['difference']:+.3f} ± {entry['difference_sem']:.3f} nats, "
            f"{abs(entry['standard_errors']):.1f} standard errors"
        )
    own = f" It says of itself: {wide.doubts[0]}." if wide.doubts else ""
    if entry["from_nngp"] is not None:
        own += (
            f" From nngp, which is of the same distribution, its log P(S) differs by {entry['from_nngp']:+.3f} ± "
            f"{entry['from_nngp_sem']:.3f} nats."
        )
    return (
        f"By {name}, for the same network with hidden layers of infinite width, log P(S) = {value}. That differs from "
        f"this network's by {sem}; two networks may differ, and this is no error of an estimator. "
        f"{on_functions(entry)}{own}"
    )


def on_functions(entry: Mapping[str, Any]) -> str:
    """The difference function by function in words."""
    n = len(entry["functions"])
    if not n:
        return "No function is common enough in this network to be compared."
    if entry["log_ratio_sem"] is None:
        error = f" nats (± {entry['finite_sem']:.3f} by this network's runs alone)"
    else:
        error = f" ± {entry['log_ratio_sem']:.3f} nats"
    line = f"Over {n} common functions its log P(f | S) differs by {entry['log_ratio']:+.3f}{error} on average"
    if entry["correlation_of_others"] is None:
        return f"{line}."
    return (
        f"{line}; the two are correlated by {entry['correlation']:.3f} ± {entry['correlation_sem']:.3f}, without the "
        f"target by {entry['correlation_of_others']:.3f} ± {entry['correlation_of_others_sem']:.3f} (noise lowers it)."
    )


def statement(found: Mapping[str, Any], level: float) -> str:
    """The verdict in words: doubts first, then the evidence, then every way to train."""
    lines = [f"The posterior is not to be trusted: {doubt}." for doubt in found["doubts"]]
    lines.append(
        f"log P(S) = {found['log_evidence']:.3f} ± {found['log_evidence_sem']:.3f}; the posterior's share of the "
        f"target is {found['target_posterior']:.3f} ± {found['target_posterior_sem']:.3f}, its mean test error "
        f"{found['mean_test_error']:.4f} ± {found['mean_test_error_sem']:.4f} (± one standard error over independent runs)."
    )
    for name, row in list(found["estimators"].items())[1:]:
        if name in found["infinite"]:
            lines.append(found["infinite"][name]["statement"])
            continue
        apart = row["standard_errors_from_first"]
        trusted = f" It says of itself: {row['doubts'][0]}." if row["doubts"] else ""
        away = "unknown" if apart is None else f"{abs(apart):.1f}"
        lines.append(
            f"By {name} log P(S) = {row['log_evidence']:.3f} ± {row['log_evidence_sem']:.3f}, {away} standard "
            f"errors away.{trusted}"
        )
    lines += [entry["statement"] for entry in found["comparison"].values()]
    return "\n".join(lines)
