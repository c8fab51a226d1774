import os
from collections.abc import Iterator
from pathlib import Path

# One thread a worker for each engine; read when the libraries start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false --xla_cpu_parallel_codegen_split_count=1"
)
os.environ.setdefault("MPLBACKEND", "agg")

import jax
import numpy as np
import pytest
import torch

from bayes_vs_sgd import Dataset, data, samplers

torch.set_num_threads(1)
# Two devices at least: some tests spread one chain over them.
samplers.use_devices("cpu", max(2, len(os.sched_getaffinity(0))))

SHARED = Path(__file__).parents[2] / "shared" / "data"
# Files that take minutes begin first, so that both workers end at about the same time.
LONGEST = ("tests/studies/", "tests/test_readme.py", "tests/functions/volume/", "tests/samplers/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        return next((i for i, s in enumerate(LONGEST) if item.nodeid.startswith(s)), len(LONGEST))

    items.sort(key=place)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Modules are initialised alike in whatever order the tests run."""
    torch.manual_seed(0)


@pytest.fixture
def float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session")
def small_digits() -> Dataset:
    whole = data.digits(n_train=60, label_noise=0.2, seed=0)
    return Dataset(whole.x_train, whole.y_train, whole.x_test[:80], whole.y_test[:80], n_classes=10)


@pytest.fixture
def shared_data() -> Path:
    if not SHARED.exists():
        pytest.skip("the shared reference data are not on this machine")
    return SHARED


def within(estimate: np.ndarray, truth: np.ndarray, sem: np.ndarray, k: float = 5) -> None:
    """Assert that an estimate lies within k standard errors of the truth."""
    z = np.abs(np.asarray(estimate) - np.asarray(truth)) / np.asarray(sem)
    assert np.all(z < k), f"{np.max(z):.1f} standard errors away: {estimate} against {truth}"
