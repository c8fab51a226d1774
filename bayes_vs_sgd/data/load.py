"""One entry to all data, by a name or the path of a file."""

from pathlib import Path
from typing import Protocol

from ..types import Dataset
from .digits import digits
from .downloads import SOURCES, torchvision
from .label_noise import LabelNoise
from .npz import from_npz
from .synthetic import isotropic, random_binary

N_DIGITS = 1797
# Training rows, where none are asked for, and inputs of drawn data.
N_DRAWN, N_DRAWN_FEATURES = 100, 100


class Loader(Protocol):
    """What a name in ``LOADERS`` stands for."""

    def __call__(
        self,
        *,
        n_train: int | None,
        n_test: int | None,
        label_noise: float | LabelNoise,
        seed: int,
        root: Path,
    ) -> Dataset:
        """The data; ``root`` is the folder of what is downloaded."""
        ...


def load(
    source: str | Path,
    *,
    n_train: int | None,
    n_test: int | None = None,
    label_noise: float | LabelNoise = 0.0,
    seed: int = 0,
    root: str | Path = Path("data"),
) -> Dataset:
    """Data by name, or from an ``.npz`` file.

    Args:
        source: A name in ``LOADERS``, such as ``"digits"`` or ``"cifar10"``, or the path of an ``.npz``
            file as ``from_npz`` reads it.
        n_train: Training rows; None takes all, or half of data that have no training part of their own.
        n_test: Test rows at most; None takes all others.
        label_noise: Fraction of training labels redrawn uniformly, or another noise.
        seed: Chooses rows and noise; with given splits the split too, number seed mod n_splits.
        root: Folder of what is downloaded.

    Raises:
        ValueError: There is no such source, or it cannot give these data.
        ImportError: The data are torchvision's, which is missing.
    """
    if str(source) in LOADERS:
        return LOADERS[str(source)](
            n_train=n_train, n_test=n_test, label_noise=label_noise, seed=seed, root=Path(root)
        )
    if Path(source).suffix != ".npz":
        raise ValueError(
            f"source={str(source)!r} is not known; pass {', '.join(LOADERS)}, or the path of an .npz file."
        )
    return from_npz(source, n_train=n_train, n_test=n_test, label_noise=label_noise, seed=seed)


def _digits(
    *,
    n_train: int | None,
    n_test: int | None,
    label_noise: float | LabelNoise,
    seed: int,
    root: Path,
) -> Dataset:
    return digits(N_DIGITS // 2 if n_train is None else n_train, label_noise, seed, n_test=n_test)


def _downloaded(name: str) -> Loader:
    def loader(
        *,
        n_train: int | None,
        n_test: int | None,
        label_noise: float | LabelNoise,
        seed: int,
        root: Path,
    ) -> Dataset:
        return torchvision(
            name, root, n_train=n_train, n_test=n_test, label_noise=label_noise, seed=seed
        )

    return loader


class Drawer(Protocol):
    """A function that draws data of any number of rows."""

    def __call__(self, n_train: int, *, n_features: int, n_test: int, seed: int) -> Dataset:
        """The data."""
        ...


def _drawn(name: str, draw: Drawer) -> Loader:
    def loader(
        *,
        n_train: int | None,
        n_test: int | None,
        label_noise: float | LabelNoise,
        seed: int,
        root: Path,
    ) -> Dataset:
        if label_noise != 0:
            raise ValueError(
                f"label_noise={label_noise} is not possible for {name}, whose targets have noise of their "
                "own; pass 0."
            )
        return draw(
            N_DRAWN if n_train is None else n_train,
            n_features=N_DRAWN_FEATURES,
            n_test=1000 if n_test is None else n_test,
            seed=seed,
        )

    return loader


LOADERS: dict[str, Loader] = {
    "digits": _digits,
    "isotropic": _drawn("isotropic", isotropic),
    "random_binary": _drawn("random_binary", random_binary),
    **{name: _downloaded(name) for name in SOURCES},
}
