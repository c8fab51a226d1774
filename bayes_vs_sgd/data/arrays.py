"""From arrays to a Dataset: choose rows, standardise, redraw labels."""

import numpy as np
from jaxtyping import Num

from ..checks import require_count
from ..types import Dataset
from .assemble import classification, is_real, regression
from .label_noise import LabelNoise


def split(
    x: np.ndarray,
    y: np.ndarray,
    *,
    n_train: int,
    n_test: int | None = None,
    label_noise: float | LabelNoise = 0.0,
    seed: int = 0,
    name: str = "data",
) -> Dataset:
    """A random split of labelled rows, with noise on the training labels alone.

    With classes, inputs are standardised by one mean and one standard deviation, those of the training
    rows; with real targets, inputs and targets column by column.

    Args:
        x: Inputs, shape (n, ...).
        y: Integer classes, shape (n,), or float targets, shape (n, ...).
        n_train: Training rows.
        n_test: Test rows at most; None takes all others.
        label_noise: Fraction of training labels redrawn uniformly, or another noise.
        seed: Chooses rows and noise.
        name: What the data are called in reports.

    Returns:
        Clean test labels are in ``y_test``, those with the same noise in ``y_test_noisy``.

    Raises:
        ValueError: Not enough rows, or the arrays are not possible as a ``Dataset``.
    """
    require_count("n_train", n_train)
    if n_train >= len(x):
        raise ValueError(
            f"n_train={n_train} and at least one test row exceed the {len(x)} rows of {name}; ask for "
            "fewer."
        )
    rng = _generator(seed, n_test)
    order = rng.permutation(len(x))
    rows, test_rows = order[:n_train], order[n_train:][:n_test]
    if is_real(y):
        return regression(
            x[rows], y[rows], x[test_rows], y[test_rows], label_noise=label_noise, name=name
        )
    return classification(
        x[rows], y, rows, x[test_rows], y[test_rows], label_noise=label_noise, rng=rng, name=name
    )


def subset(
    x_train: Num[np.ndarray, "n_source ..."],
    y_train: Num[np.ndarray, "n_source ..."],
    x_test: Num[np.ndarray, "m_source ..."],
    y_test: Num[np.ndarray, "m_source ..."],
    *,
    n_train: int | None,
    n_test: int | None,
    label_noise: float | LabelNoise,
    seed: int,
    name: str,
    n_classes: int | None = None,
) -> Dataset:
    """Random rows of data that have a training and a test part.

    Args:
        x_train: Inputs of the rows to train on.
        y_train: Integer classes, or float targets.
        x_test: Inputs of the test rows.
        y_test: Their classes or targets.
        n_train: Training rows; None takes all.
        n_test: Test rows at most; None takes all.
        label_noise: Fraction of training labels redrawn uniformly, or another noise.
        seed: Chooses rows and noise.
        name: What the data are called in reports.
        n_classes: Number of classes; None counts up to the largest label of all rows.

    Raises:
        ValueError: Not enough rows, or the arrays are not possible as a ``Dataset``.
    """
    if n_train is not None:
        require_count("n_train", n_train)
        if n_train > len(x_train):
            raise ValueError(
                f"n_train={n_train} is not possible: {name} has {len(x_train)} training rows; ask for "
                "fewer."
            )
    rng = _generator(seed, n_test)
    rows = rng.permutation(len(x_train))[:n_train]
    test_rows = rng.permutation(len(x_test))[:n_test]
    # Rows are taken before anything becomes a float: a file of images is eight times as large in float64.
    if is_real(y_train):
        return regression(
            x_train[rows],
            y_train[rows],
            x_test[test_rows],
            y_test[test_rows],
            label_noise=label_noise,
            name=name,
        )
    return classification(
        x_train[rows],
        y_train,
        rows,
        x_test[test_rows],
        y_test[test_rows],
        label_noise=label_noise,
        rng=rng,
        name=name,
        n_classes=int(max(y_train.max(), y_test.max())) + 1 if n_classes is None else n_classes,
    )


def _generator(seed: int, n_test: int | None) -> np.random.Generator:
    """The generator of a seed, once the counts are known to be possible."""
    require_count("seed", seed, 0)
    if n_test is not None:
        require_count("n_test", n_test)
    return np.random.default_rng(seed)
