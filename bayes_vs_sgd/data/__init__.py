"""Datasets: built-in, from a file, and what is done to their labels."""

from .arrays import from_npz, split
from .digits import digits
from .label_noise import symmetric

__all__ = ["digits", "from_npz", "split", "symmetric"]
