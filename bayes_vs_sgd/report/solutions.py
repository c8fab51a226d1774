"""The report of what is measured around solutions, beside the volume of their functions."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..runs import RunFolder
from .figures import STYLE, legend, panels

Figures = dict[str, Any]
_MARKS = {"log_p_posterior": "o", "log_p_sgd": "s", "test_error": "D"}
_BOUNDS = {
    "volume_function": ("same function", "log P(f, S)"),
    "volume_fit": ("zero training error", "log P(S)"),
}


def content(folder: RunFolder, verdict: Mapping[str, Any]) -> tuple[Figures, dict[str, Any]]:
    """The figures by name, and what the template ``solutions.html.jinja`` takes beside them."""
    table = pd.read_csv(folder.path / "summary.csv", dtype={"function": str})
    drawn: Figures = {}
    rows = {}
    for number, (name, entry) in enumerate(verdict["measures"].items()):
        own = table[table["training"] == name]
        drawn |= {
            f"measures_{number}": measures(own, entry),
            f"gaps_{number}": gaps(own, verdict),
            f"correlations_{number}": correlations(entry, verdict),
        }
        rows[name] = own.to_dict("records")
    return drawn, {
        "rows": rows,
        "facts": {name: facts(pd.DataFrame(r)) for name, r in rows.items()},
    }


def measures(table: pd.DataFrame, entry: Mapping[str, Any]) -> Figure:
    """A panel for each measure: it ± its standard error over log P_B(f | S) ± its own, a point a network."""
    named = entry["measures"]
    with mpl.rc_context(STYLE):
        figure, axes = panels(len(named), size=(3.7, 3.2))
        points: Any = None
        for panel, (name, measure) in zip(axes, named.items(), strict=True):
            points = _draw_measure(panel, table, name)
            panel.set(
                title=measure["label"], xlabel="log P_B(f | S) (nats)", ylabel=measure["unit"]
            )
            panel.title.set_fontsize(10)
        figure.colorbar(points, ax=axes, label="test error")
        legend(figure, axes)
    return figure


def _draw_measure(panel: Any, table: pd.DataFrame, name: str) -> Any:
    known = table[np.isfinite(table["log_p_posterior"]) & np.isfinite(table[name])]
    x, y, is_trusted = known["log_p_posterior"], known[name], known[f"{name}_trusted"].astype(bool)
    panel.errorbar(
        x, y, xerr=known["log_p_posterior_sem"], yerr=known[f"{name}_sem"], fmt="none", ecolor="0.6",
        elinewidth=0.6, zorder=1,
    )  # fmt: skip
    top = max(table["test_error"].max(), 1e-9)
    for chosen, mark, label in (
        (is_trusted, "o", "a network (± one standard error)"),
        (~is_trusted, "X", "a network on which the measure says that it cannot be trusted"),
    ):
        points = panel.scatter(
            x[chosen], y[chosen], c=known["test_error"][chosen], marker=mark, s=20, cmap="viridis", vmin=0,
            vmax=top, linewidth=0.3, edgecolor="0.2", zorder=2, label=label,
        )  # fmt: skip
    return points


def gaps(table: pd.DataFrame, verdict: Mapping[str, Any]) -> Figure:
    """How far each network's local volume lies below the log probability that bounds it."""
    with mpl.rc_context(STYLE):
        figure, axes = panels(2, size=(4.8, 3.6))
        for panel, (name, (region, bound)) in zip(axes, _BOUNDS.items(), strict=True):
            of_function = name == "volume_function"
            top = table["log_joint"] if of_function else verdict["evidence"]["value"]
            panel.scatter(
                table["log_p_posterior"], table[name] - top, c="C0", s=20, linewidth=0.3, edgecolor="0.2",
                label="a network",
            )  # fmt: skip
            panel.axhline(0, color="C3", linestyle="--", label="the bound")
            panel.set(
                title=region,
                xlabel="log P_B(f | S) (nats)",
                ylabel=f"log local volume − {bound} (nats)",
            )
        legend(figure, axes)
    return figure


def correlations(entry: Mapping[str, Any], verdict: Mapping[str, Any]) -> Figure:
    """Spearman's ρ of each measure with both probabilities and the test error, turned so that + follows."""
    named, targets = entry["measures"], verdict["targets"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.0, 1.4 + 0.55 * len(named)), layout="constrained")
        axis = figure.subplots()
        for number, (target, label) in enumerate(targets.items()):
            for place, measure in enumerate(named.values()):
                rho = measure["correlations"][target]
                if rho["value"] is None:
                    continue
                sign = rho["sign"]
                ends = sorted([sign * rho["lower"], sign * rho["upper"]])
                value = sign * rho["value"]
                axis.errorbar(
                    value, place + 0.22 * (number - 1), xerr=[[value - ends[0]], [ends[1] - value]],
                    fmt=_MARKS[target], color=f"C{number}", markersize=5, capsize=2, elinewidth=1,
                    label=label if place == 0 else None,
                )  # fmt: skip
        axis.axvline(0, color="0.3", linewidth=1)
        axis.set_yticks(range(len(named)), [m["label"] for m in named.values()])
        axis.invert_yaxis()
        axis.set(
            xlim=(-1, 1),
            xlabel=f"Spearman's ρ, positive where the measure follows ({100 * verdict['level']:g} % intervals)",
        )
        figure.legend(loc="outside right upper", frameon=False)
    return figure


def facts(table: pd.DataFrame) -> dict[str, float]:
    """What rays and chains rest on, over networks: the median of the first, the worst of the others."""
    found = {
        f"{name}_effective": float(table[f"{name}_effective"].median())
        for name in ("volume_function", "volume_fit", "volume_basin")
    }
    for name in ("llc_sgld", "llc_hmc"):
        found |= {
            f"{name}_rhat": float(table[f"{name}_rhat"].max()),
            f"{name}_ess": float(table[f"{name}_ess"].min()),
        }
    return found | {"llc_sgld_bias": float(table["llc_sgld_bias"].max())}
