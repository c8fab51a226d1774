"""Noise on training labels."""

import numpy as np
from jaxtyping import Bool, Int

from ..checks import require_fraction


def symmetric(
    labels: Int[np.ndarray, " n"], fraction: float, n_classes: int, rng: np.random.Generator
) -> tuple[Int[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Redraw a fraction of the labels uniformly from all classes.

    Of the round(fraction·n) rows that are redrawn, 1/n_classes keep their label by chance.

    Args:
        labels: Classes, shape (n,).
        fraction: Part of the rows to redraw, in [0, 1].
        n_classes: Number of classes.
        rng: Source of randomness.

    Returns:
        The new labels, and True where a row was redrawn.

    Raises:
        ValueError: ``fraction`` is no fraction.
    """
    require_fraction("label_noise", fraction)
    redrawn = np.zeros(len(labels), dtype=bool)
    redrawn[rng.permutation(len(labels))[: round(fraction * len(labels))]] = True
    fresh = rng.integers(0, n_classes, len(labels)).astype(labels.dtype)
    return np.where(redrawn, fresh, labels), redrawn
