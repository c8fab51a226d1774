import gzip
import hashlib
import pickle
import struct
import sys
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest

from bayes_vs_sgd import data

datasets = pytest.importorskip("torchvision.datasets")

RNG = np.random.default_rng(0)
N_TRAIN, N_TEST = 30, 12


def checksum(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def arrays(shape: tuple[int, ...], n_classes: int) -> dict[str, np.ndarray]:
    return {
        "x_train": RNG.integers(0, 256, (N_TRAIN, *shape), dtype=np.uint8),
        "y_train": (np.arange(N_TRAIN) % n_classes).astype(np.uint8),
        "x_test": RNG.integers(0, 256, (N_TEST, *shape), dtype=np.uint8),
        "y_test": (np.arange(N_TEST) % n_classes).astype(np.uint8),
    }


def write_idx(path: Path, values: np.ndarray) -> None:
    """The format of MNIST's files: magic number, big-endian sizes, bytes."""
    head = struct.pack(f">{values.ndim + 1}I", 0x0800 + values.ndim, *values.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(head + values.tobytes()))


def write_mnist(root: Path, loader: str, made: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = root / loader / "raw"
    names = {
        "train-images-idx3-ubyte.gz": "x_train",
        "train-labels-idx1-ubyte.gz": "y_train",
        "t10k-images-idx3-ubyte.gz": "x_test",
        "t10k-labels-idx1-ubyte.gz": "y_test",
    }
    for file, name in names.items():
        write_idx(folder / file, made[name])
    resources = [(file, checksum(folder / file)) for file in names]
    monkeypatch.setattr(getattr(datasets, loader), "resources", resources)


def write_batch(path: Path, x: np.ndarray, y: np.ndarray, key: str) -> None:
    """The format of CIFAR's files: rows of the red, then green, then blue pixels."""
    rows = x.transpose(0, 3, 1, 2).reshape(len(x), -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps({"data": rows, key: y.tolist()}, protocol=2))


def write_cifar(root: Path, loader: str, made: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = getattr(datasets, loader)
    key = "labels" if loader == "CIFAR10" else "fine_labels"
    folder = root / kind.base_folder
    thirds = np.array_split(np.arange(N_TRAIN), len(kind.train_list))
    for (file, _), rows in zip(kind.train_list, thirds, strict=True):
        write_batch(folder / file, made["x_train"][rows], made["y_train"][rows], key)
    write_batch(folder / kind.test_list[0][0], made["x_test"], made["y_test"], key)
    meta = folder / kind.meta["filename"]
    meta.write_bytes(pickle.dumps({kind.meta["key"]: ["some", "names"]}))
    for name in ("train_list", "test_list"):
        listed = [[file, checksum(folder / file)] for file, _ in getattr(kind, name)]
        monkeypatch.setattr(kind, name, listed)
    monkeypatch.setattr(kind, "meta", kind.meta | {"md5": checksum(meta)})


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise URLError("no network in tests")

    monkeypatch.setattr("urllib.request.urlopen", refuse)


SOURCES = {
    "mnist": ("MNIST", write_mnist, (28, 28), 10),
    "fashion_mnist": ("FashionMNIST", write_mnist, (28, 28), 10),
    "cifar10": ("CIFAR10", write_cifar, (32, 32, 3), 10),
    "cifar100": ("CIFAR100", write_cifar, (32, 32, 3), 100),
}


@pytest.mark.parametrize("name", SOURCES)
def test_published_files_are_read_as_the_same_npz_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    loader, write, shape, n_classes = SOURCES[name]
    made = arrays(shape, n_classes)
    write(tmp_path, loader, made, monkeypatch)
    np.savez(tmp_path / "same.npz", **made)
    found = data.torchvision(name, tmp_path, n_train=20, n_test=9, seed=3)
    expected = data.from_npz(tmp_path / "same.npz", n_train=20, n_test=9, seed=3)
    for part in ("x_train", "y_train", "x_test", "y_test"):
        np.testing.assert_array_equal(getattr(found, part), getattr(expected, part))
    assert (found.name, found.n_classes) == (name, n_classes)
    by_name = data.load(name, n_train=20, n_test=9, seed=3, root=tmp_path)
    np.testing.assert_array_equal(by_name.x_train, found.x_train)


def test_label_noise_reaches_all_the_classes_of_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = arrays((32, 32, 3), 2)
    write_cifar(tmp_path, "CIFAR100", made, monkeypatch)
    found = data.torchvision("cifar100", tmp_path, label_noise=1.0)
    assert found.noisy.all()
    assert found.y_train.max() > 1
    assert found.y_test_noisy.max() > 1
    assert found.y_test.max() == 1


def test_labels_of_a_file_belong_to_the_published_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = arrays((28, 28), 10)
    write_mnist(tmp_path, "MNIST", made, monkeypatch)
    np.save(tmp_path / "people.npy", (made["y_train"] + 1) % 10)
    found = data.torchvision(
        "mnist", tmp_path, n_train=10, label_noise=data.FromFile(tmp_path / "people.npy")
    )
    rows = np.random.default_rng(0).permutation(N_TRAIN)[:10]
    np.testing.assert_array_equal(found.y_train, (made["y_train"][rows] + 1) % 10)


@pytest.mark.parametrize("name", SOURCES)
def test_a_failed_download_names_the_alternative(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name} could not be downloaded to .*\.npz file"):
        data.torchvision(name, tmp_path)
    with pytest.raises(ValueError, match=rf"{name} could not be read from .*\.npz file"):
        data.torchvision(name, tmp_path, download=False)


def test_files_with_other_checksums_are_not_unpickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cifar(tmp_path, "CIFAR10", arrays((32, 32, 3), 10), monkeypatch)
    batch = tmp_path / "cifar-10-batches-py" / "data_batch_2"
    batch.write_bytes(batch.read_bytes() + b".")
    monkeypatch.setattr("pickle.load", lambda *_, **__: pytest.fail("a changed file was unpickled"))
    with pytest.raises(ValueError, match="could not be read"):
        data.torchvision("cifar10", tmp_path, download=False)


def test_files_cut_short_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path, "MNIST", arrays((28, 28), 10), monkeypatch)
    data.torchvision("mnist", tmp_path)
    images = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    whole = images.read_bytes()
    for n_bytes in (0, 3, 16, 1000):
        images.write_bytes(whole[:n_bytes])
        with pytest.raises(ValueError, match="could not be"):
            data.torchvision("mnist", tmp_path, download=False)


def test_names_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pass mnist, fashion_mnist, cifar10, cifar100"):
        data.torchvision("imagenet", tmp_path)


def test_a_missing_torchvision_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    with pytest.raises(ImportError, match=r"install bayes-vs-sgd\[vision\]"):
        data.torchvision("mnist", tmp_path)
