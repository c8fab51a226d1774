"""What produced a result: versions, commit, machine."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import jax

from .command_line import RunOptions

_PACKAGES = (
    "bayes-vs-sgd",
    "jax",
    "jaxlib",
    "torch",
    "blackjax",
    "numpyro",
    "optax",
    "arviz",
    "numpy",
    "scipy",
    "scikit-learn",
    "xarray",
)


def provenance() -> dict[str, Any]:
    """Versions, commit of the working directory, and the machine; the study adds seeds and time."""
    return {
        "versions": {"python": platform.python_version()} | {p: _version(p) for p in _PACKAGES},
        "commit": _commit(),
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "cores": len(os.sched_getaffinity(0)),
            "devices": [f"{d.platform} {d.device_kind}" for d in jax.devices()],
        },
    }


def provenance_of(options: RunOptions, seed: int, seconds: float) -> dict[str, Any]:
    """What produced a run of a study: ``provenance`` with its options, seed and time."""
    return provenance() | {
        "seed": seed,
        "device": options.device,
        "executor": options.executor,
        "preset": options.preset,
        "wall_seconds_of_the_last_session": seconds,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit, with "+changes" where the working tree differs from it."""
    try:
        commit = _git("rev-parse", "HEAD")
        return f"{commit}+changes" if _git("status", "--porcelain") else commit
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*args: str) -> str:
    done = subprocess.run(["git", *args], capture_output=True, text=True, check=True)
    return done.stdout.strip()
