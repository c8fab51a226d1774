"""Datasets from ``.npz`` files: classification, regression, and regression with given splits."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from ..checks import require_count
from ..types import Dataset
from .arrays import split, subset
from .assemble import is_real
from .label_noise import LabelNoise

# numpy.load of a file of another kind ends in any of these.
UNREADABLE = (OSError, EOFError, ValueError, AttributeError, zipfile.BadZipFile, zlib.error)
Parts = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def from_npz(
    path: str | Path,
    *,
    n_train: int | None = None,
    n_test: int | None = None,
    label_noise: float | LabelNoise = 0.0,
    seed: int = 0,
) -> Dataset:
    """Read classification or regression data from a ``.npz`` file.

    The file holds ``x_train``, ``y_train``, ``x_test``, ``y_test``, of which random rows are taken,
    or ``x`` and ``y``, which are split, or ``X``, ``y`` and ``test_mask`` (see ``uci``), where the seed
    chooses split number seed mod n_splits too. Integer ``y`` are classes, and inputs are standardised
    by one mean and one standard deviation; float ``y`` are real targets, and inputs and targets are
    standardised column by column.

    Args:
        path: The file; it is read without pickle.
        n_train: Training rows; None takes all (or half of an unsplit file).
        n_test: Test rows at most; None takes all.
        label_noise: Fraction of training labels redrawn uniformly, or another noise; 0 for real
            targets.
        seed: Chooses rows and noise.

    Raises:
        ValueError: The file cannot be read, lacks an array, has too few rows, or holds values that
            are not finite or labels that are no classes.
    """
    path = Path(path)
    arrays = _load(path)
    name = path.stem
    if "test_mask" in arrays:
        require_count("seed", seed, 0)
        parts = _masked(path, arrays, seed % max(1, len(np.atleast_2d(arrays["test_mask"]))))
    elif {"x", "y"} <= set(arrays):
        x, y = _rows(path, arrays, "x", "y", real=is_real(arrays["y"]))
        n_rows = len(x) // 2 if n_train is None else n_train
        return split(
            x, y, n_train=n_rows, n_test=n_test, label_noise=label_noise, seed=seed, name=name
        )
    else:
        _require(path, arrays, "x_train", "y_train", "x_test", "y_test")
        real = is_real(arrays["y_train"])
        parts = (
            *_rows(path, arrays, "x_train", "y_train", real=real),
            *_rows(path, arrays, "x_test", "y_test", real=real),
        )
    return subset(
        *parts, n_train=n_train, n_test=n_test, label_noise=label_noise, seed=seed, name=name
    )


def uci(
    path: str | Path,
    *,
    split: int = 0,
    n_train: int | None = None,
    n_test: int | None = None,
    seed: int = 0,
) -> Dataset:
    """Read a regression set that comes with its splits, as the UCI sets of Hernández-Lobato & Adams.

    The file holds inputs ``X`` (n, d), targets ``y`` (n,) and ``test_mask`` (n_splits, n), True where
    a row of that split is a test row. Inputs become (x − m_j)/s_j by the training rows, columns that
    are constant there 0, targets (y − m)/s: an RMSE is in units of the training targets' standard
    deviation.

    Args:
        path: The file; it is read without pickle.
        split: Which row of ``test_mask``.
        n_train: Training rows, chosen at random; None takes all.
        n_test: Test rows at most; None takes all.
        seed: Chooses rows.

    Returns:
        Targets of shape (n,), float32, and ``n_classes`` 0.

    Raises:
        ValueError: The file cannot be read or lacks an array, there is no such split, or it has too
            few rows.
    """
    path = Path(path)
    parts = _masked(path, _load(path), split)
    return subset(
        *parts, n_train=n_train, n_test=n_test, label_noise=0.0, seed=seed, name=path.stem
    )


def _masked(path: Path, arrays: dict[str, np.ndarray], split: int) -> Parts:
    """Training and test rows of one split of a file with a mask."""
    _require(path, arrays, "X", "y", "test_mask")
    x, y = _rows(path, arrays, "X", "y", real=True)
    mask = np.atleast_2d(arrays["test_mask"])
    if mask.dtype != bool or mask.ndim != 2 or mask.shape[1] != len(x) or len(mask) == 0:
        raise ValueError(
            f"test_mask of {path.name} must hold True and False with shape (n_splits, {len(x)}); it has "
            f"dtype {mask.dtype} and shape {arrays['test_mask'].shape}."
        )
    require_count("split", split, 0)
    if split >= len(mask):
        raise ValueError(
            f"split={split} is not possible: {path.name} has {len(mask)} splits, counted from 0."
        )
    test = mask[split]
    if test.all() or not test.any():
        raise ValueError(
            f"split={split} of {path.name} has {len(x) - test.sum()} training rows and {test.sum()} test "
            "rows; each must be at least one."
        )
    return x[~test], y[~test], x[test], y[test]


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError as error:
        raise ValueError(f"there is no file {path}; name an existing .npz file.") from error
    except UNREADABLE as error:
        raise ValueError(
            f"{path} is no .npz file of plain arrays; save it by numpy.savez."
        ) from error


def _require(path: Path, arrays: dict[str, np.ndarray], *names: str) -> None:
    missing = sorted(set(names) - set(arrays))
    if missing:
        raise ValueError(
            f"{path.name} has no {', '.join(missing)}; it must hold x_train, y_train, x_test and "
            "y_test, or x and y, or X, y and test_mask."
        )


def _rows(
    path: Path, arrays: dict[str, np.ndarray], x_name: str, y_name: str, *, real: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets of a file, refused where they are no rows of numbers with targets."""
    x, y = arrays[x_name], arrays[y_name]
    if x.ndim < 2 or x.dtype.kind not in "iuf":
        raise ValueError(
            f"{x_name} of {path.name} must hold numbers with a row axis and at least one more; it has "
            f"dtype {x.dtype} and shape {x.shape}."
        )
    _require_finite(path, x_name, x)
    if real:
        y = _real_targets(path, y_name, y)
    elif y.ndim != 1 or y.size == 0 or not np.issubdtype(y.dtype, np.integer) or y.min() < 0:
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


def _real_targets(path: Path, name: str, y: np.ndarray) -> np.ndarray:
    if y.ndim not in (1, 2) or y.size == 0 or y.dtype.kind not in "iuf":
        raise ValueError(
            f"{name} of {path.name} must hold real targets of shape (n,) or (n, k); it has dtype "
            f"{y.dtype} and shape {y.shape}."
        )
    _require_finite(path, name, y)
    return y.astype(np.float64)


def _require_finite(path: Path, name: str, values: np.ndarray) -> None:
    n_bad = int(values.size - np.isfinite(values).sum())
    if n_bad:
        raise ValueError(
            f"{name} of {path.name} holds {n_bad} values that are NaN or infinite; remove or impute "
            "those rows."
        )
