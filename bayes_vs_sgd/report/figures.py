"""Figures of a sweep, as SVG text."""

import io
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from ..double_descent import ARMS
from .text import METRICS

# One look for all figures; SVG with text as text, so that the page can be searched.
_STYLE = sns.axes_style("whitegrid") | sns.plotting_context("paper", font_scale=1.1)
_STYLE |= {"svg.fonttype": "none", "svg.hashsalt": "bayes_vs_sgd"}
_MARKERS = ("o", "s", "^", "D", "v")


def curves(table: pd.DataFrame, verdict: Mapping[str, Any], complexity_name: str) -> Figure:
    """Test error, test NLL and train error of every arm over complexity, with intervals."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(12.5, 4.4), layout="constrained")
        axes = figure.subplots(1, 3)
        for axis, metric in zip(axes, METRICS, strict=True):
            _draw_curves(axis, table[table["metric"] == metric])
            _mark_threshold(axis, verdict["interpolation_threshold"])
            axis.set(xlabel=complexity_name, ylabel=METRICS[metric], title=METRICS[metric])
        axes[1].set_yscale("log")
        axes[1].yaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
        axes[1].yaxis.set_minor_formatter(mpl.ticker.FormatStrFormatter("%g"))
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False)
    return figure


def svg(figure: Any) -> str:
    """A figure as an ``<svg>`` element; the figure is closed."""
    buffer = io.StringIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    # ArviZ makes its figures through pyplot, which keeps them until they are closed.
    plt.close(figure)
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _draw_curves(axis: Any, table: pd.DataFrame) -> None:
    palette = sns.color_palette("colorblind", len(ARMS))
    for (arm, label), color, marker in zip(ARMS.items(), palette, _MARKERS, strict=True):
        rows = table[table["arm"] == arm].sort_values("complexity")
        x = rows["complexity"]
        axis.plot(x, rows["value"], color=color, marker=marker, markersize=4, label=label)
        axis.fill_between(x, rows["lower"], rows["upper"], color=color, alpha=0.2, linewidth=0)
    ticks = sorted(table["complexity"].unique())
    axis.set_xscale("log")
    axis.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axis.xaxis.set_minor_locator(mpl.ticker.NullLocator())


def _mark_threshold(axis: Any, threshold: float | None) -> None:
    if threshold is not None:
        label = "SGD's train error ≤ 1 %"
        axis.axvline(threshold, color="0.4", linestyle="--", linewidth=1, label=label)
