"""What a sweep says: a verdict for every arm and metric, alone and among all of them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from .arms import arm, split_variant
from .peak import Interval, Kind, Peak, Rise, reduction
from .statement import SPOKEN, statement
from .sweep import Sweep
from .threshold import effective_model_complexity, interpolation_threshold

# Arm, metric, and what is asked of the curve.
Key = tuple[str, str, Kind]

# Arms that a peak is compared with, the first of them that a sweep has.
_REFERENCES = ("sgd", "min_norm")
# A second rise needs a place before it and one after it.
_FEWEST_PLACES = 3


def verdict(
    sweep: Sweep,
    margins: Mapping[str, float],
    *,
    level: float = 0.95,
    epsilon: float = 0.01,
    seed: int = 0,
) -> dict[str, Any]:
    """Everything the sweep says, as plain numbers and sentences.

    All curves over the same test points are resampled together. Along an axis of kind ``"rise"`` every
    curve is asked for a rise and, under ``"peak"``, for one that is followed by a descent. Every
    verdict has its own interval at ``level``. Beside it ``holds_in_family`` says whether it is still
    made when all verdicts of its family shall be right together with that probability, by ``holm``.
    There are two families: all arms by the metrics that the statement speaks of, which are error, NLL
    and mean squared error on the test labels as they are; and all arms by the other metrics.

    Arms with fewer than three places have curves and no verdict.

    Args:
        sweep: The curves.
        margins: Metric → the height below which a rise counts as none.
        level: Confidence level.
        epsilon: Training error that counts as fitting.
        seed: Of the resamples.

    Raises:
        ValueError: No arm has three places.
    """
    judged = [name for name in sweep.arms if len(sweep.complexity(name)) >= _FEWEST_PLACES]
    if not judged:
        raise ValueError(
            f"no arm was measured at {_FEWEST_PLACES} places along {sweep.axis.name}, so that nothing can "
            "rise and fall; take more of them."
        )
    rises = {
        (name, metric, kind): dataclasses.replace(rise, kind=kind)
        for name in judged
        for metric in sweep.metrics(name)
        if metric in margins
        for rise in [sweep.rise(name, metric, seed=seed)]
        for kind in sweep.axis.kinds
    }
    converged = {name: not sweep.unconverged.get(name) for name in sweep.arms}
    peaks: dict[Kind, dict[str, dict[str, Peak]]] = {
        kind: {name: {} for name in judged} for kind in sweep.axis.kinds
    }
    for (name, metric, kind), rise in rises.items():
        found = rise.at(level, margins[metric], converged=converged[name])
        peaks[kind][name][metric] = found
    families = {
        name: {key: rise for key, rise in rises.items() if (key[1] in SPOKEN) == is_spoken}
        for name, is_spoken in (("spoken", True), ("others", False))
    }
    held = set[Key]().union(*(holm(f, margins, level=level) for f in families.values()))
    main, *also = sweep.axis.kinds
    reference = next((name for name in _REFERENCES if name in judged), judged[0])
    entries: dict[str, dict[str, Any]] = {}
    for name, by_metric in peaks[main].items():
        entries[name] = {}
        for metric, one in by_metric.items():
            entry = _entry(one, peaks[main][reference][metric])
            entry["holds_in_family"] = (name, metric, main) in held
            for kind in also:
                other, against = (peaks[kind][n][metric] for n in (name, reference))
                entry[kind] = _entry(other, against)
                entry[kind]["holds_in_family"] = (name, metric, kind) in held
            entries[name][metric] = entry
    fits = _interpolation(sweep, reference, epsilon, level, seed)
    return {
        "converged": all(converged.values()),
        "unconverged_cells": _cells(sweep.unconverged),
        "statement": statement(sweep.axis, peaks, sweep.unconverged, held, level),
        "axis": sweep.axis.as_dict(),
        "level": level,
        "margins": dict(margins),
        "families": {"method": "Holm", "level": level}
        | {f"n_{name}": len(family) for name, family in families.items()},
        "reference": reference,
        "interpolation_threshold": fits["value"],
        "interpolation": fits,
        "arms": entries,
        "variants": variants(peaks[main]),
    }


def holm(rises: Mapping[Key, Rise], margins: Mapping[str, float], *, level: float) -> set[Key]:
    """The verdicts "present" and "absent" that are right together with probability ``level``.

    Holm's step-down: a verdict holds if its interval of level 1 − (1 − level)/m says the same, with m
    the number of verdicts not yet known to hold; those that do are taken out, and the rest tried
    again, until none is added. Source: Holm 1979, Scand. J. Statist. 6.

    Args:
        rises: All curves that are judged.
        margins: Metric → margin.
        level: Probability that no verdict held is wrong.
    """
    held: set[Key] = set()
    while len(held) < len(rises):
        share = 1 - (1 - level) / (len(rises) - len(held))
        new = {
            key
            for key, rise in rises.items()
            if key not in held and rise.at(share, margins[key[1]]).verdict != "undecided"
        }
        if not new:
            break
        held |= new
    return held


def variants(peaks: Mapping[str, Mapping[str, Peak]]) -> list[dict[str, Any]]:
    """The second rise of an arm over what is varied in it: temperature, or width of the prior.

    Returns:
        One row for every arm, metric and value, those of 1 being the arm itself.
    """
    varied = {(base, kind) for base, kind, _ in map(split_variant, peaks) if kind is not None}
    rows = []
    for base, kind in sorted(varied):
        members = {1.0: base} if base in peaks else {}
        members |= {v: n for n in peaks for b, k, v in [split_variant(n)] if (b, k) == (base, kind)}
        for value in sorted(members):
            for metric, one in peaks[members[value]].items():
                rows.append(
                    {
                        "arm": base,
                        "label": arm(base).label,
                        "varied": kind,
                        "value": value,
                        "metric": metric,
                        "verdict": one.verdict,
                        "height": one.height,
                        "interval": list(one.interval),
                        "converged": one.converged,
                    }
                )
    return rows


def _interpolation(
    sweep: Sweep, name: str, epsilon: float, level: float, seed: int
) -> dict[str, Any]:
    """Where the effective model complexity of an arm reaches the training rows, with its interval.

    Along an axis of models, training or posteriors it is the first place that fits the rows at hand; along
    the rows themselves it is the largest number that is fitted.
    """
    metric = next(m for m in sweep.metrics(name) if m.startswith("train_"))
    values = sweep.replicates(name, metric)
    by_replicate = values.reshape(-1, *values.shape[2:])[..., 0]
    found = {"arm": name, "value": None, "interval": None, "epsilon": epsilon}
    if metric != "train_error" or len(by_replicate) < 2:
        return found
    measure = (
        effective_model_complexity if sweep.axis.name == "samples" else interpolation_threshold
    )
    capacity = measure(
        sweep.complexity(name), by_replicate, epsilon=epsilon, level=level, seed=seed
    )
    return found | {"value": capacity.value, "interval": list(capacity.interval)}


def _cells(unconverged: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(cell for cells in unconverged.values() for cell in cells))


def _entry(one: Peak, reference: Peak) -> dict[str, Any]:
    lower_by, interval = (
        reduction(reference, one)
        if len(one.bootstrap) == len(reference.bootstrap)
        else (float("nan"), Interval(float("nan"), float("nan")))
    )
    return {
        "verdict": one.verdict,
        "height": one.height,
        "interval": list(one.interval),
        "complexity": one.complexity,
        "margin": one.margin,
        "converged": one.converged,
        "statement": one.statement,
        "lower_than_reference": {"value": lower_by, "interval": list(interval)},
    }
