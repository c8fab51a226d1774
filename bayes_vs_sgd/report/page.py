"""``report.html``: everything a reader needs, in one file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from .. import diagnostics
from ..double_descent import ARMS
from ..runs import RunFolder
from .figures import curves, svg
from .text import METRICS

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("bayes_vs_sgd.report"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def write(folder: RunFolder) -> Path:
    """Draw the report of a finished run from its folder, figures included.

    Args:
        folder: A run folder with ``summary.csv``, ``verdict.json`` and its cells.

    Returns:
        The path of ``report.html``.

    Raises:
        ValueError: The folder lacks a file of a finished run.
    """
    config, verdict = folder.read_json("config.json"), folder.read_json("verdict.json")
    table = pd.read_csv(folder.path / "summary.csv")
    figure = curves(table, verdict, "hidden units (width)")
    (folder.path / "figures").mkdir(exist_ok=True)
    figure.savefig(folder.path / "figures" / "curves.png", dpi=160)
    figure.savefig(folder.path / "figures" / "curves.svg", metadata={"Date": None})
    page = _TEMPLATES.get_template("report.html.jinja").render(
        title=config["study"].replace("_", " "),
        config=config,
        verdict=verdict,
        arms=ARMS,
        metrics=METRICS,
        figure=svg(figure),
        rows=_pivot(table),
        fidelity=_fidelity(folder.read_json("fidelity.json")),
        cells=[_cell(folder, key) for key in folder.cells() if key.startswith("hmc")],
        fits=[_fit(folder, key) for key in folder.cells() if key.startswith("sgd")],
        provenance=folder.read_json("provenance.json"),
    )
    folder.write_text("report.html", page)
    return folder.path / "report.html"


def _pivot(table: pd.DataFrame) -> Mapping[str, Any]:
    """Metric → rows of (complexity, {arm: "value ± sem"})."""
    result = {}
    for metric in table["metric"].unique():
        rows = table[table["metric"] == metric]
        result[metric] = [
            (c, {r.arm: f"{r.value:.3f} ± {r.sem:.3f}" for r in group.itertuples()})
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


def _cell(folder: RunFolder, key: str) -> dict[str, Any]:
    tree = folder.read(key)
    worst = diagnostics.worst_predictions(tree)
    return {
        "key": key,
        "attrs": tree.attrs,
        "plots": {name: svg(plot) for name, plot in diagnostics.diagnostic_plots(tree).items()},
        "worst": worst.to_html(border=0),
    }


def _fit(folder: RunFolder, key: str) -> dict[str, Any]:
    stats = folder.read_group(key, "sample_stats").isel(draw=-1)
    attributes = folder.read_group(key).attrs
    return {
        "key": key,
        "n": stats.sizes["chain"],
        "interpolated": attributes["interpolated"],
        "nonfinite": attributes["nonfinite"],
        "stopped": attributes["stopped_chains"],
        "train_error": float(stats["train_error"].mean()),
        "epochs": float(stats["epoch"].mean()),
    }
