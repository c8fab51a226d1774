"""Noisy labels that people or an earlier program wrote, read from a file."""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int

READABLE = ".npy, .npz, .txt or .csv"


@dataclass(frozen=True)
class FromFile:
    """Training labels from a file, as in CIFAR-10N (Wei et al. 2022): human errors, not a coin's.

    The file holds one label for each row that the source could train on, in the source's order: for
    data with a training part of their own those rows, for data that are split all rows. Which label
    belongs to which row therefore depends on no seed. Test labels stay clean.

    Attributes:
        path: ``.npy`` with one column of integers, ``.npz`` with it under ``y_train_noisy`` or as the
            only array, ``.txt`` or ``.csv`` with one label a line.
    """

    path: str | Path

    def corrupt(
        self,
        labels: Int[np.ndarray, " n_source"],
        rows: Int[np.ndarray, " n"],
        n_classes: int,
        rng: np.random.Generator,
    ) -> tuple[Int[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
        """The file's labels of the rows, and True where they differ from the clean ones.

        Raises:
            ValueError: The file cannot be read, or is not one class for each row of the source.
        """
        noisy = _read(Path(self.path))
        n_source_classes = max(n_classes, int(labels.max()) + 1)
        if len(noisy) != len(labels):
            raise ValueError(
                f"label_noise: {self.path} holds {len(noisy)} labels and the data have {len(labels)} rows "
                "to train on; write one label for each of them, in their order."
            )
        if noisy.min() < 0 or noisy.max() >= n_source_classes:
            raise ValueError(
                f"label_noise: {self.path} holds labels from {noisy.min()} to {noisy.max()}, outside the "
                f"classes 0…{n_source_classes - 1} of the data; relabel them."
            )
        return noisy[rows], noisy[rows] != labels[rows]

    def corrupt_test(
        self, labels: Int[np.ndarray, " n"], n_classes: int, rng: np.random.Generator
    ) -> Int[np.ndarray, " n"] | None:
        """None: the file has no labels for test rows."""
        return None


def _read(path: Path) -> Int[np.ndarray, " n"]:
    readers = {".npy": _read_npy, ".npz": _read_npz, ".txt": _read_lines, ".csv": _read_lines}
    if path.suffix not in readers:
        raise ValueError(f"label_noise: {path} is no file of labels; name one in {READABLE}.")
    try:
        labels = readers[path.suffix](path)
    except FileNotFoundError as error:
        raise ValueError(f"label_noise: there is no file {path}; name an existing one.") from error
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"label_noise: {path} cannot be read as labels; save one column of integers by numpy.save "
            "(an .npz needs it as y_train_noisy or alone), or write one integer a line."
        ) from error
    if labels.ndim != 1 or labels.size == 0 or labels.dtype.kind not in "iu":
        raise ValueError(
            f"label_noise: {path} must hold one column of integers; it has dtype {labels.dtype} and "
            f"shape {labels.shape}."
        )
    return labels.astype(np.int64)


def _read_npy(path: Path) -> np.ndarray:
    with path.open("rb") as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _read_npz(path: Path) -> np.ndarray:
    with np.load(path, allow_pickle=False) as file:
        if "y_train_noisy" in file.files:
            return file["y_train_noisy"]
        (only,) = file.files
        return file[only]


def _read_lines(path: Path) -> np.ndarray:
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    return np.array([int(line) for line in lines if line.strip()], dtype=np.int64)
