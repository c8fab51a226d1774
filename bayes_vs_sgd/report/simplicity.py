"""The report of priors over Boolean functions and of their simplicity."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..runs import RunFolder
from .figures import STYLE, legend, panels

Figures = dict[str, Any]
# Functions of the table of the page, for each prior.
_MOST_ROWS = 8


def content(folder: RunFolder, verdict: Mapping[str, Any]) -> tuple[Figures, dict[str, Any]]:
    """The figures by name, and what the template ``simplicity.html.jinja`` takes beside them."""
    table = pd.read_csv(folder.path / "summary.csv", dtype={"function": str})
    drawn = {
        "bias": bias(table, verdict, folder.read_json("config.json")["settings"]),
        "complexity": complexities(verdict),
        "rank": rank(table, verdict),
        "ones": ones(verdict),
    }
    shown = {value: rows.head(_MOST_ROWS) for value, rows in table.groupby("sigma_w")}
    return drawn, {"rows": {value: rows.to_dict("records") for value, rows in shown.items()}}


def bias(table: pd.DataFrame, verdict: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """P(f) over K(f), a panel for each prior, with the upper envelope over what it was fitted to."""
    rows, least = verdict["priors"], settings["least_count"]
    with mpl.rc_context(STYLE):
        figure, axes = panels(len(rows), size=(3.9, 3.4), labels=(axis_of(verdict), "P(f)"))
        for panel, row in zip(axes, rows, strict=True):
            _draw_bias(panel, table[table["sigma_w"] == row["sigma_w"]], row, least)
        legend(figure, axes)
    return figure


def _draw_bias(panel: Any, own: pd.DataFrame, row: Mapping[str, Any], least: int) -> None:
    panel.scatter(
        own["complexity"], own["p"], s=7, alpha=0.35, linewidth=0, rasterized=True,
        label="a function found twice or more",
    )  # fmt: skip
    panel.axhline(
        least / row["n_draws"], color="0.5", linestyle=":",
        label=f"{least} draws: functions above count for the envelope",
    )  # fmt: skip
    panel.set(yscale="log", title=title(row))
    fit = row["envelope"]
    if fit is not None:
        k = np.array([fit["from"], fit["to"]])
        line = 2 ** (-fit["a"] * k - fit["b"])
        panel.plot(k, line, color="C3", label="upper envelope 2^(−aK−b)")
    if own.empty:
        panel.text(
            0.5, 0.5, "no function was\nfound twice", transform=panel.transAxes, ha="center",
            va="center", color="0.4",
        )  # fmt: skip


def complexities(verdict: Mapping[str, Any]) -> Figure:
    """How complex the functions of a prior are, and uniformly random ones: cumulative shares."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.2, 4.2), layout="constrained")
        axis = figure.subplots()
        for row, color in zip(verdict["priors"], colors(verdict), strict=True):
            _steps(axis, row["histogram"], color=color, label=title(row))
        _steps(
            axis, verdict["uniform"]["histogram"], color="0.2", linestyle="--",
            label="uniformly random functions",
        )  # fmt: skip
        axis.set(
            xlabel=axis_of(verdict),
            ylabel="share of draws that are at most as complex",
            ylim=(0, 1.02),
        )
        figure.legend(loc="outside right upper", frameon=False)
    return figure


def rank(table: pd.DataFrame, verdict: Mapping[str, Any]) -> Figure:
    """P(f) over the rank of f, with the standard error of the counts."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 4.2), layout="constrained")
        axis = figure.subplots()
        for row, color in zip(verdict["priors"], colors(verdict), strict=True):
            own = table[table["sigma_w"] == row["sigma_w"]].sort_values("p", ascending=False)
            places = np.arange(1, len(own) + 1)
            p, sem = own["p"].to_numpy(), own["p_sem"].to_numpy()
            axis.plot(places, p, color=color, label=title(row), marker="." if len(own) < 30 else "")
            axis.fill_between(places, p - sem, p + sem, color=color, alpha=0.25, linewidth=0)
        axis.set(
            xscale="log", yscale="log", xlabel="rank of the function (found twice or more)",
            ylabel="P(f) (band: one standard error)",
        )  # fmt: skip
        axis.legend(frameon=False)
    return figure


def ones(verdict: Mapping[str, Any]) -> Figure:
    """P(T) of the perceptron beside its theorem, and of the priors."""
    perceptron = verdict["perceptron"]
    counts = np.array(perceptron["ones"], float)
    n, size = perceptron["n_draws"], len(counts) - 1
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10.5, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        share = counts[:-1] / n
        left.errorbar(
            np.arange(size), share, yerr=np.sqrt(share * (1 - share) / n), fmt=".", markersize=4,
            elinewidth=0.7, label="perceptron (± one standard error)",
        )  # fmt: skip
        left.axhline(1 / size, color="C3", label="theorem: 2⁻ⁿ")
        left.set(xlabel="inputs mapped to 1, T", ylabel="P(T)", title="Perceptron without bias")
        left.set_ylim(bottom=0, top=1.6 * max(share.max(), 1 / size))
        left.legend(frameon=False, loc="upper right")
        for row, color in zip(verdict["priors"], colors(verdict), strict=True):
            of_row = np.array(row["ones"], float) / row["n_draws"]
            right.plot(
                np.flatnonzero(of_row),
                of_row[of_row > 0],
                ".",
                markersize=4,
                color=color,
                label=title(row),
            )
        right.set(
            yscale="log",
            xlabel="inputs mapped to 1, T",
            ylabel="P(T)",
            title="The priors of the network",
        )
        right.legend(frameon=False, fontsize=8)
    return figure


def title(row: Mapping[str, Any]) -> str:
    """What a prior is called."""
    return f"σ_w = {row['sigma_w']:g} ({row['phase']})"


def axis_of(verdict: Mapping[str, Any]) -> str:
    """The axis of complexities."""
    return f"complexity K(f), {verdict['complexity'].replace('_', ' ')} ({verdict['unit']})"


def colors(verdict: Mapping[str, Any]) -> Any:
    """A colour for each prior, from ordered to chaotic."""
    return mpl.colormaps["viridis"](np.linspace(0, 0.9, len(verdict["priors"])))


def _steps(axis: Any, histogram: Mapping[str, Any], **look: Any) -> None:
    value, share = np.array(histogram["value"]), np.cumsum(histogram["share"])
    axis.step(np.append(value[0], value), np.append(0, share), where="post", **look)
