"""How often a function changes when bits of its input change."""

import numpy as np
from jaxtyping import Float, UInt8

from ...checks import require_fraction
from .rows import Patterns, as_truth_tables, by_blocks

_N_BLOCK = 8192


def sensitivity(bits: Patterns) -> Float[np.ndarray, " n_functions"]:
    """Average sensitivity of every function: mean number of neighbours of another class.

    S(f) = 2⁻ⁿ Σ_x Σ_i 1[f(x) ≠ f(x with bit i flipped)], between 0 and n: 0 of a constant, 1 of a
    single variable, n of parity. It is the total influence, Σ_T |T|·f̂(T)² over the Fourier
    coefficients of a function with values ±1 (O'Donnell 2014, "Analysis of Boolean functions",
    section 2.3).

    Args:
        bits: Complete truth tables (n_functions, 2ⁿ) of two classes, or of up to 256.

    Raises:
        ValueError: ``bits`` is no matrix of classes, or a row no complete truth table.
    """
    return by_blocks(_sensitivity, as_truth_tables(bits), n_block=_N_BLOCK)


def noise_sensitivity(bits: Patterns, *, noise: float = 0.1) -> Float[np.ndarray, " n_functions"]:
    """Probability that noise on the input changes the class: P(f(x) ≠ f(y)).

    x is uniform on {0, 1}ⁿ, and y is x with every bit flipped on its own with probability
    δ = ``noise``. With values ±1 it is ½ − ½ Σ_T (1 − 2δ)^|T|·f̂(T)² (O'Donnell 2014, theorem 2.49),
    and δ·S(f) to first order in δ.

    Args:
        bits: Complete truth tables (n_functions, 2ⁿ) of two classes, or of up to 256.
        noise: δ, a fraction.

    Raises:
        ValueError: ``noise`` is no fraction, ``bits`` no matrix of classes, or a row no complete
            truth table.
    """
    require_fraction("noise", noise)
    tables = as_truth_tables(bits)
    return by_blocks(lambda block: _noise_sensitivity(block, noise), tables, n_block=_N_BLOCK)


def _sensitivity(tables: UInt8[np.ndarray, "functions ..."]) -> Float[np.ndarray, " f"]:
    variables = range(1, tables.ndim)
    changes = [(tables != np.flip(tables, axis=i)).mean(axis=tuple(variables)) for i in variables]
    return np.sum(changes, axis=0)


def _noise_sensitivity(
    tables: UInt8[np.ndarray, "functions ..."], noise: float
) -> Float[np.ndarray, " f"]:
    variables = tuple(range(1, tables.ndim))
    same = np.zeros(len(tables))
    for c in range(int(tables.max(initial=0)) + 1):
        inside = tables == c
        reached = inside.astype(np.float64)
        for i in variables:
            reached = (1 - noise) * reached + noise * np.flip(reached, axis=i)
        same += (inside * reached).mean(axis=variables)
    return 1 - same
