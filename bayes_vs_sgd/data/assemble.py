"""From chosen rows to a Dataset: standardised, with noise on the labels."""

import numpy as np
from jaxtyping import Int, Num

from ..types import Dataset
from .label_noise import LabelNoise, Pairwise, Symmetric, as_label_noise
from .standardize import by_column, by_one_scale


def is_real(y: np.ndarray) -> bool:
    """Whether targets are real numbers rather than classes, told by their dtype."""
    return bool(np.issubdtype(y.dtype, np.floating))


def classification(
    x_train: Num[np.ndarray, "n_train ..."],
    labels: Int[np.ndarray, " n_source"],
    rows: Int[np.ndarray, " n_train"],
    x_test: Num[np.ndarray, "n_test ..."],
    y_test: Int[np.ndarray, " n_test"],
    *,
    label_noise: float | LabelNoise,
    rng: np.random.Generator,
    name: str,
    n_classes: int | None = None,
) -> Dataset:
    """Inputs standardised by one mean and standard deviation, labels with noise.

    Args:
        x_train: Inputs of the training rows.
        labels: Clean labels of all rows that the source could train on.
        rows: Numbers of the training rows among them.
        x_test: Inputs of the test rows.
        y_test: Their clean labels.
        label_noise: Noise on the training labels, and on a copy of the test labels.
        rng: Draws the training noise; the test noise has a generator spawned from it, so that asking
            for it changes no other number.
        name: What the data are called.
        n_classes: Number of classes; None counts up to the largest label of
            the source, so that every split has as many.

    Raises:
        ValueError: The noise or the arrays are not possible.
    """
    noise = as_label_noise(label_noise)
    labels, y_test = labels.astype(np.int64), y_test.astype(np.int64)
    if n_classes is None:
        n_classes = int(max(labels.max(), y_test.max())) + 1
    y_train, noisy = noise.corrupt(labels, rows, n_classes, rng)
    n_classes = max(n_classes, int(y_train.max()) + 1)
    standard_train, standard_test = by_one_scale(x_train, x_test, name)
    return Dataset(
        standard_train,
        y_train,
        standard_test,
        y_test,
        n_classes=n_classes,
        noisy=noisy,
        name=name,
        y_test_noisy=noise.corrupt_test(y_test, n_classes, rng.spawn(1)[0]),
    )


def regression(
    x_train: Num[np.ndarray, "n_train ..."],
    y_train: Num[np.ndarray, "n_train ..."],
    x_test: Num[np.ndarray, "n_test ..."],
    y_test: Num[np.ndarray, "n_test ..."],
    *,
    label_noise: float | LabelNoise,
    name: str,
) -> Dataset:
    """Inputs and targets standardised column by column, by the training rows.

    Raises:
        ValueError: Label noise was asked for, or the training targets are constant.
    """
    if as_label_noise(label_noise) not in (Symmetric(0.0), Pairwise(0.0)):
        raise ValueError(
            f"label_noise={label_noise} redraws classes, and the targets of {name} are real numbers; "
            "pass label_noise=0."
        )
    if not np.all(y_train.max(axis=0) > y_train.min(axis=0)):
        raise ValueError(
            f"the training targets of {name} are all equal; there is nothing to learn."
        )
    standard_x, standard_x_test = by_column(x_train, x_test)
    standard_y, standard_y_test = by_column(y_train, y_test)
    return Dataset(standard_x, standard_y, standard_x_test, standard_y_test, name=name)
