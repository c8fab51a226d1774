"""Inputs as images with a channel axis, the form that convolutions take."""

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Num

from ..types import Dataset

CHANNELS = (1, 3, 4)


def images(dataset: Dataset) -> Dataset:
    """The same data with inputs of shape (n, channels, height, width), float32.

    Flat rows of s² values become (1, s, s); (height, width) becomes (1, height, width); of four axes
    the channels, 1, 3 or 4 of them, are moved from the last place to the second, and stay if they are
    there. Where both places could be channels, they are taken to be second.

    Raises:
        ValueError: The inputs are no images.
    """
    return replace(
        dataset,
        x_train=_channels_first("x_train", dataset.x_train),
        x_test=_channels_first("x_test", dataset.x_test),
    )


def _channels_first(
    name: str, x: Num[np.ndarray, "n ..."]
) -> Float[np.ndarray, "n channels height width"]:
    side = math.isqrt(x.shape[1]) if x.ndim == 2 else 0
    if x.ndim == 2 and side**2 == x.shape[1]:
        x = x.reshape(len(x), 1, side, side)
    elif x.ndim == 3:
        x = x[:, None]
    elif x.ndim == 4 and x.shape[1] not in CHANNELS and x.shape[3] in CHANNELS:
        x = np.moveaxis(x, 3, 1)
    elif x.ndim != 4 or x.shape[1] not in CHANNELS:
        raise ValueError(
            f"{name} of shape {x.shape} holds no images; pass rows whose length is a square, or shape "
            "(n, height, width), or four axes with 1, 3 or 4 channels second or last."
        )
    return np.ascontiguousarray(x, dtype=np.float32)
