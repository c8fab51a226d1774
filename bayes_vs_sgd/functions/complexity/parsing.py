"""Lempel–Ziv complexity of patterns (Lempel & Ziv 1976), many at once."""

import numpy as np
from jaxtyping import Float, Int, UInt8, UInt64

from .rows import Patterns, as_patterns, by_blocks

# 4096 functions of 128 inputs keep what the loop touches in a core's second-level cache.
_N_BLOCK = 4096
_ALL = np.uint64(2**64 - 1)


def lempel_ziv(bits: Patterns) -> Float[np.ndarray, " n_functions"]:
    """Lempel–Ziv complexity of every row, in bits.

    With L the number of inputs and N the number of words of ``n_words``:

    - C(x) = log₂ L for the rows of one class;
    - C(x) = log₂ L · [N(x) + N(reversed x)]/2 for all others.

    Source: Dingle, Camargo & Louis 2018, "Input–output maps are strongly biased towards simple
    outputs"; used for functions by Mingard et al. 2019 (arXiv 1910.00971).

    Args:
        bits: Patterns of two classes, or of up to 256. The order of the inputs matters.

    Raises:
        ValueError: ``bits`` is no matrix of classes.
    """
    patterns = as_patterns(bits)
    words = (n_words(patterns) + n_words(patterns[:, ::-1])) / 2
    constant = (patterns == patterns[:, :1]).all(axis=1)
    return np.log2(patterns.shape[1]) * np.where(constant, 1.0, words)


def n_words(bits: Patterns) -> Int[np.ndarray, " n_functions"]:
    """Number of words of the exhaustive history of every row.

    A word that begins at i is the shortest s[i … p] that does not occur in s[0 … p − 1], overlap with
    itself allowed; the next begins at p + 1. The last word may be incomplete, and counts. Thus
    0001101001000101 = 0·001·10·100·1000·101 has six. Source: Lempel & Ziv 1976, "On the complexity of
    finite sequences"; Kaspar & Schuster 1987 give the same count.

    A set of bits holds the places q < p where an occurrence of s[i … p] ends. One more character
    shifts it and keeps those that match, places ← (places << 1) & {q : s[q] = s[p]}; the word ends
    where none is left. That takes L²/64 operations on words of 64 bits for a row.

    Args:
        bits: Patterns of two classes, or of up to 256.

    Raises:
        ValueError: ``bits`` is no matrix of classes.
    """
    return by_blocks(_n_words, as_patterns(bits), n_block=_N_BLOCK)


def _n_words(patterns: UInt8[np.ndarray, "functions inputs"]) -> Int[np.ndarray, " functions"]:
    n_functions, n_inputs = patterns.shape
    n_planes = max(1, int(patterns.max(initial=0)).bit_length())
    planes = [_packed(patterns >> plane & 1) for plane in range(n_planes)]
    characters = np.ascontiguousarray(patterns.T)
    places = np.zeros_like(planes[0])
    fresh = np.full(n_functions, _ALL)
    count = np.zeros(n_functions, dtype=np.int64)
    for p in range(n_inputs):
        places = _shifted(places) | (fresh & _below(p, len(places)))
        for plane, packed in enumerate(planes):
            bit = (characters[p] >> plane & 1).astype(np.uint64)
            places &= packed ^ (bit - np.uint64(1))
        ended = np.bitwise_or.reduce(places, axis=0) == 0
        count += ended
        fresh = np.where(ended, _ALL, np.uint64(0))
    return count + (fresh == 0)


def _packed(plane: UInt8[np.ndarray, "functions inputs"]) -> UInt64[np.ndarray, "words functions"]:
    """Bit q of the words of a function is its entry q."""
    width = -plane.shape[1] % 64
    padded = np.pad(plane, ((0, 0), (0, width)))
    packed = np.packbits(padded, axis=1, bitorder="little").view("<u8").astype(np.uint64)
    return np.ascontiguousarray(packed.T)


def _shifted(
    places: UInt64[np.ndarray, "words functions"],
) -> UInt64[np.ndarray, "words functions"]:
    shifted = places << np.uint64(1)
    shifted[1:] |= places[:-1] >> np.uint64(63)
    return shifted


def _below(p: int, n_words: int) -> UInt64[np.ndarray, "words 1"]:
    """The places 0 … p − 1."""
    words = [((1 << p) - 1) >> 64 * word & (2**64 - 1) for word in range(n_words)]
    return np.array(words, dtype=np.uint64)[:, None]
