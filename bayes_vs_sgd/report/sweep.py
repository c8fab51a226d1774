"""The report of a sweep along an axis."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from .. import diagnostics
from ..double_descent import AXES
from ..runs import RunFolder
from . import figures
from .text import METRICS, in_order, label, number

Figures = dict[str, Any]

# Metrics of the first figure; the second has all others.
_FIRST = ("error", "nll", "mse", "train_error", "train_mse")
# Cells whose ArviZ plots are shown: the worst by R-hat.
_MOST_PLOTTED = 12


def content(folder: RunFolder, verdict: Mapping[str, Any]) -> tuple[Figures, dict[str, Any]]:
    """The figures by name, and what the template ``sweep.html.jinja`` takes beside them."""
    settings = folder.read_json("config.json")["settings"]
    table = pd.read_csv(folder.path / "summary.csv")
    return _figures(folder, table, verdict, settings), {
        "axis": AXES[verdict["axis"]["name"]],
        "arms": {name: label(name) for name in in_order(table["arm"])},
        "metrics": METRICS,
        "rows": _pivot(table, ("value", "sem")),
        "medians": _medians(table),
        "fidelity": _fidelity(folder.read_json("fidelity.json")),
        "chains": _chains(folder),
        "fits": [_fit(folder, key) for key in folder.cells() if _is_trained(folder, key)],
    }


def _figures(
    folder: RunFolder, table: pd.DataFrame, verdict: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, Any]:
    found = {"curves": figures.curves(table, verdict, _FIRST)}
    others = [m for m in METRICS if m not in _FIRST and (table["metric"] == m).any()]
    if others:
        found["metrics"] = figures.curves(table, verdict, others)
    if verdict["variants"]:
        found["variants"] = figures.variants(verdict["variants"])
    map_ = _curves(folder)
    if map_["complexity"].nunique() > 2 and map_["epoch"].nunique() > 2:
        found["heat_map"] = figures.heat_map(map_, verdict, verdict["interpolation"]["epsilon"])
    capacity = verdict["effective_model_complexity"]
    if capacity:
        n_train = None if verdict["axis"]["name"] == "samples" else settings["n_train"]
        found["capacity"] = figures.capacity(capacity, verdict, n_train)
    return found


def _curves(folder: RunFolder) -> pd.DataFrame:
    """SGD's losses over place × epochs: means over networks and splits."""
    rows: list[dict[str, float]] = []
    for key in folder.cells():
        place = folder.read_group(key).attrs.get("place")
        if not key.startswith("sgd") or place is None:
            continue
        curves = folder.read_group(key, "curves")
        for k in range(curves.sizes["checkpoint"]):
            here = curves.isel(checkpoint=k)
            means = {n: float(here[n].mean()) for n in ("test_error", "test_loss", "train_error")}
            rows.append({"complexity": place, "epoch": float(here["asked_epoch"].max())} | means)
    if not rows:
        return pd.DataFrame({"complexity": [], "epoch": []})
    return pd.DataFrame(rows).groupby(["complexity", "epoch"], as_index=False).mean()


def _pivot(table: pd.DataFrame, columns: tuple[str, str]) -> Mapping[str, Any]:
    """Metric → rows of (place, {arm: "value ± sem"})."""
    result = {}
    for metric in table["metric"].unique():
        rows = table[table["metric"] == metric]
        result[metric] = [
            (
                c,
                {
                    r.arm: number(*(getattr(r, name) for name in columns))
                    for r in group.itertuples()
                },
            )
            for c, group in rows.groupby("complexity")
        ]
    return result


def _medians(table: pd.DataFrame) -> Mapping[str, Any]:
    """Metric → rows of (place, {arm: "median (lower … upper)"}), where intervals are known."""
    result = {}
    for metric in table["metric"].unique():
        rows = table[(table["metric"] == metric) & table["median_lower"].notna()]
        if rows.empty:
            continue
        result[metric] = [
            (
                c,
                {
                    r.arm: f"{r.median:.3g} ({r.median_lower:.3g} … {r.median_upper:.3g})"
                    for r in group.itertuples()
                },
            )
            for c, group in rows.groupby("complexity")
        ]
    return result


def _fidelity(rows: list[dict[str, Any]]) -> list[tuple[float, dict[str, str]]]:
    by_complexity: dict[float, dict[str, str]] = {}
    for row in rows:
        text = (
            f"{row['agreement']:.3f} ± {row['agreement_sem']:.3f} / "
            f"{row['total_variation']:.3f} ± {row['total_variation_sem']:.3f}"
        )
        by_complexity.setdefault(row["complexity"], {})[row["arm"]] = text
    return sorted(by_complexity.items())


def _chains(folder: RunFolder) -> dict[str, Any]:
    """Figures of every sampled cell, and ArviZ's plots of the worst of them."""
    attributes = {key: folder.read_group(key).attrs for key in folder.cells()}
    sampled = {key: a for key, a in attributes.items() if "rhat" in a}
    worst = sorted(sampled, key=lambda key: -np.nan_to_num(sampled[key]["rhat"], nan=np.inf))
    plotted = set(worst[:_MOST_PLOTTED])
    return {
        "cells": sampled,
        "plots": {key: _plots(folder, key) for key in sampled if key in plotted},
    }


def _plots(folder: RunFolder, key: str) -> dict[str, Any]:
    tree = folder.read(key)
    if "predictions" not in tree.children:
        return {"plots": {}, "worst": ""}
    found = diagnostics.diagnostic_plots(tree)
    return {
        "plots": {name: figures.svg(plot) for name, plot in found.items()},
        "worst": diagnostics.worst_predictions(tree).to_html(border=0),
    }


def _is_trained(folder: RunFolder, key: str) -> bool:
    return "interpolated" in folder.read_group(key).attrs


def _fit(folder: RunFolder, key: str) -> dict[str, Any]:
    curves = folder.read_group(key, "curves").isel(checkpoint=-1)
    attributes = folder.read_group(key).attrs
    return {
        "key": key,
        "n": curves.sizes["network"],
        "parameters": attributes["n_parameters"],
        "interpolated": attributes["interpolated"],
        "nonfinite": attributes["nonfinite"],
        "stopped": attributes["stopped_chains"],
        "train_error": float(curves["train_error"].mean()),
        "epochs": float(curves["epoch"].mean()),
    }
