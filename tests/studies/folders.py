"""What tests read of a study's run folder, and how they ask it for what is not possible."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bayes_vs_sgd import runs

# A study with its smallest settings and these arguments on top.
Run = Callable[..., None]


def runner(study: Any, tiny: list[str]) -> Run:
    """Run a study in this process, where torch and JAX are warm."""

    def run(*args: str) -> None:
        runs.run_study(lambda: study.main(runs.parse(study.PRESETS, [*tiny, *args], prog="x")))

    return run


def read_table(folder: Path) -> pd.DataFrame:
    """``summary.csv``, functions as text."""
    return pd.read_csv(folder / "summary.csv", dtype={"function": str})


def read_verdict(folder: Path) -> dict[str, Any]:
    """``verdict.json``."""
    return json.loads((folder / "verdict.json").read_text())


def resumed(run: Run, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What a finished run prints when it is resumed: no cell is computed, and the table stays as it was."""

    def kept() -> tuple[str, dict[Path, int]]:
        cells = {p: p.stat().st_mtime_ns for p in (folder / "cells").iterdir()}
        return (folder / "summary.csv").read_text(), cells

    before = kept()
    capsys.readouterr()
    run("--out", str(folder), "--resume")
    assert kept() == before
    return capsys.readouterr().out


def refused(run: Run, arguments: list[str], out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The sentence that settings are refused with, in one line, before anything is written."""
    with pytest.raises(SystemExit) as stop:
        run("--out", str(out), *arguments)
    assert stop.value.code == 2
    assert not out.exists()
    error = " ".join(capsys.readouterr().err.split())
    assert "Traceback" not in error
    return error
