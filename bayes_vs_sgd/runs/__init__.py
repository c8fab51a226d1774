"""A study's run on disk: its folder, its cells, who computes them, and its command line."""

from .cells import Cell, run_cells
from .command_line import RunOptions, UserError, open_folder, parse, run_study
from .folder import RunFolder
from .provenance import provenance, provenance_of

__all__ = [
    "Cell",
    "RunFolder",
    "RunOptions",
    "UserError",
    "open_folder",
    "parse",
    "provenance",
    "provenance_of",
    "run_cells",
    "run_study",
]
