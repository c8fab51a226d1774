"""Entropy and compressed size of patterns."""

import zlib

import numpy as np
from jaxtyping import Float, Int
from scipy.special import entr

from .rows import Patterns, as_patterns


def entropy(bits: Patterns) -> Float[np.ndarray, " n_functions"]:
    """Entropy of the classes of every row, in bits an input: −Σ_c p_c log₂ p_c.

    p_c is the share of the inputs in class c; of two classes it is −p log₂ p − (1 − p) log₂(1 − p).
    It sees how many inputs have a class, never which: parity has the highest.

    Args:
        bits: Patterns of two classes, or of up to 256.

    Raises:
        ValueError: ``bits`` is no matrix of classes.
    """
    patterns = as_patterns(bits)
    total = np.zeros(len(patterns))
    for c in range(int(patterns.max(initial=0)) + 1):
        total += entr((patterns == c).mean(axis=1))
    return total / np.log(2)


def compressed_size(bits: Patterns) -> Int[np.ndarray, " n_functions"]:
    """Bytes of every row after DEFLATE: one byte an input, zlib at level 9, without its envelope.

    The raw stream is measured. The 2 bytes of header and 4 of checksum that zlib adds to any string
    are never written, so that the size is ``len(zlib.compress(row, 9)) − 6``. What remains of the
    format's own cost, 3 bits of block header and 7 of end mark, is in the number. Builds of zlib
    differ in it by some bytes: compare sizes of one machine.

    Args:
        bits: Patterns of two classes, or of up to 256. The order of the inputs matters.

    Raises:
        ValueError: ``bits`` is no matrix of classes.
    """
    rows = as_patterns(bits)
    return np.array([_deflated_size(row.tobytes()) for row in rows], dtype=np.int64)


def _deflated_size(row: bytes) -> int:
    return len(zlib.compress(row, level=9, wbits=-zlib.MAX_WBITS))
