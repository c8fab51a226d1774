"""Rows as one Markdown table, with the machine that they were measured on."""

import datetime
import importlib.metadata
from collections.abc import Sequence
from pathlib import Path

from bayes_vs_sgd.runs import provenance

from .measure import Effort, Row

_COLUMNS = (
    "benchmark", "work", "ours", "peer", "unit", "ours a second", "peer a second", "ratio",
    "ratio by processor time", "goal", "note",
)  # fmt: skip
_PEERS = ("posteriors", "devinterp", "hamiltorch")


def markdown(rows: Sequence[Row], effort: Effort, seconds: float) -> str:
    """The whole page: what it was measured with, and the table."""
    missed = sum(1 for row in rows if is_missed(row))
    return "\n".join(
        (
            "# Results of the benchmarks",
            "",
            f"`python -m benchmarks`, {datetime.date.today():%-d %B %Y}; {effort.n_turns} turns of "
            f"{effort.seconds:g} s or one run, {seconds / 60:.0f} minutes in all.",
            machine(),
            "Ratios are ours over the peer's speed, medians over the turns; above 1 ours is faster. "
            f"{missed} of {sum(1 for row in rows if row.goal is not None)} goals are missed "
            "(marked !).",
            "",
            *table(rows),
            "",
        )
    )


def table(rows: Sequence[Row]) -> list[str]:
    """The lines of the table."""
    lines = [f"| {' | '.join(_COLUMNS)} |", "|" + " --- |" * len(_COLUMNS)]
    for row in rows:
        goal = "" if row.goal is None else f"≥ {row.goal:g}{' !' if is_missed(row) else ''}"
        cells = (
            row.benchmark, row.work, row.ours, row.peer, row.unit, number(row.our_speed),
            number(row.peer_speed), number(row.ratio), number(row.processor_ratio), goal, row.note,
        )  # fmt: skip
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    return lines


def number(value: float | None) -> str:
    """Three digits, thousands apart; empty where there is no number."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def is_missed(row: Row) -> bool:
    """Whether the ratio by wall time lies under its goal."""
    return row.goal is not None and row.ratio is not None and row.ratio < row.goal


def machine() -> str:
    """Processor, cores, commit and versions in two sentences."""
    facts = provenance()
    versions = {name: text for name, text in facts["versions"].items() if text}
    for name in _PEERS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "missing"
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    cores = f"{facts['machine']['cores']} cores of {_processor()}"
    return f"{cores}, {facts['machine']['system']}; commit {facts['commit']}. {listed}."


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    for line in path.read_text().splitlines() if path.exists() else ():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "an unknown processor"
