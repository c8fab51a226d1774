"""What a method gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import xarray as xr


@dataclass(frozen=True)
class Found:
    """What a cell keeps.

    Attributes:
        tree: Draws and diagnostics as an ArviZ ``DataTree``.
        arms: Arm → its losses at every place of the cell, one place unless it follows epochs.
        places: The epochs of them where it does.
        converged: Whether chains have converged, of each place; empty without chains.
    """

    tree: xr.DataTree
    arms: Mapping[str, Sequence[xr.Dataset]]
    places: Sequence[float] = ()
    converged: Sequence[bool] = ()
