"""Cubes of {0, 1}ⁿ: the products of literals, and which of them are prime implicants.

A cube fixes some variables and leaves the others free. It is written as a digit a variable: 0 for a
negated literal, 1 for a plain one, 2 (``ABSENT``) for a free variable. Cubes are numbered by these
digits in base 3, the first variable first.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, UInt8

ABSENT = 2


@dataclass(frozen=True)
class Cubes:
    """All 3ⁿ cubes of n variables.

    Attributes:
        digits: How every variable occurs, shape (3ⁿ, n).
        contains: Which inputs lie in a cube, shape (3ⁿ, 2ⁿ).
    """

    digits: UInt8[np.ndarray, "cubes variables"]
    contains: Bool[np.ndarray, "cubes inputs"]


@lru_cache(maxsize=4)
def all_cubes(n_variables: int) -> Cubes:
    """The cubes of n variables; about 1.7 MB at n = 8."""
    digits = _digits(3, n_variables)
    inputs = _digits(2, n_variables)
    fits = (digits[:, None] == inputs[None]) | (digits[:, None] == ABSENT)
    return Cubes(digits, fits.all(axis=-1))


def prime_implicants(
    tables: Bool[np.ndarray, "functions ..."],
) -> Bool[np.ndarray, "functions cubes"]:
    """Which cubes are prime implicants of every function.

    An implicant is a cube on which the function is 1 throughout; it is prime if freeing no further
    variable leaves an implicant. Where a variable is free, the implicants are those with it 0 and
    with it 1: one conjunction a variable gives all of them (Quine 1952, McCluskey 1956).

    Args:
        tables: Truth tables with an axis of length 2 a variable.
    """
    implicant = tables
    for axis in range(1, tables.ndim):
        whole = implicant.all(axis=axis, keepdims=True)
        implicant = np.concatenate([implicant, whole], axis=axis)
    within_larger = np.zeros_like(implicant)
    for axis in range(1, tables.ndim):
        fixed = [slice(None)] * tables.ndim
        fixed[axis] = slice(0, 2)
        within_larger[tuple(fixed)] |= implicant.take([ABSENT], axis=axis)
    return (implicant & ~within_larger).reshape(len(tables), -1)


def _digits(base: int, n_digits: int) -> UInt8[np.ndarray, "numbers digits"]:
    return np.indices((base,) * n_digits, dtype=np.uint8).reshape(n_digits, -1).T
