"""A run is a grid of independent cells, each computed once and kept on disk."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from .executors import EXECUTORS
from .folder import RunFolder


@dataclass(frozen=True)
class Cell:
    """One independent piece of work.

    Attributes:
        key: Its name on disk; unique in the run.
        settings: What distinguishes it from the others.
    """

    key: str
    settings: Mapping[str, Any]

    def seed(self, root: int) -> int:
        """A seed that depends on the root of the run's randomness and on the cell's name alone."""
        return int(np.random.SeedSequence([root, *self.key.encode()]).generate_state(1)[0])


def run_cells(
    cells: Sequence[Cell],
    compute: Callable[[Cell], xr.DataTree],
    folder: RunFolder,
    *,
    executor: str = "local",
    say: Callable[[str], None] = print,
) -> None:
    """Compute the cells that the folder lacks, and say how far it is after each.

    Args:
        cells: The grid.
        compute: Cell → its result, which depends on the cell alone; the attribute ``summary`` of
            its root is a few words for the progress line.
        folder: Where results go.
        executor: A name in ``EXECUTORS``.
        say: Prints a line.
    """
    missing = [cell for cell in cells if not folder.has(cell.key)]
    if len(missing) < len(cells):
        say(f"{len(cells) - len(missing)} of {len(cells)} cells are finished already.")
    started = time.perf_counter()

    def compute_and_store(cell: Cell) -> None:
        began = time.perf_counter()
        tree = compute(cell)
        tree.attrs["seconds"] = time.perf_counter() - began
        folder.write(cell.key, tree)

    for n_done, cell in enumerate(EXECUTORS[executor](compute_and_store, missing), start=1):
        attributes = folder.read_group(cell.key).attrs
        left = (time.perf_counter() - started) / n_done * (len(missing) - n_done)
        say(
            f"[{len(cells) - len(missing) + n_done:>3}/{len(cells)}] {cell.key:<18} "
            f"{attributes['seconds']:5.1f} s  {attributes.get('summary', ''):<60} "
            f"about {_clock(left)} left"
        )


def _clock(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
