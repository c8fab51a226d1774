"""``report.html``: everything a reader needs, in one file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from .. import diagnostics
from ..double_descent import AXES
from ..runs import RunFolder
from . import figures
from .text import METRICS, in_order, label, number

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("bayes_vs_sgd.report"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
# Metrics of the first figure; the second has all others.
_FIRST = ("error", "nll", "mse", "train_error", "train_mse")
# Cells whose ArviZ plots are shown: the worst by R-hat.
_MOST_PLOTTED = 12


def write(folder: RunFolder) -> Path:
    """Draw the report of a finished run from its folder, figures included.

    Args:
        folder: A run folder with ``summary.csv``, ``verdict.json`` and its cells.

    Returns:
        The path of ``report.html``.

    Raises:
        ValueError: The folder lacks a file of a finished run, or the run is no sweep.
    """
    config, verdict = folder.read_json("config.json"), folder.read_json("verdict.json")
    if "axis" not in verdict:
        raise ValueError(
            f"{folder.path} holds a run of {config['study']} without a sweep along an axis, of which there is "
            "no report; it may be of an earlier version."
        )
    table = pd.read_csv(folder.path / "summary.csv")
    drawn = _figures(folder, table, verdict, config["settings"])
    (folder.path / "figures").mkdir(exist_ok=True)
    for name, figure in drawn.items():
        figure.savefig(folder.path / "figures" / f"{name}.png", dpi=160)
        figure.savefig(folder.path / "figures" / f"{name}.svg", metadata={"Date": None})
    names = in_order(table["arm"])
    page = _TEMPLATES.get_template("report.html.jinja").render(
        title=config["study"].replace("_", " "),
        config=config,
        settings=config["settings"],
        verdict=verdict,
        axis=AXES[verdict["axis"]["name"]],
        arms={name: label(name) for name in names},
        metrics=METRICS,
        figures={name: figures.svg(figure) for name, figure in drawn.items()},
        rows=_pivot(table, ("value", "sem")),
        medians=_medians(table),
        fidelity=_fidelity(folder.read_json("fidelity.json")),
        chains=_chains(folder),
        fits=[_fit(folder, key) for key in folder.cells() if _is_trained(folder, key)],
        provenance=folder.read_json("provenance.json"),
    )
    folder.write_text("report.html", page)
    return folder.path / "report.html"


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
