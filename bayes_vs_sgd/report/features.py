"""The report of feature learning: arms, comparisons, and movement over the width."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..runs import RunFolder
from .figures import STYLE, legend, panels

Figures = dict[str, Any]
# Functions in the table of the page, and points of a scatter plot.
_MOST_ROWS, _MOST_POINTS = 20, 300
_ROLES = {"input": "input layer", "hidden": "hidden layer", "output": "output layer"}
_NAMES = {"standard": "standard, rate ∝ 1/width", "ntk": "neural tangent", "mup": "maximal update"}


def content(folder: RunFolder, verdict: Mapping[str, Any]) -> tuple[Figures, dict[str, Any]]:
    """The figures by name, and what the template ``features.html.jinja`` takes beside them."""
    table = pd.read_csv(folder.path / "summary.csv", dtype={"function": str})
    drawn = {
        "arms": arms(verdict),
        "scatter": scatter(table, verdict),
        "features": features(verdict),
        "movement": movement(verdict),
        "kernels": kernels(verdict),
    }
    return drawn, {
        "rows": table.head(_MOST_ROWS).to_dict("records"),
        "n_rows": len(table),
        "n_points": _MOST_POINTS,
        "names": _NAMES,
    }


def arms(verdict: Mapping[str, Any]) -> Figure:
    """The target's share and the mean test error of every arm, with two standard errors."""
    rows = verdict["arms"]
    shown = {"target_probability": "P(target | S)", "mean_test_error": "mean test error"}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10.5, 1.2 + 0.42 * len(rows)), layout="constrained")
        for panel, (number, text) in zip(
            figure.subplots(1, 2, sharey=True), shown.items(), strict=True
        ):
            for place, (name, row) in enumerate(rows.items()):
                panel.errorbar(
                    row[number], place, xerr=2 * row[f"{number}_sem"], fmt="o", capsize=3,
                    color=_color(name),
                )  # fmt: skip
            panel.set_yticks(range(len(rows)), [row["label"] for row in rows.values()])
            panel.set_ylim(-0.6, len(rows) - 0.4)
            panel.invert_yaxis()
            panel.set_xlim(left=0)
            panel.set_xlabel(f"{text} (± two standard errors)")
    return figure


def _color(arm: str) -> str:
    return "C3" if arm.startswith("sgd") or arm == "tangent" else "C0"


def scatter(table: pd.DataFrame, verdict: Mapping[str, Any]) -> Figure:
    """The functions of every comparison: one arm over the other, with one standard error."""
    pairs = verdict["comparisons"]
    with mpl.rc_context(STYLE):
        figure, axes = panels(len(pairs), n_columns=3, size=(4.4, 4.1))
        for panel, (name, pair) in zip(axes, pairs.items(), strict=True):
            _draw_scatter(panel, table, pair["first"], pair["second"])
            labels = [
                _wrapped(verdict["arms"][pair[side]]["label"]) for side in ("first", "second")
            ]
            panel.set(xlabel=labels[0], ylabel=labels[1])
            low, high = pair["total_variation_lower_bound"], pair["total_variation_plug_in"]
            panel.set_title(
                f"{name}\ntotal variation {max(low, 0):.2f} … {high:.2f}: {pair['verdict']}",
                fontsize=9,
            )
        legend(figure, axes)
    return figure


def _draw_scatter(panel: Any, table: pd.DataFrame, first: str, second: str) -> None:
    x, y = table[f"p_{first}"], table[f"p_{second}"]
    both = table.index[(x > 0) & (y > 0)]
    shown = both[np.argsort(-(x + y)[both].to_numpy(), kind="stable")[:_MOST_POINTS]]
    is_target = table["test_error"] == 0
    for chosen, color, label in (
        (~is_target, "C0", "a function (± one standard error)"),
        (is_target, "C3", "the target"),
    ):
        rows = shown[chosen[shown]]
        if not len(rows):
            continue
        errors = {}
        for side, value in (("xerr", table[f"p_{first}"]), ("yerr", table[f"p_{second}"])):
            sem = table[f"{value.name}_sem"]
            errors[side] = np.stack([np.minimum(sem[rows], 0.9 * value[rows]), sem[rows]])
        panel.errorbar(
            x[rows], y[rows], **errors, fmt="o", markersize=3, color=color, alpha=0.5, elinewidth=0.5,
            label=label,
        )  # fmt: skip
    panel.set(xscale="log", yscale="log")
    ends = [*panel.get_xlim(), *panel.get_ylim()]
    panel.plot([min(ends), 1], [min(ends), 1], color="0.4", linestyle="--", label="equal")


def _wrapped(text: str) -> str:
    return text.replace(", ", ",\n")


def features(verdict: Mapping[str, Any]) -> Figure:
    """Mean test error of the last layers over every draw of random features, by its evidence."""
    found, rows = verdict["features"], verdict["arms"]
    fits = [v is not None for v in found["log_evidence"]]
    evidences = np.array([v for v in found["log_evidence"] if v is not None], float)
    errors = np.array([v for v in found["test_error"] if v is not None], float)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 5.2), layout="constrained")
        axis = figure.subplots()
        axis.plot(
            evidences, errors, ".", alpha=0.5, color="0.4",
            label=f"a draw of random features ({sum(fits)} of {len(fits)} fit)",
        )  # fmt: skip
        for name, color in (("features", "C1"), ("features_weighted", "C0"), ("whole", "C2")):
            row = rows[name]
            value, reach = row["mean_test_error"], 2 * row["mean_test_error_sem"]
            axis.axhline(value, color=color, label=f"{row['label']}, mean")
            axis.axhspan(value - reach, value + reach, color=color, alpha=0.15, linewidth=0)
        axis.set(
            xlabel="log P(S | features), nats",
            ylabel="mean test error of the posterior over last layers",
        )
        axis.set_ylim(bottom=0)
        figure.legend(loc="outside lower center", frameon=False)
    return figure


def movement(verdict: Mapping[str, Any]) -> Figure:
    """Relative spectral movement of each layer over the width, with the fitted power."""
    with mpl.rc_context(STYLE):
        figure, axes = panels(
            len(_ROLES), size=(3.9, 3.6), labels=("width", "‖W_t − W_0‖₂ / ‖W_0‖₂")
        )
        for panel, (role, title) in zip(axes, _ROLES.items(), strict=True):
            for place, (name, rows) in enumerate(_by_parameterization(verdict).items()):
                _draw_power(panel, rows, f"{role}_spectral", f"C{place}", _NAMES[name])
            panel.set_title(title)
        legend(figure, axes)
    return figure


def _draw_power(
    panel: Any, rows: Sequence[Mapping[str, Any]], measure: str, color: str, label: str
) -> None:
    x = [row["width"] for row in rows]
    value = np.array([row[measure] for row in rows], float)
    sem = np.array([row[f"{measure}_sem"] for row in rows], float)
    panel.errorbar(x, value, yerr=2 * sem, fmt="o-", color=color, capsize=2, label=label)
    panel.set(xscale="log", yscale="log")
    panel.set_xticks(x, [f"{width:g}" for width in x])
    panel.xaxis.set_minor_locator(mpl.ticker.NullLocator())


def kernels(verdict: Mapping[str, Any]) -> Figure:
    """How far the tangent kernel turns, how like the target's it is, and the test error, over the width."""
    with mpl.rc_context(STYLE):
        figure, axes = panels(3, size=(3.9, 3.6))
        turned, target, error = axes
        for place, (name, rows) in enumerate(_by_parameterization(verdict).items()):
            color = f"C{place}"
            _draw_power(turned, rows, "kernel_change", color, _NAMES[name])
            x = [row["width"] for row in rows]
            for measure, style in (("target_alignment_start", ":"), ("target_alignment_end", "-")):
                when = "before training" if style == ":" else "after training"
                y = [row[measure] for row in rows]
                reach = [2 * row[f"{measure}_sem"] for row in rows]
                target.errorbar(x, y, yerr=reach, color=color, linestyle=style, capsize=2)
                if place == 0:
                    target.plot([], [], color="0.3", linestyle=style, label=when)
            y = [row["test_error"] for row in rows]
            reach = [2 * row["test_error_sem"] for row in rows]
            error.errorbar(x, y, yerr=reach, fmt="o-", color=color, capsize=2)
        error.axhline(
            verdict["tangent_test_error"], color="0.3", linestyle="--",
            label="infinite width, NTK, same time",
        )  # fmt: skip
        turned.set(xlabel="width", ylabel="1 − alignment of the tangent kernels")
        target.set(xlabel="width", ylabel="alignment with the target", xscale="log")
        error.set(xlabel="width", ylabel="mean test error", xscale="log")
        error.set_ylim(bottom=0)
        for axis in (target, error):
            axis.set_xticks(x, [f"{width:g}" for width in x])
            axis.xaxis.set_minor_locator(mpl.ticker.NullLocator())
        legend(figure, axes)
    return figure


def _by_parameterization(verdict: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in sorted(verdict["widths"], key=lambda row: row["width"]):
        found.setdefault(row["parameterization"], []).append(row)
    return {name: found[name] for name in verdict["powers"]}
