"""The report of SGD beside posterior volume along an axis."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from ..runs import RunFolder
from .figures import STYLE, legend, panels

Figures = dict[str, Any]
_MARKERS = "osD^v<>P"
# Values of a numeric axis whose largest is so many times the smallest stand on a logarithmic one.
_LOGARITHMIC = 3
# Of the axis, beyond its values on either side.
_ROOM = 0.1
# Names that are longer stand aslant.
_LONG = 6


def content(_: RunFolder, verdict: Mapping[str, Any]) -> tuple[Figures, dict[str, Any]]:
    """The figures by name, and what the template ``axes.html.jinja`` takes beside them."""
    return {
        "shares": shares(verdict),
        "distances": distances(verdict),
        "relations": relations(verdict),
        "evidence": evidence(verdict),
    }, {}


def shares(verdict: Mapping[str, Any]) -> Figure:
    """P(target | S) and mean test error of the posterior and of every way to train, ± two standard errors."""
    shown = {
        "P(target | S)": ("target_posterior", "target_probability"),
        "mean test error": ("mean_test_error", "mean_test_error"),
    }
    posterior = {"color": "0.2", "marker": "X", "linestyle": "--", "label": "posterior"}
    with mpl.rc_context(STYLE):
        figure, axes = panels(2, size=(5.6, 4.0))
        for panel, (text, (of_posterior, of_sgd)) in zip(axes, shown.items(), strict=True):
            _errorbars(panel, _places(verdict, -1), verdict["problems"], of_posterior, posterior)
            for x, entries, look in _lines(verdict):
                _errorbars(panel, x, entries, of_sgd, look)
            _frame(panel, verdict, f"{text} (± two standard errors)")
            panel.set_ylim(bottom=0)
        legend(figure, axes)
    return figure


def distances(verdict: Mapping[str, Any]) -> Figure:
    """Total variation and Jensen–Shannon divergence of P_SGD and P_B: bracket, margin and null."""
    names = {"total_variation": "total variation", "jensen_shannon": "Jensen–Shannon (nats)"}
    with mpl.rc_context(STYLE):
        figure, axes = panels(2, size=(5.6, 4.0))
        for panel, (name, text) in zip(axes, names.items(), strict=True):
            for x, entries, look in _lines(verdict):
                _bracket(panel, x, entries, name, look)
            _null(panel, verdict, name)
            _frame(panel, verdict, text)
            panel.set_ylim(bottom=0)
        axes[0].axhline(verdict["margin"], color="C3", linestyle=":", label="margin")
        legend(figure, axes)
    return figure


def relations(verdict: Mapping[str, Any]) -> Figure:
    """Slope of log P_SGD on log P_B and Spearman's correlation, with their intervals."""
    names = {"slope": "slope of log P_SGD on log P_B", "spearman": "Spearman's ρ"}
    with mpl.rc_context(STYLE):
        figure, axes = panels(2, size=(5.6, 4.0))
        for panel, (name, text) in zip(axes, names.items(), strict=True):
            for x, entries, look in _lines(verdict):
                _interval(panel, x, entries, name, look)
            _null(panel, verdict, name)
            _frame(panel, verdict, text)
            panel.axhline(1, color="0.4", linestyle=":", label="equal")
        legend(figure, axes)
    return figure


def evidence(verdict: Mapping[str, Any]) -> Figure:
    """Log P(S) along the axis; what says of itself that it cannot be trusted is marked."""
    x, problems = _places(verdict, None), verdict["problems"]
    trusted = np.array([not p["doubts"] for p in problems])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.8), layout="constrained")
        panel = figure.subplots()
        for chosen, color, marker, text in (
            (trusted, "0.2", "o", "posterior"),
            (~trusted, "C3", "X", "posterior, with doubts"),
        ):
            if not chosen.any():
                continue
            rows = [p if c else {} for p, c in zip(problems, chosen, strict=True)]
            look = {"color": color, "marker": marker, "linestyle": "none", "label": text}
            _errorbars(panel, x, rows, "log_evidence", look)
        _frame(panel, verdict, "log P(S) (nats, ± two standard errors)")
        for place, problem in zip(x, problems, strict=True):
            if problem["no_posterior"]:
                panel.text(
                    place, 0.5, "no posterior found", rotation=90, ha="center", va="center",
                    color="C3", transform=panel.get_xaxis_transform(),
                )  # fmt: skip
        panel.legend(frameon=False)
    return figure


def _lines(verdict: Mapping[str, Any]) -> list[tuple[np.ndarray, list[Any], dict[str, Any]]]:
    """Of every way to train: where its points lie, its entries, and its look."""
    return [
        (
            _places(verdict, place),
            [problem["trainings"][name] for problem in verdict["problems"]],
            {
                "color": f"C{place}",
                "marker": _MARKERS[place % len(_MARKERS)],
                "linestyle": "-",
                "label": label,
            },
        )
        for place, (name, label) in enumerate(verdict["lines"].items())
    ]


def _places(verdict: Mapping[str, Any], place: int | None) -> np.ndarray:
    """Along the axis, a little apart for every line, so that errors do not hide one another."""
    x = np.array([problem["x"] for problem in verdict["problems"]], float)
    if place is None:
        return x
    away = 0.02 * (place - (len(verdict["lines"]) - 2) / 2)
    if _is_logarithmic(verdict):
        return x * (x.max() / x.min()) ** away
    return x + away * np.ptp(x)


def _is_logarithmic(verdict: Mapping[str, Any]) -> bool:
    x = [problem["x"] for problem in verdict["problems"]]
    return bool(verdict["is_numeric"]) and max(x) >= _LOGARITHMIC * min(x)


def _errorbars(
    panel: Any, x: np.ndarray, rows: Sequence[Mapping[str, Any]], name: str, look: dict[str, Any]
) -> None:
    y, sem = _column(rows, name), _column(rows, f"{name}_sem")
    panel.errorbar(x, y, yerr=2 * sem, capsize=3, markersize=5, linewidth=1, **look)


def _interval(
    panel: Any, x: np.ndarray, rows: Sequence[Mapping[str, Any]], name: str, look: dict[str, Any]
) -> None:
    y, lower, upper = (_column(rows, f"{name}{part}") for part in ("", "_lower", "_upper"))
    error = np.stack([y - lower, upper - y])
    panel.errorbar(x, y, yerr=error, capsize=3, markersize=5, linewidth=1, **look)


def _bracket(
    panel: Any, x: np.ndarray, rows: Sequence[Mapping[str, Any]], name: str, look: dict[str, Any]
) -> None:
    """A bar from the limit of the lower bound to that of the plug-in, with both estimates on it."""
    lower, upper = (_column(rows, f"{name}_{part}") for part in ("lower", "upper"))
    bound, plug_in = (_column(rows, f"{name}_{part}") for part in ("lower_bound", "plug_in"))
    panel.vlines(x, np.maximum(lower, 0), upper, color=look["color"], linewidth=1)
    if name == "total_variation":
        by_target = _column(rows, f"{name}_lower_by_target")
        panel.plot(
            x, by_target, color=look["color"], marker="_", markersize=9, markeredgewidth=2,
            linestyle="none", label=f"{look['label']}: at least, by the target alone",
        )  # fmt: skip
    panel.plot(x, bound, **(look | {"label": f"{look['label']}: lower bound"}), markersize=5)
    panel.plot(
        x, plug_in, color=look["color"], marker=look["marker"], linestyle="none", markersize=5,
        fillstyle="none", label=f"{look['label']}: plug-in",
    )  # fmt: skip


def _null(panel: Any, verdict: Mapping[str, Any], name: str) -> None:
    """The median between two halves of the posterior, which is the same for every way to train."""
    x, known = _places(verdict, None), f"{name}_null"
    y = [
        next((e[known] for e in problem["trainings"].values() if e.get(known) is not None), np.nan)
        for problem in verdict["problems"]
    ]
    panel.plot(
        x, y, color="0.5", marker="_", markersize=16, linestyle="none",
        label="two halves of the posterior (median)",
    )  # fmt: skip


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    return np.array([np.nan if row.get(name) is None else row[name] for row in rows], float)


def _frame(panel: Any, verdict: Mapping[str, Any], text: str) -> None:
    """Every value of the axis with a tick and its name."""
    x = _places(verdict, None)
    if _is_logarithmic(verdict):
        panel.set_xscale("log")
        panel.xaxis.set_minor_locator(mpl.ticker.NullLocator())
        room = (x.max() / x.min()) ** _ROOM
        panel.set_xlim(x.min() / room, x.max() * room)
    else:
        panel.set_xlim(x.min() - _ROOM * np.ptp(x), x.max() + _ROOM * np.ptp(x))
    names = [problem["value"].replace("_", " ") for problem in verdict["problems"]]
    is_long = max(map(len, names)) > _LONG
    panel.set_xticks(x, names, rotation=30 if is_long else 0, ha="right" if is_long else "center")
    panel.set(xlabel=verdict["label"], ylabel=text)
