"""From finished cells to one table and one verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayes_vs_sgd import Estimate, functions, runs
from studies._functions import Problem, Training, frequencies_of, volume_of
from studies.function_volume.results import Results, against_sgd, doubts, scalar

from .axes import AXES, line
from .config import Config
from .differences import differences, trends
from .places import Place
from .statement import statement

# Numbers that both the posterior and SGD have.
_BOTH = ("mean_test_error", "mean_test_error_sem")


@dataclass(frozen=True)
class Found:
    """What the cells found at one value of the axis.

    Attributes:
        place: Which value.
        problem: The problem there.
        posterior: P_B(f | S), or None where no posterior was found.
        failure: Why none was found.
        attributes: Of the posterior's cell.
        trained: Way to train → its functions.
    """

    place: Place
    problem: Problem
    posterior: functions.FunctionPosterior | None
    failure: str | None
    attributes: dict[str, Any]
    trained: dict[Training, functions.FunctionFrequencies]


def read(place: Place, problem: Problem, folder: runs.RunFolder) -> Found:
    """The cells of one value."""
    tree = folder.read(place.volume)
    attributes = {str(name): value for name, value in tree.attrs.items()}
    posterior = None if "failure" in attributes else volume_of(tree, problem)
    failure = attributes.get("failure") if posterior is None else too_few(posterior)
    trained = {
        training: frequencies_of(folder.read(place.trained(training)), problem)
        for training in place.config.trainings()
    }
    return Found(place, problem, None if failure else posterior, failure, attributes, trained)


def too_few(posterior: functions.FunctionPosterior) -> str | None:
    """Why the runs that reached zero training error are too few to carry an error, or None."""
    n, n_empty = posterior.n_runs, int((~np.isfinite(posterior.log_evidences)).sum())
    if n_empty < n // 2:
        return None
    return (
        f"{n_empty} of {n} runs lost all their particles on the way to zero training error; raise n_particles or "
        "n_moves."
    )


def complexity_of(config: Config, problem: Problem) -> float:
    """Complexity of the target; on images, of the classes of the test rows.

    Raises:
        ValueError: The measure cannot take it.
    """
    whole = problem.whole(problem.dataset.y_test[None].astype(np.uint8))
    return float(functions.complexity.measure(config.complexity, whole)[0])


def verdict(config: Config, found: Sequence[Found]) -> dict[str, Any]:
    """Every problem by itself, then what changes along the axis."""
    axis = AXES[config.axis]
    problems = [of_problem(config, one) for one in found]
    lines = [line(config.axis, training) for training in found[0].trained]
    result: dict[str, Any] = {
        "along": config.axis,
        "label": axis.label,
        "is_numeric": axis.is_numeric,
        "level": config.level,
        "margin": config.margin,
        "complexity": config.complexity,
        "unit": functions.complexity.MEASURES[config.complexity].unit,
        "lines": dict(lines),
        "problems": problems,
        "trends": trends(config, problems) if axis.is_numeric else None,
    }
    return result | {"statement": statement(result)}


def of_problem(config: Config, found: Found) -> dict[str, Any]:
    """One value of the axis: the posterior, its doubts, and every way to train beside it."""
    posterior = of_posterior(found)
    return {
        "value": found.place.name,
        "x": found.place.x,
        "target": found.place.config.target if config.data == "boolean" else None,
        "n_train": found.problem.zero_one.n_train,
        "n_test": found.problem.zero_one.n_test,
        "n_parameters": found.problem.network.n_parameters,
        "complexity": complexity_of(config, found.problem),
        **posterior,
        "trainings": {
            line(config.axis, training)[0]: of_training(config, found, training, posterior)
            for training in found.trained
        },
    }


def of_posterior(found: Found) -> dict[str, Any]:
    """Evidence, the target's share, mean error and doubts; None where no posterior was found."""
    posterior, y = found.posterior, found.problem.dataset.y_test
    entry: dict[str, Any] = {"no_posterior": found.failure, "doubts": [], "n_functions": None}
    for name in ("log_evidence", "target_posterior", "mean_test_error"):
        entry |= {name: None, f"{name}_sem": None}
    if posterior is None:
        return entry
    least = 1 / posterior.n_effective
    target, error = scalar(posterior.probability_of(y[None])), posterior.mean_error(y)
    return entry | {
        "doubts": doubts(_results(found)),
        "n_functions": posterior.n_functions,
        "log_evidence": posterior.log_evidence.value,
        "log_evidence_sem": posterior.log_evidence.sem,
        "target_posterior": target.value,
        "target_posterior_sem": target.sem or least,
        "mean_test_error": error.value,
        "mean_test_error_sem": error.sem or least,
    }


def of_training(
    config: Config, found: Found, training: Training, posterior: Mapping[str, Any]
) -> dict[str, Any]:
    """One way to train: its own numbers, and beside the posterior where there is one."""
    entry = {"label": line(config.axis, training)[1]}
    entry |= of_sgd(found.trained[training], found.problem.dataset.y_test)
    if found.posterior is None:
        return entry | {"verdict": None}
    compared = against_sgd(_results(found), training)
    if "verdict" not in compared:
        return entry | {"verdict": None}
    entry |= kept(compared) | differences(config, posterior, entry)
    return entry | {"verdict": finding_of(entry, config.margin)}


def finding_of(entry: Mapping[str, Any], margin: float) -> str:
    """The verdict on the total variation, with what the target alone says of it.

    |P_SGD(target) − P_B(target)| is a lower bound of the total variation that needs no function to be found
    twice. The cross-fitted one is far below it where most of the posterior is on functions found once.
    """
    verdict: str = entry["verdict"]
    return "different" if entry["total_variation_lower_by_target"] > margin else verdict


def of_sgd(found: functions.FunctionFrequencies, y: np.ndarray) -> dict[str, Any]:
    """The target's share and the mean test error of the runs that fit; None where none did."""
    counts, n = found.counts, found.n_fit
    entry: dict[str, Any] = {
        "n_runs": found.n_runs,
        "n_fit": n,
        "n_unfit": found.n_unfit,
        "n_failed": found.n_failed,
    }
    errors = (counts.patterns != y).mean(axis=1)
    for name, values in (("target_probability", errors == 0), ("mean_test_error", errors)):
        mean = counts.mean_of(values) if n else Estimate(None, None)
        # Where all runs are alike, the error of a share of n runs that none has shown is 1/n.
        entry |= {name: mean.value, f"{name}_sem": (mean.sem or 1 / n) if n else None}
    return entry


def kept(compared: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a comparison.

    Distances are bracketed: the cross-fitted lower bound and the plug-in, then the lower limit of the one
    and the upper limit of the other. ``_null`` is the median between two halves of the posterior's runs.
    """
    found = {name: compared[name] for name in ("verdict", "equality_p_value")}
    for name in ("total_variation", "jensen_shannon"):
        found |= {
            f"{name}_lower_bound": compared[f"{name}_lower_bound"],
            f"{name}_plug_in": compared[f"{name}_plug_in"],
            f"{name}_lower": compared[f"{name}_lower_bound_lower"],
            f"{name}_upper": compared[f"{name}_plug_in_upper"],
            f"{name}_null": compared[f"null_halves_{name}"],
        }
    for name in ("slope", "spearman"):
        for part in ("", "_sem", "_lower", "_upper"):
            found[f"{name}{part}"] = compared[f"{name}{part}"]
        found[f"{name}_null"] = compared[f"null_halves_{name}"]
    return found


def _results(found: Found) -> Results:
    """The same in the grammar of ``studies.function_volume``."""
    assert found.posterior is not None
    volumes = {"splitting": found.posterior}
    cells = {"volume-splitting": found.attributes}
    return Results(found.place.config, found.problem, volumes, found.trained, cells)


def table(verdict: Mapping[str, Any]) -> pd.DataFrame:
    """One row a value and way to train; what is of the posterior stands in each of its rows."""
    rows = []
    for problem in verdict["problems"]:
        own = {
            name: value for name, value in problem.items() if name not in ("trainings", "doubts")
        }
        own = {f"posterior_{n}" if n in _BOTH else n: value for n, value in own.items()}
        own["doubts"] = "; ".join(problem["doubts"])
        for name, entry in problem["trainings"].items():
            rows.append({"value": own["value"], "training": name} | own | entry)
    return pd.DataFrame(rows)
