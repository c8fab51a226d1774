"""Inputs and targets in units of the training rows' spread."""

import numpy as np
from jaxtyping import Float, Num


def by_one_scale(
    train: Num[np.ndarray, "n_train ..."], test: Num[np.ndarray, "n_test ..."], name: str
) -> tuple[Float[np.ndarray, "n_train ..."], Float[np.ndarray, "n_test ..."]]:
    """(x − m)/s with one mean m and one standard deviation s over all training values.

    Raises:
        ValueError: All training values are equal.
    """
    center, scale = train.mean(dtype=np.float64), train.std(dtype=np.float64)
    if not scale > 0:
        raise ValueError(f"the training inputs of {name} are all equal; there is nothing to learn.")
    return _scaled(train, center, scale), _scaled(test, center, scale)


def by_column(
    train: Num[np.ndarray, "n_train ..."], test: Num[np.ndarray, "n_test ..."]
) -> tuple[Float[np.ndarray, "n_train ..."], Float[np.ndarray, "n_test ..."]]:
    """(x − m_j)/s_j with the mean and standard deviation of each column j over the training rows.

    A column that is constant over the training rows is 0 in both parts, in test rows too that differ:
    training tells nothing of its scale.
    """
    center, scale = train.mean(axis=0, dtype=np.float64), train.std(axis=0, dtype=np.float64)
    # The deviation of equal values from their rounded mean need not be 0.
    varies = (train.max(axis=0) > train.min(axis=0)) & (scale > 0)
    divisor = np.where(varies, scale, 1.0)
    first, second = (np.where(varies, (x - center) / divisor, 0.0) for x in (train, test))
    return first.astype(np.float32), second.astype(np.float32)


def _scaled(
    x: Num[np.ndarray, "n ..."], center: np.floating, scale: np.floating
) -> Float[np.ndarray, "n ..."]:
    if x.dtype == np.uint8:
        # A table of the 256 levels spares images a float64 copy of eight times their size.
        return ((np.arange(256) - center) / scale).astype(np.float32)[x]
    return ((x - center) / scale).astype(np.float32)
