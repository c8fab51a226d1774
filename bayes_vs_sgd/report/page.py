"""``report.html``: everything a reader needs, in one file."""

from pathlib import Path

import jinja2
from matplotlib.figure import Figure

from ..runs import RunFolder
from . import axes, features, simplicity, solutions, sweep, volume
from .figures import svg

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("bayes_vs_sgd.report"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
# What a verdict of a kind of study has → its template and what fills that.
_KINDS = {
    "axis": ("sweep.html.jinja", sweep.content),
    "log_evidence": ("volume.html.jinja", volume.content),
    "powers": ("features.html.jinja", features.content),
    "problems": ("axes.html.jinja", axes.content),
    "priors": ("simplicity.html.jinja", simplicity.content),
    "measures": ("solutions.html.jinja", solutions.content),
}


def write(folder: RunFolder) -> Path:
    """Draw the report of a finished run from its folder, figures included.

    Args:
        folder: A run folder with ``summary.csv``, ``verdict.json`` and its cells.

    Returns:
        The path of ``report.html``.

    Raises:
        ValueError: The folder lacks a file of a finished run, or there is no report of its study.
    """
    config, verdict = folder.read_json("config.json"), folder.read_json("verdict.json")
    kind = next((name for name in _KINDS if name in verdict), None)
    if kind is None:
        raise ValueError(
            f"{folder.path} holds a run of {config['study']} with neither a sweep along an axis nor functions, "
            "of which there is no report; it may be of an earlier version."
        )
    template, content = _KINDS[kind]
    drawn, filling = content(folder, verdict)
    (folder.path / "figures").mkdir(exist_ok=True)
    figures = {name: _save(folder.path / "figures", name, figure) for name, figure in drawn.items()}
    page = _TEMPLATES.get_template(template).render(
        title=config["study"].replace("_", " "),
        config=config,
        settings=config["settings"],
        verdict=verdict,
        figures=figures,
        provenance=folder.read_json("provenance.json"),
        **filling,
    )
    folder.write_text("report.html", page)
    return folder.path / "report.html"


def _save(folder: Path, name: str, figure: Figure) -> str:
    """Write a figure as SVG and PNG; the SVG is what the page shows."""
    text = svg(figure)
    (folder / f"{name}.svg").write_text(text, encoding="utf-8")
    # Where its parts lie was found for the first, which takes longer than to draw them.
    figure.set_layout_engine("none")
    figure.savefig(folder / f"{name}.png", dpi=160)
    return text
