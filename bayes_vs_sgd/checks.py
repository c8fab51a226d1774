"""The checks of arguments that many settings share, each a sentence with the mend."""

import numpy as np


def require_count(name: str, value: int, least: int = 1) -> None:
    """Refuse a count that is no integer, of Python or NumPy, or too small.

    Raises:
        ValueError: ``value`` is no integer of at least ``least``.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name}={value!r} is not possible; pass an integer of at least {least}.")


def require_positive(name: str, value: float) -> None:
    """Refuse a number that is not positive and finite.

    Raises:
        ValueError: ``value`` is zero, negative, infinite or NaN.
    """
    if not 0 < value < float("inf"):
        raise ValueError(f"{name}={value} is not possible; pass a positive number.")


def require_fraction(name: str, value: float) -> None:
    """Refuse a number outside [0, 1].

    Raises:
        ValueError: ``value`` is no fraction.
    """
    if not 0 <= value <= 1:
        raise ValueError(f"{name}={value} is not possible; pass a fraction between 0 and 1.")


def human_bytes(n: float) -> str:
    """A number of bytes with the unit that suits it, such as ``3.2 GB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n < 1000:
            return f"{n:.0f} {unit}" if unit == "bytes" else f"{n:.1f} {unit}"
        n /= 1000
    return f"{n:.1f} TB"


def require_probability(name: str, value: float, usual: float) -> None:
    """Refuse a number outside (0, 1).

    Raises:
        ValueError: ``value`` is no probability that can be aimed at.
    """
    if not 0 < value < 1:
        raise ValueError(f"{name}={value} is no probability between 0 and 1; {usual} is usual.")
