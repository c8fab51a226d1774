"""Kills: an exception at a chosen moment of writing, and a signal again and again."""

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from bayes_vs_sgd import storage

MOMENTS = ("in the draws", "between draws and state", "in the state")
_PAUSES = (0.0, 0.05, 0.15, 0.3, 0.4, 0.6)


class Killed(Exception):  # noqa: N818
    """Stands for the signal that ends a process."""


@contextlib.contextmanager
def killed(moment: str, n_before: int) -> Iterator[None]:
    """A moment of writing that comes ``n_before`` times ends everything when it comes again."""
    write, replace = storage.DrawStore.write, Path.replace
    moments = itertools.count()

    def killed_write(
        self: storage.DrawStore, start: int, piece: Any, *, first_chain: int = 0
    ) -> None:
        is_due = moment != "in the state" and next(moments) == n_before
        if is_due and moment == "in the draws":
            piece = jax.tree.map(lambda a: a[: -(-len(a) // 2), : -(-a.shape[1] // 2)], piece)
        write(self, start, piece, first_chain=first_chain)
        if is_due:
            raise Killed

    def killed_replace(self: Path, to: Path) -> Path:
        is_due = self.name == "state.npz.tmp" and moment == "in the state"
        if is_due and next(moments) == n_before:
            raise Killed
        return replace(self, to)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage.DrawStore, "write", killed_write)
        patch.setattr(Path, "replace", killed_replace)
        yield


def whole_and_resumed(
    script: str, folder: Path
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What a script writes when nothing disturbs it, and when it is killed at least three times.

    Args:
        script: Python that takes the folder of a checkpoint and the ``.npz`` file of its results.
        folder: For both.
    """

    def start(run: Path, result: Path) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, "-c", script, str(run), str(result)])

    whole, resumed = folder / "whole.npz", folder / "resumed.npz"
    assert start(folder / "a", whole).wait() == 0
    n_killed = 0
    for pause in _PAUSES:
        process = start(folder / "b", resumed)
        state = folder / "b" / "state.npz"
        before = os.stat(state).st_mtime_ns if state.exists() else 0
        while process.poll() is None:
            if state.exists() and os.stat(state).st_mtime_ns != before:
                time.sleep(pause)
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.005)
        n_killed += process.wait() == -signal.SIGKILL
    assert n_killed >= 3
    assert start(folder / "b", resumed).wait() == 0
    with np.load(whole) as a, np.load(resumed) as b:
        return dict(a), dict(b)
