"""Figures of a sweep, as matplotlib figures and as SVG text."""

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from ..double_descent import ARMS, split_variant
from .text import METRICS, in_order, label

# One look for all figures; SVG with text as text, so that the page can be searched.
STYLE = sns.axes_style("whitegrid") | sns.plotting_context("paper", font_scale=1.1)
STYLE |= {"svg.fonttype": "none", "svg.hashsalt": "bayes_vs_sgd"}
_MARKERS = "osD^v<>Phd*pX8"
_LOG_METRICS = ("nll", "nll_noisy", "mse", "train_mse")
# More places than this have no tick each.
_MOST_TICKS = 14


def curves(table: pd.DataFrame, verdict: Mapping[str, Any], metrics: Sequence[str]) -> Figure:
    """The curves of every arm along the axis, one panel a metric, with pointwise intervals.

    Args:
        table: ``Sweep.table``; variants of arms are left out.
        verdict: ``double_descent.verdict``.
        metrics: Which metrics, of those that the table has.
    """
    names = [n for n in in_order(table["arm"]) if split_variant(n)[1] is None]
    table = table[table["arm"].isin(names)]
    shown = [m for m in metrics if (table["metric"] == m).any()]
    with mpl.rc_context(STYLE):
        figure, axes = panels(len(shown), size=(4.2, 3.9))
        for axis, metric in zip(axes, shown, strict=True):
            _draw_curves(axis, table[table["metric"] == metric], names)
            _mark_threshold(axis, verdict)
            _label_places(axis, table["complexity"])
            rows = table[table["metric"] == metric]
            is_log = metric in _LOG_METRICS and bool((rows["value"] > 0).all())
            _frame(axis, rows, is_log=is_log)
            if is_log:
                _log_scale(axis)
            axis.set(xlabel=verdict["axis"]["label"], ylabel=METRICS[metric])
        legend(figure, axes)
    return figure


def variants(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Height of the second rise over temperature, or width of the prior, with its interval."""
    kinds = list(dict.fromkeys(row["varied"] for row in rows))
    metrics = [
        m
        for m in METRICS
        if any(row["metric"] == m for row in rows) and m in ("error", "nll", "mse")
    ]
    names = {"T": "temperature T", "prior": "factor on the prior's standard deviation"}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.4 * len(metrics), 3.6 * len(kinds) + 0.4), layout="constrained")
        axes = figure.subplots(len(kinds), len(metrics), squeeze=False)
        for kind, line in zip(kinds, axes, strict=True):
            for metric, axis in zip(metrics, line, strict=True):
                _draw_heights(
                    axis, [r for r in rows if (r["varied"], r["metric"]) == (kind, metric)]
                )
                axis.set(xscale="log", xlabel=names[kind], ylabel=f"second rise, {METRICS[metric]}")
                axis.set_ylim(bottom=0)
        legend(figure, np.ravel(axes))
    return figure


def heat_map(curves: pd.DataFrame, verdict: Mapping[str, Any], epsilon: float) -> Figure:
    """Test error and loss of SGD over place × epochs, with the line where the training rows are fitted.

    Args:
        curves: Columns ``complexity``, ``epoch``, ``test_error``, ``test_loss``, ``train_error``,
            the means over networks.
        verdict: ``double_descent.verdict``.
        epsilon: Training error of the line.
    """
    shown = {"test_error": "SGD's test error", "test_loss": "SGD's test NLL (nats)"}
    with mpl.rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(10.5, 4.2), layout="constrained")
        for axis, (metric, name) in zip(figure.subplots(1, 2), shown.items(), strict=True):
            grid = curves.pivot(index="epoch", columns="complexity", values=metric)
            x, y = grid.columns.to_numpy(float), grid.index.to_numpy(float)
            positive = np.nanmin(grid.to_numpy()) > 0
            scale = mpl.colors.LogNorm() if metric == "test_loss" and positive else None
            mesh = axis.pcolormesh(
                x,
                y,
                grid.to_numpy(),
                shading="nearest",
                cmap="viridis",
                norm=scale,
                rasterized=True,
            )
            train = curves.pivot(
                index="epoch", columns="complexity", values="train_error"
            ).to_numpy()
            if np.nanmin(train) < epsilon < np.nanmax(train):
                axis.contour(x, y, train, levels=[epsilon], colors="white", linestyles="--")
            axis.set(xscale="log", yscale="log", xlabel=verdict["axis"]["label"], ylabel="epochs")
            _label_places(axis, curves["complexity"])
            axis.set_title(name)
            figure.colorbar(mesh, ax=axis, label=name)
    return figure


def capacity(
    rows: Sequence[Mapping[str, Any]], verdict: Mapping[str, Any], n_train: int | None
) -> Figure:
    """Effective model complexity along the axis, with its interval and the number of training rows."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.5, 4), layout="constrained")
        axis = figure.subplots()
        known = [r for r in rows if r["value"] is not None]
        x = [r["complexity"] for r in known]
        value = np.array([r["value"] for r in known])
        most = max([*value, n_train or 0, *(r["interval"][0] or 0 for r in rows)])
        lower = np.array([r["interval"][0] for r in known])
        upper = np.array([most if r["interval"][1] is None else r["interval"][1] for r in known])
        errors = np.maximum(np.stack([value - lower, upper - value]), 0)
        axis.errorbar(x, value, yerr=errors, fmt="o-", capsize=3, label="SGD's EMC")
        beyond = [(r["complexity"], r["interval"][0]) for r in rows if r["value"] is None]
        if beyond:
            axis.plot(
                *zip(*beyond, strict=True),
                "^",
                color="C1",
                label="at least (all tried were fitted)",
            )
        if n_train is not None:
            axis.axhline(n_train, color="0.4", linestyle="--", label="training rows")
        _label_places(axis, pd.Series([r["complexity"] for r in rows]))
        axis.set(xlabel=verdict["axis"]["label"], ylabel="effective model complexity (rows)")
        axis.legend(frameon=False)
    return figure


def svg(figure: Any) -> str:
    """A figure as an ``<svg>`` element; the figure is closed."""
    buffer = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    # ArviZ makes its figures through pyplot, which keeps them until they are closed.
    plt.close(figure)
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _draw_curves(axis: Any, table: pd.DataFrame, names: Sequence[str]) -> None:
    # Many bands over one another hide the lines.
    alpha = 0.2 if len(names) <= 6 else 0.08
    for name in names:
        rows = table[table["arm"] == name].sort_values("complexity")
        if rows.empty:
            continue
        color, marker = _look(name)
        axis.plot(
            rows["complexity"], rows["value"], color=color, marker=marker, markersize=4,
            label=label(name),
        )  # fmt: skip
        axis.fill_between(
            rows["complexity"], rows["lower"], rows["upper"], color=color, alpha=alpha, linewidth=0
        )


def _frame(axis: Any, rows: pd.DataFrame, *, is_log: bool) -> None:
    """Limits that show the curves with half their range around them, and no more than the intervals."""
    forth, back = (np.log, np.exp) if is_log else (np.asarray, np.asarray)
    rows = rows[np.isfinite(rows["value"])]
    if rows.empty:
        return
    value = forth(rows["value"].to_numpy(float))
    room = 0.5 * max(np.ptp(value), 0.05 * np.abs(value).max(), 1e-3)
    ends = rows["lower"].min(), rows["upper"].max()
    low, high = value.min() - room, value.max() + room
    if not is_log or ends[0] > 0:
        low = max(low, forth(ends[0]) - 0.1 * room) if np.isfinite(ends[0]) else low
    high = min(high, forth(ends[1]) + 0.1 * room) if np.isfinite(ends[1]) else high
    axis.set_ylim(back(low), back(high))


def _draw_heights(axis: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    for name in dict.fromkeys(row["arm"] for row in rows):
        own = [row for row in rows if row["arm"] == name and row["height"] is not None]
        height = np.array([row["height"] for row in own])
        ends = np.array([[e if e is not None else np.nan for e in row["interval"]] for row in own])
        color, marker = _look(name)
        axis.errorbar(
            [row["value"] for row in own], height, color=color, marker=marker, capsize=3,
            yerr=np.stack([height - ends[:, 0], ends[:, 1] - height]).clip(0), label=label(name),
        )  # fmt: skip


def _look(name: str) -> tuple[Any, str]:
    """Colour and marker of an arm, the same in every figure."""
    place = list(ARMS).index(name)
    colors = [*sns.color_palette("colorblind", 5), *sns.color_palette("husl", len(ARMS) - 5)]
    return colors[place], _MARKERS[place % len(_MARKERS)]


def panels(
    n: int,
    *,
    size: tuple[float, float],
    n_columns: int = 3,
    labels: tuple[str, str] | None = None,
) -> tuple[Figure, list[Any]]:
    """A figure of ``n`` panels in rows of at most ``n_columns``, with room for a legend below.

    Args:
        n: Panels, at least 1.
        size: Width and height of one, in inches.
        n_columns: Panels a row at most.
        labels: Of axes that all panels share, x then y; they stand at the lowest panel of each column
            and at the first of each row. Without, every panel has axes of its own.
    """
    n_columns = min(n_columns, n)
    n_rows = math.ceil(n / n_columns)
    figure = Figure(figsize=(size[0] * n_columns, size[1] * n_rows + 0.4), layout="constrained")
    share = labels is not None
    every = np.ravel(figure.subplots(n_rows, n_columns, squeeze=False, sharex=share, sharey=share))
    for panel in every[n:]:
        panel.set_visible(False)
    if labels is not None:
        for panel in every[max(n - n_columns, 0) : n]:
            panel.xaxis.set_tick_params(labelbottom=True)
            panel.set_xlabel(labels[0])
        for panel in every[:n:n_columns]:
            panel.set_ylabel(labels[1])
    return figure, list(every[:n])


def legend(figure: Figure, axes: Any) -> None:
    """One legend for all panels below them."""
    entries: dict[str, Any] = {}
    for axis in axes:
        for handle, text in zip(*axis.get_legend_handles_labels(), strict=True):
            entries.setdefault(text, handle)
    # Inches that the longest entry takes with its line.
    column = 0.6 + 0.075 * max(map(len, entries), default=0)
    n_columns = max(1, min(6, len(entries), int(figure.get_figwidth() / column)))
    figure.legend(
        list(entries.values()), list(entries), loc="outside lower center", ncols=n_columns,
        frameon=False,
    )  # fmt: skip


def _label_places(axis: Any, complexity: pd.Series) -> None:
    ticks = sorted(complexity.unique())
    axis.set_xscale("log")
    if len(ticks) <= _MOST_TICKS:
        axis.set_xticks(ticks, [f"{t:g}" for t in ticks], rotation=45 if len(ticks) > 9 else 0)
        axis.xaxis.set_minor_locator(mpl.ticker.NullLocator())


def _log_scale(axis: Any) -> None:
    limits = axis.get_ylim()
    axis.set_yscale("log")
    axis.set_ylim(limits)
    axis.yaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
    # All of 2 … 9 have room in half a decade; 2 and 5 in three.
    decades = np.log10(limits[1] / limits[0])
    shown = range(2, 10) if decades < 0.6 else (2, 5) if decades < 3 else ()
    axis.yaxis.set_minor_formatter(
        lambda value, _: f"{value:g}" if int(f"{value:e}"[0]) in shown else ""
    )


def _mark_threshold(axis: Any, verdict: Mapping[str, Any]) -> None:
    fits = verdict["interpolation"]
    if not fits["value"]:
        return
    start = "EMC of " if verdict["axis"]["name"] == "samples" else ""
    name = f"{start}{label(fits['arm'])}: train error ≤ {100 * fits['epsilon']:g} %"
    axis.axvline(fits["value"], color="0.4", linestyle="--", linewidth=1, label=name)
    lower, upper = fits["interval"]
    if lower is not None and upper is not None and lower < upper:
        axis.axvspan(lower, upper, color="0.4", alpha=0.1, linewidth=0)
