"""Image data that torchvision downloads and unpacks."""

import importlib
import pickle
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..types import Dataset
from .arrays import subset
from .label_noise import LabelNoise


@dataclass(frozen=True)
class _Source:
    """Torchvision's class for the data, and how many classes the labels have."""

    loader: str
    n_classes: int


SOURCES = {
    "mnist": _Source("MNIST", 10),
    "fashion_mnist": _Source("FashionMNIST", 10),
    "cifar10": _Source("CIFAR10", 10),
    "cifar100": _Source("CIFAR100", 100),
}

# What torchvision raises without a network, for checksums that differ, and for files cut short.
UNREADABLE = (
    AssertionError,
    EOFError,
    KeyError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    zlib.error,
)


def torchvision(
    name: str,
    root: str | Path,
    *,
    n_train: int | None = None,
    n_test: int | None = None,
    label_noise: float | LabelNoise = 0.0,
    seed: int = 0,
    download: bool = True,
) -> Dataset:
    """Random rows of MNIST, Fashion-MNIST, CIFAR-10 or CIFAR-100, downloaded where they are missing.

    Pixels are standardised by one mean and one standard deviation, those of the training rows. CIFAR's
    files are pickles; torchvision reads them only if their checksums are those of the publisher.

    Args:
        name: ``"mnist"``, ``"fashion_mnist"``, ``"cifar10"`` or ``"cifar100"``.
        root: Folder for the files, in torchvision's layout.
        n_train: Training rows; None takes all.
        n_test: Test rows at most; None takes all.
        label_noise: Fraction of training labels redrawn uniformly, or another noise.
        seed: Chooses rows and noise.
        download: Whether files that are missing are downloaded.

    Returns:
        Inputs of shape (n, 28, 28) or (n, 32, 32, 3); ``images`` adds or moves the channel axis.

    Raises:
        ValueError: There are no such data, or they cannot be downloaded or read.
        ImportError: torchvision is missing.
    """
    if name not in SOURCES:
        raise ValueError(
            f"name={name!r} is none of torchvision's data known here; pass {', '.join(SOURCES)}."
        )
    parts = [_read(name, Path(root), train, download) for train in (True, False)]
    return subset(
        *parts[0],
        *parts[1],
        n_train=n_train,
        n_test=n_test,
        label_noise=label_noise,
        seed=seed,
        name=name,
        n_classes=SOURCES[name].n_classes,
    )


def _read(name: str, root: Path, train: bool, download: bool) -> tuple[np.ndarray, np.ndarray]:
    """Pixels as uint8, channels last, and labels of one part."""
    loader = getattr(_datasets(), SOURCES[name].loader)
    try:
        part = loader(root, train=train, download=download)
    except UNREADABLE as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{name} could not be {'downloaded to' if download else 'read from'} {root} ({reason}); put "
            "torchvision's files there, or pass the path of an .npz file with x_train, y_train, x_test "
            "and y_test to from_npz."
        ) from error
    return np.asarray(part.data), np.asarray(part.targets)


def _datasets() -> Any:
    try:
        return importlib.import_module("torchvision.datasets")
    except ImportError as error:
        raise ImportError(
            "the image data to download need torchvision; install bayes-vs-sgd[vision]."
        ) from error
