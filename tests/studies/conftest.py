"""One finished run for all tests of a module, made by the module's own ``run``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import pandas as pd
import pytest

from .folders import read_table, read_verdict


@pytest.fixture(scope="module")
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with the module's smallest settings."""
    out = tmp_path_factory.mktemp("study") / "run"
    request.module.run("--out", str(out))
    return out


@pytest.fixture(scope="module")
def table(finished: Path) -> pd.DataFrame:
    """Its ``summary.csv``."""
    return read_table(finished)


@pytest.fixture(scope="module")
def verdict(finished: Path) -> dict[str, Any]:
    """Its ``verdict.json``."""
    return read_verdict(finished)


@pytest.fixture
def compiled_fast() -> Iterator[None]:
    """Most of the time of a run this small is spent on making its programs fast."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
