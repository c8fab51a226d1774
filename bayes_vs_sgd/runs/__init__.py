"""A study's run on disk: its folder, its cells, who computes them, and its command line."""

from .cells import Cell, run_cells
from .command_line import RunOptions, UserError, open_folder, parse, run_study
from .folder import RunFolder
from .provenance import provenance

__all__ = [
    "Cell",
    "RunFolder",
    "RunOptions",
    "UserError",
    "open_folder",
    "parse",
    "provenance",
    "run_cells",
    "run_study",
]
