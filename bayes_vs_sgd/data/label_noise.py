"""Noise on labels: which rows, and what they are changed to."""

from dataclasses import dataclass
from numbers import Real
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Int

from ..checks import require_fraction

Labels = Int[np.ndarray, " n"]


@runtime_checkable
class LabelNoise(Protocol):
    """What every label noise offers."""

    def corrupt(
        self,
        labels: Int[np.ndarray, " n_source"],
        rows: Int[np.ndarray, " n"],
        n_classes: int,
        rng: np.random.Generator,
    ) -> tuple[Labels, Bool[np.ndarray, " n"]]:
        """The labels that training sees.

        Args:
            labels: Clean labels of all the rows that the source could train on, in its order.
            rows: Numbers of the rows that do train.
            n_classes: Number of classes.
            rng: Source of randomness.

        Returns:
            The labels of ``rows``, and True where one was redrawn or changed.
        """
        ...

    def corrupt_test(
        self, labels: Labels, n_classes: int, rng: np.random.Generator
    ) -> Labels | None:
        """Test labels with noise of the same kind and fraction; None where there is none."""
        ...


@dataclass(frozen=True)
class Symmetric:
    """Of round(fraction·n) rows the label is redrawn uniformly from all classes.

    A part 1/n_classes of these rows keeps its label by chance.

    Attributes:
        fraction: Part of the rows that is redrawn, in [0, 1].
    """

    fraction: float

    def __post_init__(self) -> None:
        require_fraction("fraction", self.fraction)

    def corrupt(
        self,
        labels: Int[np.ndarray, " n_source"],
        rows: Int[np.ndarray, " n"],
        n_classes: int,
        rng: np.random.Generator,
    ) -> tuple[Labels, Bool[np.ndarray, " n"]]:
        """Labels of the rows, a fraction of them redrawn, and which were."""
        return symmetric(labels[rows], self.fraction, n_classes, rng)

    def corrupt_test(
        self, labels: Labels, n_classes: int, rng: np.random.Generator
    ) -> Labels | None:
        """Test labels, the same fraction of them redrawn."""
        return symmetric(labels, self.fraction, n_classes, rng)[0] if self.fraction else None


@dataclass(frozen=True)
class Pairwise:
    """Of round(fraction·n) rows class c becomes (c + 1) mod n_classes (Han et al. 2018).

    Attributes:
        fraction: Part of the rows that is changed, in [0, 1]. From 0.5 on, the wrong class is the more
            frequent one.
    """

    fraction: float

    def __post_init__(self) -> None:
        require_fraction("fraction", self.fraction)

    def corrupt(
        self,
        labels: Int[np.ndarray, " n_source"],
        rows: Int[np.ndarray, " n"],
        n_classes: int,
        rng: np.random.Generator,
    ) -> tuple[Labels, Bool[np.ndarray, " n"]]:
        """Labels of the rows, a fraction of them moved on by one class, and which were.

        Raises:
            ValueError: There is one class only.
        """
        changed = _chosen(len(rows), self.fraction, rng)
        return _next_class(labels[rows], changed, n_classes), changed

    def corrupt_test(
        self, labels: Labels, n_classes: int, rng: np.random.Generator
    ) -> Labels | None:
        """Test labels, the same fraction of them moved on by one class.

        Raises:
            ValueError: There is one class only.
        """
        if not self.fraction:
            return None
        return _next_class(labels, _chosen(len(labels), self.fraction, rng), n_classes)


def as_label_noise(label_noise: float | LabelNoise) -> LabelNoise:
    """The settings of a label noise; a fraction f means ``Symmetric(f)``.

    Raises:
        ValueError: ``label_noise`` is neither a fraction nor a label noise.
    """
    if isinstance(label_noise, Real):
        require_fraction("label_noise", float(label_noise))
        return Symmetric(float(label_noise))
    if isinstance(label_noise, type) or not isinstance(label_noise, LabelNoise):
        raise ValueError(
            f"label_noise={label_noise!r} is no label noise; pass a fraction between 0 and 1, or "
            "data.Symmetric(0.2), data.Pairwise(0.2) or data.FromFile(path)."
        )
    return label_noise


def symmetric(
    labels: Labels, fraction: float, n_classes: int, rng: np.random.Generator
) -> tuple[Labels, Bool[np.ndarray, " n"]]:
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
    redrawn = _chosen(len(labels), fraction, rng)
    fresh = rng.integers(0, n_classes, len(labels)).astype(labels.dtype)
    return np.where(redrawn, fresh, labels), redrawn


def _chosen(n: int, fraction: float, rng: np.random.Generator) -> Bool[np.ndarray, " n"]:
    """True in round(fraction·n) random places."""
    chosen = np.zeros(n, dtype=bool)
    chosen[rng.permutation(n)[: round(fraction * n)]] = True
    return chosen


def _next_class(labels: Labels, changed: Bool[np.ndarray, " n"], n_classes: int) -> Labels:
    if n_classes < 2 and changed.any():
        raise ValueError(
            f"label_noise=Pairwise moves a label on to the next class, and there is n_classes={n_classes} "
            "only; pass label_noise=0."
        )
    return np.where(changed, (labels + 1) % n_classes, labels)
