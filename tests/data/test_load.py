import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from bayes_vs_sgd import Dataset, data

RNG = np.random.default_rng(0)
PARTS = {
    "x_train": RNG.integers(0, 256, (300, 4, 4), dtype=np.uint8),
    "y_train": (np.arange(300) % 250).astype(np.uint8),
    "x_test": RNG.integers(0, 256, (40, 4, 4), dtype=np.uint8),
    "y_test": (np.arange(40) % 250).astype(np.uint8),
}


def assert_same(found: Dataset, expected: Dataset) -> None:
    for name in ("x_train", "y_train", "x_test", "y_test"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert found.n_classes == expected.n_classes


def test_digits_load_by_name() -> None:
    found = data.load("digits", n_train=50, n_test=30, label_noise=data.Pairwise(0.2), seed=4)
    assert_same(found, data.digits(50, data.Pairwise(0.2), 4, n_test=30))
    assert found.noisy.sum() == 10


def test_digits_without_a_number_are_halved() -> None:
    found = data.load("digits", n_train=None)
    assert (len(found.x_train), len(found.x_test)) == (898, 899)


@pytest.mark.parametrize("kind", [str, Path])
def test_files_load_by_their_path(tmp_path: Path, kind: type) -> None:
    path = tmp_path / "mine.npz"
    np.savez(path, **PARTS)
    found = data.load(kind(path), n_train=80, n_test=30, label_noise=0.5, seed=4)
    assert_same(found, data.from_npz(path, n_train=80, n_test=30, label_noise=0.5, seed=4))


def test_splits_of_a_file_load_by_the_seed(tmp_path: Path) -> None:
    x, y = RNG.random((9, 2)), RNG.random(9)
    path = tmp_path / "mine.npz"
    np.savez(path, X=x, y=y, test_mask=np.eye(3, dtype=bool).repeat(3, axis=1))
    assert_same(data.load(path, n_train=None, seed=5), data.uci(path, split=2, seed=5))


@pytest.mark.parametrize("source", ["imagenet", "Digits", "mine.csv", ""])
def test_unknown_names_are_refused_with_the_known_ones(source: str) -> None:
    with pytest.raises(ValueError, match=r"is not known; pass digits, .*, or the path") as caught:
        data.load(source, n_train=5)
    for name in ("mnist", "fashion_mnist", "cifar10", "cifar100"):
        assert f" {name}," in str(caught.value)


def test_bytes_become_the_floats_that_arithmetic_gives(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    np.savez(path, **PARTS)
    found = data.from_npz(path, n_train=100, seed=2)
    rows = np.random.default_rng(2).permutation(300)[:100]
    x = PARTS["x_train"][rows].astype(np.float64)
    np.testing.assert_array_equal(found.x_train, ((x - x.mean()) / x.std()).astype(np.float32))
    np.testing.assert_array_equal(found.y_train, PARTS["y_train"][rows].astype(np.int64))


def test_labels_in_bytes_keep_their_classes_under_noise(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    np.savez(path, **PARTS | {"y_train": np.full(300, 255, np.uint8)})
    found = data.from_npz(path, label_noise=data.Pairwise(0.5))
    assert found.n_classes == 256
    assert sorted(set(found.y_train.tolist())) == [0, 255]


def test_only_the_chosen_rows_become_floats(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    n_bytes = 20_000 * 20 * 20
    x = RNG.integers(0, 256, (20_000, 20, 20), dtype=np.uint8)
    y = np.arange(20_000, dtype=np.uint8) % 10
    np.savez(path, x_train=x, y_train=y, x_test=x[:100], y_test=y[:100])
    data.from_npz(path, n_train=10)
    tracemalloc.start()
    data.from_npz(path, n_train=100)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The file itself and the check for finite values take a byte a pixel each; floats took four or more.
    assert peak < 3 * n_bytes


def test_importing_the_data_imports_no_torch_and_no_scikit_learn() -> None:
    names = "'torch', 'torchvision', 'sklearn'"
    program = (
        "import sys; from bayes_vs_sgd import data; data.load; "
        f"print([name for name in ({names},) if name in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10_10k"])
def test_large_images_are_read_in_few_copies(shared_data: Path, name: str) -> None:
    found = data.load(shared_data / f"{name}.npz", n_train=2000, n_test=500, label_noise=0.1)
    assert found.n_classes == 10
    assert abs(found.x_train.mean(dtype=np.float64)) < 1e-5
    assert found.x_train.std(dtype=np.float64) == pytest.approx(1, abs=1e-5)
    side = 32 if name.startswith("cifar") else 28
    assert data.images(found).x_train.shape[2:] == (side, side)
