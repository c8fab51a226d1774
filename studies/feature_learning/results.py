"""From finished cells to one table of functions and one verdict."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from bayes_vs_sgd import Estimate, functions, runs
from bayes_vs_sgd.functions import comparison
from studies._functions import Problem

from . import widths
from .arms import LABELS, Arm, aligned, all_words, trained_law
from .config import Config
from .scaling import PREDICTED, described

# What is compared, and what the comparison is about: the reference, then what is held against it.
PAIRS = {
    "identity": ("whole", "features_weighted"),
    "learnt by the posterior": ("features", "whole"),
    "finite width": ("infinite", "whole"),
    "SGD and posterior, all layers": ("whole", "sgd"),
    "SGD and posterior, last layer": ("features", "sgd_last"),
    "learnt by SGD": ("sgd_last", "sgd"),
    "SGD and the tangent kernel": ("tangent", "sgd"),
}
TITLES = {
    "standard": "Standard parameterization (learning rate ∝ 1/width)",
    "ntk": "Neural tangent parameterization",
    "mup": "Maximal update parameterization",
}
Attributes = Mapping[str, Mapping[Any, Any]]


def table(config: Config, problem: Problem, arms: Mapping[str, Arm]) -> pd.DataFrame:
    """One row a function: its probability in every arm, test error, complexity."""
    words = all_words(list(arms.values()), problem.zero_one.n_test)
    patterns = functions.unpack(words, problem.zero_one.n_test)
    whole = problem.whole(patterns)
    columns: dict[str, Any] = {"function": [functions.as_text(row) for row in whole]}
    for name, arm in arms.items():
        sampled = arm.placed(comparison.align(arm.words, words).a)
        spread = sampled.moves.std(axis=0, ddof=1) / np.sqrt(sampled.n_replicates)
        columns |= {f"p_{name}": sampled.probabilities, f"p_{name}_sem": spread}
    columns["test_error"] = (patterns != problem.dataset.y_test).mean(axis=1)
    columns["complexity"] = functions.complexity.measure(config.complexity, whole)
    return pd.DataFrame(columns).sort_values(
        ["p_whole", "function"], ascending=[False, True], ignore_index=True
    )


def verdict(
    config: Config,
    problem: Problem,
    arms: Mapping[str, Arm],
    folder: runs.RunFolder,
    moved: Attributes,
) -> dict[str, Any]:
    """Every arm, the comparisons, and how movement goes with the width."""
    rows = {name: of_arm(arm, name, problem) for name, arm in arms.items()}
    found: dict[str, Any] = {
        "level": config.level,
        "features": features(folder),
        "evidence": evidence(arms),
        "arms": rows,
        "comparisons": {name: compared(config, arms, rows, *pair) for name, pair in PAIRS.items()},
        "widths": [{str(k): v for k, v in row.items()} for row in moved.values()],
        "powers": powers(config, moved),
        "tangent_test_error": closed_form(config, problem),
    }
    return found | {"statement": statement(found)}


def of_arm(arm: Arm, name: str, problem: Problem) -> dict[str, Any]:
    """An arm's numbers."""
    wrong = functions.unpack(arm.words, problem.zero_one.n_test) != problem.dataset.y_test
    target, error = arm.mean(~wrong.any(axis=1)), arm.mean(wrong.mean(axis=1))
    evidence = arm.log_evidence or Estimate(None, None)
    return {
        "label": LABELS[name],
        "target_probability": target.value,
        "target_probability_sem": target.sem,
        "mean_test_error": error.value,
        "mean_test_error_sem": error.sem,
        "log_evidence": evidence.value,
        "log_evidence_sem": evidence.sem,
        "n_functions": len(arm.words),
        "n_runs": arm.n_runs,
        "n_unfit": arm.n_unfit,
        "doubts": list(arm.doubts),
    }


def features(folder: runs.RunFolder) -> dict[str, list[float | None]]:
    """Evidence and mean test error of every draw of random features; None where it does not fit."""
    found = folder.read("features")["features"]
    values = found["log_evidence"].to_numpy()
    fits = np.isfinite(values)
    return {
        "log_evidence": [float(v) if ok else None for v, ok in zip(values, fits, strict=True)],
        "test_error": [
            float(v) if ok else None
            for v, ok in zip(found["test_error"].to_numpy(), fits, strict=True)
        ],
    }


def evidence(arms: Mapping[str, Arm]) -> dict[str, float]:
    """Log P(S) of the whole network and of random features, which are equal by theory."""
    whole, frozen = arms["whole"].log_evidence, arms["features_weighted"].log_evidence
    if whole is None or frozen is None:
        raise ValueError("both posteriors have an evidence.")
    error = float(np.hypot(whole.sem, frozen.sem))
    return {"apart": frozen.value - whole.value, "apart_sem": error}


def compared(
    config: Config, arms: Mapping[str, Arm], rows: Mapping[str, Any], first: str, second: str
) -> dict[str, Any]:
    """Two arms, function by function, and the differences of their numbers (second minus first)."""
    p, q = aligned(arms[first], arms[second])
    found = comparison.compare(
        p, q, names=(LABELS[first], LABELS[second]), margin=config.margin, level=config.level,
        seed=config.seed,
    )  # fmt: skip
    entry: dict[str, Any] = {"first": first, "second": second}
    for number in ("target_probability", "mean_test_error"):
        a, b = rows[first], rows[second]
        value = b[number] - a[number]
        sem = float(np.hypot(a[f"{number}_sem"], b[f"{number}_sem"]))
        reach = float(stats.norm.ppf((1 + config.level) / 2)) * sem
        entry |= {
            f"{number}_difference": value, f"{number}_difference_sem": sem,
            f"{number}_difference_lower": value - reach, f"{number}_difference_upper": value + reach,
        }  # fmt: skip
    return entry | found.as_dict() | {"statement": found.sentence()}


def powers(config: Config, moved: Attributes) -> dict[str, dict[str, Any]]:
    """The power of the width that every layer's movement follows, and the change of the kernel."""
    found: dict[str, dict[str, Any]] = {}
    for name in config.parameterizations:
        own = sorted(
            (row for row in moved.values() if row["parameterization"] == name),
            key=lambda row: row["width"],
        )
        found[name] = {}
        for measure in (*(f"{role}_spectral" for role in widths.ROLES.values()), "kernel_change"):
            movements = [Estimate(row[measure], row[f"{measure}_sem"]) for row in own]
            role = measure.removesuffix("_spectral")
            found[name][role] = described(
                [row["width"] for row in own], movements, level=config.level,
                tolerance=config.tolerance,
            ) | {"predicted": PREDICTED[name].get(role)}  # fmt: skip
    return found


def closed_form(config: Config, problem: Problem) -> float:
    """Mean test error of the infinitely wide network, trained as long in neural tangent parameterization."""
    time = widths.flow_time(config, len(problem.dataset.y_train))
    law = trained_law(problem, depth=widths.DEPTH, time=time)
    signs = 2.0 * problem.dataset.y_test - 1
    with np.errstate(divide="ignore"):
        margins = signs * law.mean / law.std
    return float(stats.norm.cdf(-margins).mean())


def statement(found: Mapping[str, Any]) -> str:
    """The verdict in words: doubts first, then the arms, the comparisons, and the widths."""
    arms = found["arms"]
    lines = [
        f"{_capital(row['label'])}: {doubt}." for row in arms.values() for doubt in row["doubts"]
    ]
    lines.append(
        f"Intervals are of {100 * found['level']:g} %, each by itself; ± is one standard error."
    )
    lines += [
        f"{_capital(row['label'])}: P(target | S) = {row['target_probability']:.3f} ± "
        f"{row['target_probability_sem']:.3f}, mean test error {row['mean_test_error']:.4f} ± "
        f"{row['mean_test_error_sem']:.4f}."
        for row in arms.values()
    ]
    apart = found["evidence"]
    lines.append(
        "By theory random features weighted by their evidence are the whole network: their log P(S) lie "
        f"{apart['apart']:.3f} ± {apart['apart_sem']:.3f} apart."
    )
    lines += [of_pair(name, pair, arms) for name, pair in found["comparisons"].items()]
    lines += [of_powers(name, roles) for name, roles in found["powers"].items()]
    return "\n".join(lines)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def of_pair(name: str, pair: Mapping[str, Any], arms: Mapping[str, Any]) -> str:
    """One comparison: the differences, then the total variation."""
    low, high = (pair[f"mean_test_error_difference_{end}"] for end in ("lower", "upper"))
    change = "lower" if high < 0 else "higher" if low > 0 else "not decidedly another"
    differs = {
        "different": f"the two differ by more than {pair['margin']:g} in total variation",
        "indistinguishable": f"the two are equal to within {pair['margin']:g} in total variation",
        "undecided": f"whether the two differ by {pair['margin']:g} in total variation is undecided",
    }[pair["verdict"]]
    least, most = pair["total_variation_lower_bound_lower"], pair["total_variation_plug_in_upper"]
    return (
        f"{_capital(name)}: {arms[pair['second']]['label']} has a mean test error that is {change} "
        f"({pair['mean_test_error_difference']:+.4f}, {low:+.4f} to {high:+.4f}) than that of "
        f"{arms[pair['first']]['label']}, and {pair['target_probability_difference']:+.3f} "
        f"({pair['target_probability_difference_lower']:+.3f} to "
        f"{pair['target_probability_difference_upper']:+.3f}) of the target; {differs} (between "
        f"{max(least or 0, 0):.3f} and {min(most if most is not None else 1, 1):.3f})."
    )


def of_powers(name: str, roles: Mapping[str, Mapping[str, Any]]) -> str:
    """How the layers of one parameterization move."""
    parts = []
    for role, row in roles.items():
        what = "the tangent kernel's change" if role == "kernel_change" else f"the {role} layer's"
        if row["power"] is None:
            parts.append(f"{what} has no power of the width ({row['no_power']})")
            continue
        theory = "" if row["predicted"] is None else f"; theory: {row['predicted']:g}"
        parts.append(
            f"{what} goes as width^{row['power']:.2f} ({row['power_lower']:.2f} to "
            f"{row['power_upper']:.2f}{theory}): {row['finding']}"
        )
    return f"{TITLES[name]}, relative movement: " + "; ".join(parts) + "."
