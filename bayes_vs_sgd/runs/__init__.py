"""A study's run on disk: its folder, its cells, who computes them, and its command line."""

from .cells import Cell, run_cells
from .command_line import RunOptions, UserError, open_folder, parse, refusals, run_study
from .folder import RunFolder
from .provenance import provenance, provenance_of
from .results import write_results

__all__ = [
    "Cell",
    "RunFolder",
    "RunOptions",
    "UserError",
    "open_folder",
    "parse",
    "provenance",
    "provenance_of",
    "refusals",
    "run_cells",
    "run_study",
    "write_results",
]
