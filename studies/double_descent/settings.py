"""The presets: files of settings, those of papers with the place each number stands at."""

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

from .config import Config

_FOLDER = Path(__file__).parent / "presets"


def read(path: Path) -> Config:
    """The settings of a file in TOML, the others being the defaults.

    A table sets fields of the setting that it is named after.

    Raises:
        ValueError: A name is no setting, or a value is not possible.
    """
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    return _changed(Config(preset=path.stem), content, path.name)


def _changed(settings: Any, content: dict[str, Any], source: str) -> Any:
    known = {f.name for f in dataclasses.fields(settings)}
    unknown = sorted(set(content) - known)
    if unknown:
        raise ValueError(f"{source} sets {', '.join(unknown)}, which are no settings of its study.")
    changes = {}
    for name, value in content.items():
        now = getattr(settings, name)
        if isinstance(value, dict):
            changes[name] = _changed(now, value, source)
        else:
            changes[name] = tuple(value) if isinstance(value, list) else value
    return dataclasses.replace(settings, **changes)


PRESETS = {"quick": Config()} | {
    path.stem: read(path)
    for path in sorted(_FOLDER.glob("*.toml"), key=lambda p: (p.stem != "full", p.stem))
}
