"""Patterns of functions: what a row is, its checks, and work in blocks of rows.

A pattern is the row of classes that a function gives to a fixed list of inputs. It is a complete
truth table where the inputs are all of {0, 1}ⁿ in the order of the numbers that their digits spell:
entry i belongs to the input whose binary digits spell i, so the first variable changes slowest.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Integer, Shaped, UInt8

Patterns = Bool[np.ndarray, "n_functions n_inputs"] | Integer[np.ndarray, "n_functions n_inputs"]


def as_patterns(bits: Patterns, *, n_classes: int = 256) -> UInt8[np.ndarray, "functions inputs"]:
    """The rows as bytes.

    Args:
        bits: Classes 0 … n_classes − 1, Boolean or integer, one row a function.
        n_classes: The most classes that the caller can measure.

    Raises:
        ValueError: ``bits`` is no matrix of such classes, or has no inputs.
    """
    bits = np.asarray(bits)
    if bits.ndim != 2 or bits.shape[1] == 0:
        raise ValueError(
            f"bits has the shape {bits.shape}; pass (n_functions, n_inputs) with at least one input, "
            "bits[None] for a single function."
        )
    if bits.dtype != np.bool_ and not np.issubdtype(bits.dtype, np.integer):
        raise ValueError(f"bits is {bits.dtype}; pass Boolean or integer classes.")
    if bits.size and (bits.min() < 0 or bits.max() >= n_classes):
        raise ValueError(
            f"bits has classes from {bits.min()} to {bits.max()}; this measure takes 0…{n_classes - 1}."
        )
    return bits.astype(np.uint8, copy=False)


def as_truth_tables(bits: Patterns, *, n_classes: int = 256) -> UInt8[np.ndarray, "functions ..."]:
    """The rows as bytes with an axis of length 2 for every variable, the first variable first.

    Raises:
        ValueError: As ``as_patterns``, or the number of inputs is no power of two from 2 on.
    """
    patterns = as_patterns(bits, n_classes=n_classes)
    n_functions, n_inputs = patterns.shape
    n_variables = n_inputs.bit_length() - 1
    if n_inputs != 2**n_variables or n_inputs == 1:
        raise ValueError(
            f"bits has {n_inputs} inputs; a complete truth table of n variables has 2ⁿ of them, n ≥ 1."
        )
    return patterns.reshape(n_functions, *(2,) * n_variables)


def by_blocks(
    measure: Callable[[np.ndarray], np.ndarray],
    rows: Shaped[np.ndarray, "functions ..."],
    *,
    n_block: int,
) -> Shaped[np.ndarray, "functions ..."]:
    """``measure(rows)``, computed ``n_block`` rows at a time to bound the memory it takes."""
    starts = range(0, max(1, len(rows)), n_block)
    return np.concatenate([measure(rows[start : start + n_block]) for start in starts])
