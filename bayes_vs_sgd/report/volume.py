"""The report of function volumes."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .. import diagnostics
from ..runs import RunFolder
from .figures import STYLE, legend, panels, svg

Figures = dict[str, Any]
# Functions in the table of the page, and points of a scatter plot.
_MOST_ROWS, _MOST_POINTS = 30, 3000


def content(folder: RunFolder, verdict: Mapping[str, Any]) -> tuple[Figures, dict[str, Any]]:
    """The figures by name, and what the template ``volume.html.jinja`` takes beside them."""
    table = pd.read_csv(folder.path / "summary.csv", dtype={"function": str})
    labels = {name: entry["label"] for name, entry in verdict["comparison"].items()}
    drawn = {
        "scatter": scatter(table, verdict),
        "evidence": evidence(verdict),
        "complexity": complexity(table, labels, folder.read_json("config.json")["settings"]),
    }
    if any(entry["functions"] for entry in infinite_of(verdict).values()):
        drawn["infinite"] = infinite(infinite_of(verdict))
    return drawn, {
        "labels": labels,
        "rows": table.head(_MOST_ROWS).to_dict("records"),
        "n_rows": len(table),
        "chains": _chains(folder),
    }


def scatter(table: pd.DataFrame, verdict: Mapping[str, Any]) -> Figure:
    """log₁₀ P_SGD over log₁₀ P_B, a panel for each way to train, one standard error on both axes."""
    names = list(verdict["comparison"])
    with mpl.rc_context(STYLE):
        figure, axes = panels(len(names), n_columns=2, size=(4.8, 4.3))
        for panel, name in zip(axes, names, strict=True):
            _draw_scatter(panel, table, name)
            panel.set_title(verdict["comparison"][name]["label"], fontsize=10)
        legend(figure, axes)
    return figure


def _draw_scatter(panel: Any, table: pd.DataFrame, name: str) -> None:
    x, y = table["p_posterior"], table[f"p_sgd_{name}"]
    x_sem, y_sem = table["p_posterior_sem"], table[f"p_sgd_{name}_sem"]
    both = (x > 0) & (y > 0)
    shown = table.index[both][:_MOST_POINTS]
    is_target = table["test_error"] == 0
    for chosen, color, label in (
        (~is_target, "C0", "a function (± one standard error)"),
        (is_target, "C3", "the target"),
    ):
        rows = shown[chosen[shown]]
        if len(rows):
            panel.errorbar(
                x[rows], y[rows], fmt="o", markersize=3, color=color, alpha=0.6, elinewidth=0.6, label=label,
                xerr=np.stack([np.minimum(x_sem[rows], 0.9 * x[rows]), x_sem[rows]]),
                yerr=np.stack([np.minimum(y_sem[rows], 0.9 * y[rows]), y_sem[rows]]),
            )  # fmt: skip
    panel.set(
        xscale="log", yscale="log", xlabel="posterior volume P_B(f | S)", ylabel="P_SGD(f | S)"
    )
    ends = [*panel.get_xlim(), *panel.get_ylim()]
    panel.plot([min(ends), 1], [min(ends), 1], color="0.4", linestyle="--", label="equal")


def evidence(verdict: Mapping[str, Any]) -> Figure:
    """Log P(S), the target's posterior and the mean test error by every estimator."""
    rows = verdict["estimators"]
    shown = {
        "log_evidence": "log P(S)",
        "target_posterior": "P_B(target | S)",
        "mean_test_error": "mean test error",
    }
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10.5, 1.2 + 0.4 * len(rows)), layout="constrained")
        for panel, (name, text) in zip(
            figure.subplots(1, 3, sharey=True), shown.items(), strict=True
        ):
            for place, (estimator, row) in enumerate(rows.items()):
                if row[name] is None:
                    continue
                sem, wide = row[f"{name}_sem"], estimator in infinite_of(verdict)
                panel.errorbar(
                    row[name], place, xerr=2 * (sem or 0), capsize=3,
                    fmt="x" if row["doubts"] else "D" if wide else "o",
                    markerfacecolor="none" if sem is None else None,
                    color="C3" if row["doubts"] else "C1" if wide else "C0",
                )  # fmt: skip
            panel.set_yticks(range(len(rows)), list(rows))
            panel.set_ylim(-0.6, len(rows) - 0.4)
            panel.invert_yaxis()
            panel.set_xlabel(f"{text} (± two standard errors)")
    return figure


def infinite_of(verdict: Mapping[str, Any]) -> Mapping[str, Any]:
    """What was found of the network of infinite width; nothing in runs from before it was asked."""
    return verdict.get("infinite", {})


def infinite(found: Mapping[str, Any]) -> Figure:
    """Log P(f | S) of the infinite network over that of the finite one, a panel an estimator."""
    shown = {name: pd.DataFrame(e["functions"]) for name, e in found.items() if e["functions"]}
    labels = ("log P(f | S), the finite network (nats)", "log P(f | S), infinite width (nats)")
    with mpl.rc_context(STYLE):
        figure, axes = panels(len(shown), size=(4.6, 4.1), labels=labels)
        for panel, (name, rows) in zip(axes, shown.items(), strict=True):
            _draw_infinite(panel, rows)
            panel.set_title(name if rows["log_p_sem"].notna().any() else f"{name} (error unknown)")
        legend(figure, axes)
    return figure


def _draw_infinite(panel: Any, rows: pd.DataFrame) -> None:
    for chosen, color, label in (
        (~rows["is_target"], "C0", "a function (± one standard error)"),
        (rows["is_target"], "C3", "the target"),
    ):
        own = rows[chosen]
        if len(own):
            panel.errorbar(
                own["log_p_finite"], own["log_p"], xerr=own["log_p_finite_sem"],
                yerr=own["log_p_sem"].astype(float).fillna(0), fmt="o", markersize=3, color=color, alpha=0.6,
                elinewidth=0.6, label=label,
            )  # fmt: skip
    ends = [rows["log_p_finite"].min(), rows["log_p_finite"].max()]
    panel.plot(ends, ends, color="0.4", linestyle="--", label="equal")


def complexity(
    table: pd.DataFrame, labels: Mapping[str, str], settings: Mapping[str, Any]
) -> Figure:
    """Probability over complexity, for the posterior and every way to train."""
    columns = {"p_posterior": "posterior"} | {f"p_sgd_{n}": text for n, text in labels.items()}
    with mpl.rc_context(STYLE):
        shared = (
            f"complexity ({settings['complexity'].replace('_', ' ')})",
            "probability of a function",
        )
        figure, axes = panels(len(columns), size=(3.6, 3.1), labels=shared)
        for panel, (column, text) in zip(axes, columns.items(), strict=True):
            rows = table[table[column] > 0].nlargest(_MOST_POINTS, column)
            points = panel.scatter(
                rows["complexity"], rows[column], c=rows["test_error"], s=8, cmap="viridis", vmin=0,
                vmax=max(table["test_error"].max(), 1e-9), rasterized=True,
            )  # fmt: skip
            panel.set_yscale("log")
            panel.set_title(text, fontsize=9)
        figure.colorbar(points, ax=axes, label="test error")
    return figure


def _chains(folder: RunFolder) -> dict[str, Any]:
    """Convergence of every estimator's runs in function space, with ArviZ's plots."""
    found = {}
    for key in folder.cells():
        attributes = folder.read_group(key).attrs
        if "rhat" not in attributes:
            continue
        plots = diagnostics.trace_plots(folder.read(key))
        found[key] = {
            "attributes": attributes,
            "plots": {name: svg(plot) for name, plot in plots.items()},
        }
    return found
