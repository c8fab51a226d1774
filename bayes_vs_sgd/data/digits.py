"""The handwritten digits that scikit-learn ships: 1,797 images of 8×8 pixels."""

from ..types import Dataset
from .arrays import split
from .label_noise import LabelNoise


def digits(
    n_train: int = 400,
    label_noise: float | LabelNoise = 0.2,
    seed: int = 0,
    *,
    n_test: int | None = None,
) -> Dataset:
    """A random split of the digits; the rows that do not train are the clean test set.

    Pixels are standardised by one mean and one standard deviation.

    Args:
        n_train: Training rows.
        label_noise: Fraction of training labels redrawn uniformly over the ten classes, or another noise.
        seed: Chooses rows and noise.
        n_test: Test rows at most; None takes all others.

    Returns:
        Inputs of shape (n, 64), ten classes.

    Raises:
        ValueError: ``n_train`` leaves no test row, or ``label_noise`` is no fraction.
    """
    # Importing it takes seconds that nobody without digits should wait for.
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return split(
        x, y, n_train=n_train, n_test=n_test, label_noise=label_noise, seed=seed, name="digits"
    )
