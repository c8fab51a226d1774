"""Boolean functions that have a name, as truth tables."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from .boolean import bits, boolean_inputs

# Of 0 and 1 in rows of variables, the slowest-changing first, and a source of random numbers.
_Definition = Callable[[np.ndarray, np.random.Generator], np.ndarray]

_DEFINITIONS: Mapping[str, _Definition] = MappingProxyType(
    {
        "constant": lambda x, _: np.zeros(len(x)),
        "and_of_three": lambda x, _: x[:, :3].all(axis=1),
        "one_variable": lambda x, _: x[:, -2],
        "majority": lambda x, _: 2 * x.sum(axis=1) > x.shape[1],
        "xor_of_two": lambda x, _: x[:, :2].sum(axis=1) % 2,
        "parity_of_three": lambda x, _: x[:, :3].sum(axis=1) % 2,
        "parity": lambda x, _: x.sum(axis=1) % 2,
        "random": lambda x, rng: rng.integers(0, 2, len(x)),
    }
)
BOOLEAN_TARGETS = tuple(_DEFINITIONS)
_FEWEST_VARIABLES = 3


def truth_table(target: str, n_variables: int = 7, *, seed: int = 0) -> str:
    """The 2ⁿ bits of a Boolean function that is given by name; a string of bits stays what it is.

    With x₁ the slowest-changing of the variables x₁ … xₙ (``boolean``):

    - ``constant``: 0;
    - ``and_of_three``: x₁ ∧ x₂ ∧ x₃;
    - ``one_variable``: xₙ₋₁, which is 0011 repeated;
    - ``majority``: Σ xᵢ > n/2;
    - ``xor_of_two``: x₁ ⊕ x₂;
    - ``parity_of_three``: x₁ ⊕ x₂ ⊕ x₃;
    - ``parity``: x₁ ⊕ … ⊕ xₙ;
    - ``random``: every bit a fair coin, from ``seed``.

    Args:
        target: A name of ``BOOLEAN_TARGETS``, or 2ⁿ characters 0 or 1.
        n_variables: n of a function given by name, at least 3.
        seed: Of the random function.

    Raises:
        ValueError: The name is unknown, the bits are not 2ⁿ, or the variables too few or too many.
    """
    if target and not set(target) - {"0", "1"}:
        bits("target", target)
        return target
    if target not in _DEFINITIONS:
        raise ValueError(
            f"target={target!r} is neither a string of 0 and 1 nor one of {', '.join(BOOLEAN_TARGETS)}."
        )
    x = boolean_inputs(n_variables)
    if n_variables < _FEWEST_VARIABLES:
        raise ValueError(
            f"n_variables={n_variables} is too few for functions by name; pass {_FEWEST_VARIABLES} or more."
        )
    # A stream of its own: the same seed deals the training rows.
    values = _DEFINITIONS[target](x, np.random.default_rng([seed, *b"target"]))
    return "".join(map(str, np.asarray(values).astype(int)))
