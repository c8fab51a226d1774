"""From arrays to a Dataset: choose rows, standardise, redraw labels."""

import zipfile
from pathlib import Path

import numpy as np

from ..checks import require_count
from ..types import Dataset
from .label_noise import symmetric


def split(
    x: np.ndarray,
    y: np.ndarray,
    *,
    n_train: int,
    n_test: int | None = None,
    label_noise: float = 0.0,
    seed: int = 0,
    name: str = "data",
) -> Dataset:
    """A random split of labelled rows, with noise on the training labels alone.

    Inputs are standardised by one mean and one standard deviation, those of the training rows.

    Args:
        x: Inputs, shape (n, ...).
        y: Integer classes, shape (n,).
        n_train: Training rows.
        n_test: Test rows at most; None takes all others.
        label_noise: Fraction of training labels redrawn uniformly.
        seed: Chooses rows and noise.
        name: What the data are called in reports.

    Raises:
        ValueError: Not enough rows, or the arrays are not possible as a ``Dataset``.
    """
    require_count("n_train", n_train)
    if n_train >= len(x):
        raise ValueError(
            f"n_train={n_train} and at least one test row exceed the {len(x)} rows of {name}; ask for "
            "fewer."
        )
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(x))
    rows, test_rows = order[:n_train], order[n_train:][:n_test]
    return _assemble(x[rows], y[rows], x[test_rows], y[test_rows], label_noise, rng, name)


def from_npz(
    path: str | Path,
    *,
    n_train: int | None = None,
    n_test: int | None = None,
    label_noise: float = 0.0,
    seed: int = 0,
) -> Dataset:
    """Read classification data from a ``.npz`` file.

    The file holds ``x_train``, ``y_train``, ``x_test``, ``y_test``, of which random rows are taken,
    or ``x`` and ``y``, which are split.

    Args:
        path: The file; it is read without pickle.
        n_train: Training rows; None takes all (or half of an unsplit file).
        n_test: Test rows at most; None takes all.
        label_noise: Fraction of training labels redrawn uniformly.
        seed: Chooses rows and noise.

    Raises:
        ValueError: The file cannot be read, lacks an array, has too few rows, or holds values that
            are not finite or labels that are no classes.
    """
    path = Path(path)
    arrays = _load(path)
    if {"x", "y"} <= set(arrays):
        x, y = _rows(path, arrays, "x", "y")
        n_rows = len(x) // 2 if n_train is None else n_train
        return split(
            x, y, n_train=n_rows, n_test=n_test, label_noise=label_noise, seed=seed, name=path.stem
        )
    missing = sorted({"x_train", "y_train", "x_test", "y_test"} - set(arrays))
    if missing:
        raise ValueError(
            f"{path.name} has no {', '.join(missing)}; it must hold x_train, y_train, x_test and "
            "y_test, or x and y."
        )
    rng = np.random.default_rng(seed)
    x_train, y_train = _rows(path, arrays, "x_train", "y_train")
    x_test, y_test = _rows(path, arrays, "x_test", "y_test")
    if n_train is not None and not 1 <= n_train <= len(x_train):
        raise ValueError(
            f"n_train={n_train} is not possible: {path.name} has {len(x_train)} training rows."
        )
    rows = rng.permutation(len(x_train))[:n_train]
    test_rows = rng.permutation(len(x_test))[:n_test]
    return _assemble(
        x_train[rows],
        y_train[rows],
        x_test[test_rows],
        y_test[test_rows],
        label_noise,
        rng,
        path.stem,
    )


def _assemble(
    x_train: np.ndarray,
    y_train: np.ndarray,
    x_test: np.ndarray,
    y_test: np.ndarray,
    label_noise: float,
    rng: np.random.Generator,
    name: str,
) -> Dataset:
    n_classes = int(max(y_train.max(), y_test.max())) + 1
    noisy_labels, redrawn = symmetric(y_train.astype(np.int64), label_noise, n_classes, rng)
    center, scale = x_train.mean(dtype=np.float64), x_train.std(dtype=np.float64)
    if not scale > 0:
        raise ValueError(f"the training inputs of {name} are all equal; there is nothing to learn.")
    standard = [((x - center) / scale).astype(np.float32) for x in (x_train, x_test)]
    return Dataset(
        standard[0],
        noisy_labels,
        standard[1],
        y_test.astype(np.int64),
        n_classes=n_classes,
        noisy=redrawn,
        name=name,
    )


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError as error:
        raise ValueError(f"there is no file {path}; name an existing .npz file.") from error
    except (OSError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is no .npz file of plain arrays; save it by numpy.savez."
        ) from error


def _rows(
    path: Path, arrays: dict[str, np.ndarray], x_name: str, y_name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and labels of a file, refused where they are no rows of numbers with classes."""
    x, y = arrays[x_name], arrays[y_name]
    if x.ndim < 2 or not np.issubdtype(x.dtype, np.number):
        raise ValueError(
            f"{x_name} of {path.name} must hold numbers with a row axis and at least one more; it has "
            f"dtype {x.dtype} and shape {x.shape}."
        )
    n_bad = int(x.size - np.isfinite(x).sum())
    if n_bad:
        raise ValueError(
            f"{x_name} of {path.name} holds {n_bad} values that are NaN or infinite; remove or impute "
            "those rows."
        )
    if y.ndim != 1 or y.size == 0 or not np.issubdtype(y.dtype, np.integer) or y.min() < 0:
        raise ValueError(
            f"{y_name} of {path.name} must be one column of integer classes 0, 1, …; it has dtype "
            f"{y.dtype}, shape {y.shape} and minimum {y.min() if y.size else 'none'}."
        )
    if len(x) != len(y):
        raise ValueError(
            f"{x_name} of {path.name} has {len(x)} rows and {y_name} has {len(y)}; they must be equal "
            "in number."
        )
    return x, y
