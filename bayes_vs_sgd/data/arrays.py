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
        n_test: Test rows; None takes all others.
        label_noise: Fraction of training labels redrawn uniformly.
        seed: Chooses rows and noise.
        name: What the data are called in reports.

    Raises:
        ValueError: Not enough rows, or the arrays are not possible as a ``Dataset``.
    """
    require_count("n_train", n_train)
    wanted = n_train + (1 if n_test is None else n_test)
    if wanted > len(x):
        raise ValueError(
            f"n_train={n_train} and at least {wanted - n_train} test rows exceed the {len(x)} rows "
            f"of {name}; ask for fewer."
        )
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(x))
    rows, test_rows = order[:n_train], order[n_train : None if n_test is None else wanted]
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
        n_test: Test rows; None takes all.
        label_noise: Fraction of training labels redrawn uniformly.
        seed: Chooses rows and noise.

    Raises:
        ValueError: The file cannot be read, lacks an array, has too few rows, or holds values that
            are not finite or labels that are no classes.
    """
    arrays, path = _load(Path(path)), Path(path)
    if {"x", "y"} <= set(arrays):
        x, y = _checked(path, "x", arrays["x"]), _labels(path, "y", arrays["y"])
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
    parts: dict[str, np.ndarray] = {}
    for part, n in (("train", n_train), ("test", n_test)):
        x = _checked(path, f"x_{part}", arrays[f"x_{part}"])
        y = _labels(path, f"y_{part}", arrays[f"y_{part}"])
        if n is not None and not 1 <= n <= len(x):
            raise ValueError(f"n_{part}={n} is not possible: {path.name} has {len(x)} {part} rows.")
        rows = rng.permutation(len(x))[:n]
        parts |= {f"x_{part}": x[rows], f"y_{part}": y[rows]}
    return _assemble(**parts, label_noise=label_noise, rng=rng, name=path.stem)


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


def _checked(path: Path, name: str, values: np.ndarray) -> np.ndarray:
    n_bad = int(values.size - np.isfinite(values).sum())
    if n_bad:
        raise ValueError(
            f"{name} of {path.name} holds {n_bad} values that are NaN or infinite; remove or impute "
            "those rows."
        )
    return values


def _labels(path: Path, name: str, values: np.ndarray) -> np.ndarray:
    if values.ndim != 1 or not np.issubdtype(values.dtype, np.integer) or values.min() < 0:
        raise ValueError(
            f"{name} of {path.name} must be one column of integer classes 0, 1, …; it has dtype "
            f"{values.dtype}, shape {values.shape} and minimum {values.min()}."
        )
    return values
