"""The run folder: settings, cells and results, each written whole or not at all."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import xarray as xr

_CONFIG = "config.json"


class RunFolder:
    """A folder that belongs to one study and one set of settings.

    It holds ``config.json``, ``provenance.json``, ``cells/`` (a netCDF file each), and what the
    study writes at its end. Files appear under their name only when they are complete, so a run
    that is killed at any moment leaves no half-written cell.

    Args:
        path: The folder; see ``open_folder`` for making one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create_or_resume(
        cls, path: Path, settings: Mapping[str, Any], *, resume: bool
    ) -> "RunFolder":
        """Make the folder, or take it up again where it belongs to the same settings.

        Nothing in an existing folder is touched when this raises.

        Raises:
            ValueError: The folder holds another run, or something that is no run.
        """
        if path.exists() and not path.is_dir():
            raise ValueError(f"{path} is a file; name a folder for --out.")
        if path.exists() and any(path.iterdir()):
            _require_same(path, settings, resume)
            return cls(path)
        (path / "cells").mkdir(parents=True, exist_ok=True)
        folder = cls(path)
        folder.write_json(_CONFIG, settings)
        return folder

    @classmethod
    def newest(cls, root: Path, prefix: str, settings: Mapping[str, Any]) -> Path | None:
        """The youngest folder ``root/prefix*`` with these settings, if there is one."""
        candidates = sorted(root.glob(f"{prefix}*/{_CONFIG}"), key=lambda f: f.stat().st_mtime)
        same = [f.parent for f in candidates if not _differences(_read_json(f), settings)]
        return same[-1] if same else None

    def has(self, key: str) -> bool:
        """Whether the cell is finished."""
        return self._cell(key).exists()

    def write(self, key: str, tree: xr.DataTree) -> None:
        """Store a finished cell."""
        target = self._cell(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(f".{os.getpid()}.partial")
        tree.to_netcdf(partial, engine="h5netcdf", encoding=_compression(tree))
        os.replace(partial, target)

    def read(self, key: str) -> xr.DataTree:
        """Load a finished cell into memory."""
        with xr.open_datatree(self._cell(key), engine="h5netcdf") as tree:
            return tree.load()

    def read_group(self, key: str, group: str = "/") -> xr.Dataset:
        """Load one group of a finished cell, which is much quicker; the root has the attributes."""
        with xr.open_dataset(self._cell(key), group=group, engine="h5netcdf") as dataset:
            return dataset.load()

    def cells(self) -> list[str]:
        """The finished cells; numbers in their names sort as numbers."""
        names = (file.stem for file in (self.path / "cells").glob("*.nc"))
        return sorted(names, key=_natural)

    def write_text(self, name: str, text: str) -> None:
        """Write a file of text."""
        partial = self.path / f".{name}.{os.getpid()}.partial"
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, self.path / name)

    def write_json(self, name: str, content: Any) -> None:
        """Write a file of JSON; numbers that are not finite become null."""
        text = json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False)
        self.write_text(name, text + "\n")

    def read_json(self, name: str) -> Any:
        """Read a file of JSON.

        Raises:
            ValueError: The file is not there or no JSON.
        """
        try:
            return _read_json(self.path / name)
        except (OSError, json.JSONDecodeError) as error:
            raise ValueError(f"{self.path} has no readable {name}; is it a run folder?") from error

    def _cell(self, key: str) -> Path:
        return self.path / "cells" / f"{key}.nc"


def _natural(name: str) -> list[str | int]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def timestamp() -> str:
    """Now, as a part of a folder name."""
    return datetime.now(UTC).strftime("%Y%m%d-%H%M%S")


def _require_same(path: Path, settings: Mapping[str, Any], resume: bool) -> None:
    if not (path / _CONFIG).exists():
        raise ValueError(f"{path} is not empty and holds no run; name another folder for --out.")
    try:
        different = _differences(_read_json(path / _CONFIG), settings)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path / _CONFIG} is no JSON; name another folder for --out.") from error
    if different:
        name, (old, new) = next(iter(different.items()))
        more = f" (and {len(different) - 1} more)" if len(different) > 1 else ""
        raise ValueError(
            f"{path} belongs to other settings: {name} is {old} there and {new} now{more}; name "
            "another folder for --out, or give the settings of that run."
        )
    if not resume:
        raise ValueError(
            f"{path} holds this run already; add --resume to go on, or name another --out."
        )


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    flat_old, flat_new = dict(_flatten(old)), dict(_flatten(_plain(new)))
    names = [*flat_new, *(n for n in flat_old if n not in flat_new)]
    pairs = {name: (flat_old.get(name), flat_new.get(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _plain(value: Any) -> Any:
    """What JSON can hold: no tuples, no paths, no NumPy numbers, no NaN."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item") and not isinstance(value, str):
        return _plain(value.item())
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _compression(tree: xr.DataTree) -> dict[str, dict[str, Any]]:
    return {
        node.path: {
            str(name): {"compression": "gzip", "compression_opts": 1}
            for name, variable in node.data_vars.items()
            if variable.size > 10_000
        }
        for node in tree.subtree
    }
