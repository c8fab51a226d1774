"""What every study's command line shares: presets, the run's options, and how it ends."""

import argparse
import contextlib
import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn

import tyro

from .folder import RunFolder, timestamp

_OPTIONS = ("preset", "out", "device", "executor", "resume", "dry_run")


class UserError(Exception):
    """Something the user can mend; its text is the whole message."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a study is run; none of these changes its result.

    Attributes:
        preset: Sizes of everything; single settings can be given on top.
        out: Run folder. By default a new one under runs/, or with --resume the newest that fits.
        device: Where to compute.
        executor: Who computes the cells.
        resume: Go on with a run that was stopped; finished cells are kept.
        dry_run: Say what the run would compute and cost, and compute nothing.
    """

    preset: str = "quick"
    out: Path | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    executor: Literal["local"] = "local"
    resume: bool = False
    dry_run: bool = False


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """What is refused inside, settings, devices, data or packages, is for the user to mend.

    Raises:
        UserError: In place of a ``ValueError``, ``RuntimeError`` or ``ImportError``.
    """
    try:
        yield
    except (ValueError, RuntimeError, ImportError) as error:
        raise UserError(str(error)) from error


def parse[ConfigT: RunOptions](
    presets: Mapping[str, ConfigT], argv: Sequence[str] | None = None, *, prog: str
) -> ConfigT:
    """Read the command line: the preset first, then every setting given on top of it.

    A setting that is not possible ends the program with exit code 2 and one sentence.

    Args:
        presets: Name → settings.
        argv: Arguments; those of the process by default.
        prog: The command, for the help text.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--preset", default=next(iter(presets)))
    name = first.parse_known_args(argv)[0].preset
    if name not in presets:
        _fail(ValueError(f"preset={name!r} is unknown; pass one of {', '.join(presets)}."))
    default = presets[name]
    try:
        return tyro.cli(type(default), default=default, args=argv, prog=prog)
    except ValueError as error:
        _fail(error)


def settings(config: RunOptions) -> dict[str, Any]:
    """The settings that a run folder belongs to: everything but the run's options."""
    return {k: v for k, v in dataclasses.asdict(config).items() if k not in _OPTIONS}


def open_folder(study: str, config: RunOptions) -> RunFolder:
    """The run folder that the options ask for.

    Raises:
        UserError: It belongs to other settings, or holds this run and ``resume`` was not asked for.
    """
    content = {"study": study, "settings": settings(config)}
    root, prefix = Path("runs"), f"{study}-{config.preset}-"
    found = RunFolder.newest(root, prefix, content) if config.resume and not config.out else None
    path = config.out or found or root / f"{prefix}{timestamp()}"
    try:
        return RunFolder.create_or_resume(path, content, resume=config.resume)
    except (ValueError, OSError) as error:
        raise UserError(str(error)) from error


def run_study(main: Callable[[], Any]) -> None:
    """Run a study's main function; a ``UserError`` becomes one sentence and exit code 2."""
    try:
        main()
    except UserError as error:
        _fail(error)
    except KeyboardInterrupt:
        print("\nStopped. The same command with --resume goes on from the last finished cell.")
        raise SystemExit(130) from None


def _fail(error: Exception) -> NoReturn:
    print(f"error: {error}", file=sys.stderr)
    raise SystemExit(2)
