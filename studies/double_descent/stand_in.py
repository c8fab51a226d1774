"""Data for a dry run: a few random rows where nothing but their shapes matters."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bayes_vs_sgd import Dataset, data
from bayes_vs_sgd.data.translation import SPECIAL

from .config import Config
from .problem import load

# Rows of a stand-in; what networks cost a row is found from four.
_N_ROWS = 4


@dataclass(frozen=True)
class StandIn(Dataset):
    """A few random rows in place of data that need not be read.

    Attributes:
        n_test: Test rows that the data have.
        source_words: Of sentences as many as the source vocabulary may have, with the special ones.
    """

    n_test: int = 0
    source_words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Images:
    """What is known of image data without reading them.

    Attributes:
        shape: Of one image, as it is read.
        n_classes: Classes.
        n_train: Training rows.
        n_test: Test rows.
    """

    shape: tuple[int, ...]
    n_classes: int
    n_train: int
    n_test: int = 10_000


IMAGES = {
    "mnist": Images((28, 28), 10, 60_000),
    "fashion_mnist": Images((28, 28), 10, 60_000),
    "cifar10": Images((32, 32, 3), 10, 50_000),
    "cifar100": Images((32, 32, 3), 100, 50_000),
}


def shapes(config: Config, split: int, n_train: int) -> Dataset:
    """The data of one split as far as a dry run needs them.

    Of image data that are downloaded, and of files of sentences that are not there, it is a
    ``StandIn`` that downloads and reads nothing; the vocabularies of a stand-in are as large as the
    settings allow. Everything else is loaded.

    Raises:
        ValueError: There are fewer training rows than asked for, or the data cannot be loaded.
    """
    if config.data in IMAGES and config.model in ("mlp", "cnn", "resnet18"):
        return _pictures(config, IMAGES[config.data], n_train)
    files = [Path(config.data), Path(config.target)]
    if config.model == "translator" and config.target and not all(f.exists() for f in files):
        return _sentences(config)
    return load(config, split, n_train)


def n_test_rows(dataset: Dataset) -> int:
    """Test rows of the data, which a stand-in does not hold."""
    return dataset.n_test if isinstance(dataset, StandIn) else len(dataset.x_test)


def _pictures(config: Config, images: Images, n_train: int) -> Dataset:
    if n_train > images.n_train:
        raise ValueError(
            f"n_train={n_train} exceeds the {images.n_train} training rows of {config.data}; pass at "
            f"most {images.n_train}."
        )
    x = np.random.default_rng(0).standard_normal((_N_ROWS, *images.shape), dtype=np.float32)
    y = np.arange(_N_ROWS)
    n_test = min(config.n_test, images.n_test)
    found = StandIn(x, y, x, y, n_classes=images.n_classes, name=config.data, n_test=n_test)
    return found if config.model == "mlp" else data.images(found)


def _sentences(config: Config) -> Dataset:
    length, words = config.max_length + 1, (*SPECIAL, *map(str, range(config.vocabulary_size)))
    n_tokens = len(words)
    tokens = len(SPECIAL) + np.arange(_N_ROWS * 3 * length) % config.vocabulary_size
    parts = tokens.reshape(_N_ROWS, 3, length)
    x, y = parts[:, :2], parts[:, 2]
    name = " to ".join(Path(f).name for f in (config.data, config.target))
    return StandIn(
        x, y, x, y, n_classes=n_tokens, name=name, n_test=config.n_test, source_words=words
    )
