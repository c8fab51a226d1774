"""What every study writes at its end."""

import time
from collections.abc import Mapping
from typing import Any

import pandas as pd

from .command_line import RunOptions
from .folder import RunFolder
from .provenance import provenance_of


def write_results(
    folder: RunFolder,
    options: RunOptions,
    *,
    table: pd.DataFrame,
    verdict: Mapping[str, Any],
    seed: int,
    started: float,
) -> None:
    """Write ``summary.csv``, ``verdict.json`` and ``provenance.json``, of which reports are drawn.

    Args:
        folder: The run folder, whose cells are finished.
        options: The study's settings.
        table: The numbers.
        verdict: What is concluded.
        seed: Root of the run's randomness.
        started: ``time.perf_counter()`` when the run was started.
    """
    folder.write_text("summary.csv", table.to_csv(index=False))
    folder.write_json("verdict.json", verdict)
    seconds = time.perf_counter() - started
    folder.write_json("provenance.json", provenance_of(options, seed, seconds))
