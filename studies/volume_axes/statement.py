"""The verdict in words."""

from collections.abc import Mapping, Sequence
from typing import Any

_MEASURES = {"target": "P(target | S)", "error": "mean test error"}


def statement(found: Mapping[str, Any]) -> str:
    """Doubts first, then every problem, then every way to train along the axis."""
    problems = found["problems"]
    lines = [
        f"At {p['value']} the posterior is not to be trusted: {doubt}."
        for p in problems
        for doubt in p["doubts"]
    ]
    lines += [of_problem(problem, found) for problem in problems]
    lines += [along(found, name, label) for name, label in found["lines"].items()]
    percent = 100 * found["level"]
    lines.append(
        f"Errors are one standard error; every interval and finding is of {percent:g} % by itself, not of all "
        f"together. One split of the rows, {'one target, ' if found['along'] != 'target' else ''}one margin."
    )
    return "\n".join(lines)


def of_problem(problem: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """One value of the axis."""
    what = f"{found['label']} {problem['value']}"
    if found["along"] == "target":
        what = f"{problem['value']} ({problem['complexity']:.4g} {found['unit']})"
    if problem["no_posterior"]:
        start = f"{what}: no posterior found, {problem['no_posterior']}"
    else:
        start = (
            f"{what}: log P(S) = {problem['log_evidence']:.2f} ± {problem['log_evidence_sem']:.2f}; the posterior holds "
            f"{problem['target_posterior']:.3f} ± {problem['target_posterior_sem']:.3f} of the target and errs by "
            f"{problem['mean_test_error']:.4f} ± {problem['mean_test_error_sem']:.4f}."
        )
    return " ".join([start, *map(of_training, problem["trainings"].values())])


def of_training(entry: Mapping[str, Any]) -> str:
    """One way to train at one value."""
    if not entry["n_fit"]:
        return f"{entry['label']}: none of {entry['n_runs']} runs fit."
    fit = (
        ""
        if entry["n_fit"] == entry["n_runs"]
        else f" of {entry['n_fit']} of {entry['n_runs']} runs that fit"
    )
    line = (
        f"{entry['label']}: {entry['target_probability']:.3f} ± {entry['target_probability_sem']:.3f} and "
        f"{entry['mean_test_error']:.4f} ± {entry['mean_test_error_sem']:.4f}{fit}"
    )
    if entry["verdict"] is None:
        return f"{line}, compared with nothing."
    upper = min(entry["total_variation_upper"], 1)
    lower = max(entry["total_variation_lower"], entry["total_variation_lower_by_target"])
    return f"{line}, total variation between {lower:.3f} and {upper:.3f}."


def along(found: Mapping[str, Any], name: str, label: str) -> str:
    """One way to train along the axis: where it differs, where its numbers are above, how that changes."""
    problems = found["problems"]
    parts = [distance(problems, name, found["margin"])]
    parts += [of_measure(problems, name, measure) for measure in _MEASURES]
    if found["trends"] is not None:
        parts.append(of_trend(found["trends"][name]))
    return f"{label}: {' '.join(parts)}"


def distance(problems: Sequence[Mapping[str, Any]], name: str, margin: float) -> str:
    """Where P_SGD differs from P_B by more than the margin, where by less, and where neither is known."""
    said = sorted_by(problems, name, "verdict")
    return (
        f"P_SGD differs from P_B by more than {margin:g} in total variation {where(said, 'different')}, by less "
        f"{where(said, 'indistinguishable')}{left_open(said)}."
    )


def of_measure(problems: Sequence[Mapping[str, Any]], name: str, measure: str) -> str:
    """Where SGD's number lies above the posterior's, and where below."""
    said = sorted_by(problems, name, f"{measure}_finding")
    return (
        f"Its {_MEASURES[measure]} is above the posterior's {where(said, 'above')}, below it "
        f"{where(said, 'below')}{left_open(said)}."
    )


def of_trend(trends: Mapping[str, Any]) -> str:
    """How both differences change with a doubling of the axis."""
    parts = [f"{_MEASURES[measure]} {slope(entry)}" for measure, entry in trends.items()]
    return f"SGD less posterior, with every doubling of the axis: {'; '.join(parts)}."


def slope(entry: Mapping[str, Any] | None) -> str:
    """A trend in words, none beyond its interval."""
    if entry is None:
        return "changes in an unknown way, as fewer than two values can be compared"
    change = {"above": "rises", "below": "falls", "undecided": "may rise or fall"}
    curve = "" if entry["on_a_line"] else ", though not along a line"
    return (
        f"{change[entry['finding']]} ({entry['slope']:+.4f} ± {entry['slope_sem']:.4f}, {entry['slope_lower']:+.4f} to "
        f"{entry['slope_upper']:+.4f}{curve})"
    )


def sorted_by(
    problems: Sequence[Mapping[str, Any]], training: str, name: str
) -> dict[str | None, list[str]]:
    """What is said → the values of which it is said; None for those that could not be compared."""
    said: dict[str | None, list[str]] = {}
    for problem in problems:
        said.setdefault(problem["trainings"][training].get(name), []).append(problem["value"])
    return said


def where(said: Mapping[str | None, Sequence[str]], what: str) -> str:
    """At which values, in words."""
    chosen = said.get(what, [])
    if not chosen:
        return "nowhere"
    if len(said) == 1:
        return "everywhere"
    return f"at {', '.join(chosen)}"


def left_open(said: Mapping[str | None, Sequence[str]]) -> str:
    """The values of which nothing is said."""
    texts = {"undecided": "undecided at", None: "not compared at"}
    return "".join(f"; {text} {', '.join(said[key])}" for key, text in texts.items() if key in said)
