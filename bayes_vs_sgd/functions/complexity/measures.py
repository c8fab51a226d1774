"""The measures of simplicity by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from .expressions import expression_length
from .influence import noise_sensitivity, sensitivity
from .information import compressed_size, entropy
from .parsing import lempel_ziv
from .rows import Patterns


@dataclass(frozen=True)
class Measure:
    """A measure of the simplicity of functions.

    Attributes:
        function: From patterns (n_functions, n_inputs) to a number a function.
        description: What it measures, in one sentence.
        unit: Of its values.
        needs_truth_table: Whether the inputs must be all of {0, 1}ⁿ, in order.
        two_classes: Whether it is of two classes alone.
    """

    function: Callable[[Patterns], np.ndarray]
    description: str
    unit: str
    needs_truth_table: bool = False
    two_classes: bool = False


MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        "lempel_ziv": Measure(
            lempel_ziv,
            "Length of a description by words that occurred before, forwards and backwards.",
            "bits",
        ),
        "expression_length": Measure(
            expression_length,
            "Literals and operators of the shortest two-level Boolean expression.",
            "symbols",
            needs_truth_table=True,
            two_classes=True,
        ),
        "entropy": Measure(entropy, "Entropy of the shares of the classes.", "bits per input"),
        "compressed_size": Measure(compressed_size, "Size of the row after DEFLATE.", "bytes"),
        "sensitivity": Measure(
            sensitivity,
            "Mean number of bits of the input whose flip changes the class.",
            "bits of the input",
            needs_truth_table=True,
        ),
        "noise_sensitivity": Measure(
            noise_sensitivity,
            "Probability that flipping every bit of the input with probability 0.1 changes the class.",
            "probability",
            needs_truth_table=True,
        ),
    }
)


def measure(name: str, bits: Patterns) -> Float[np.ndarray, " n_functions"]:
    """Complexity of every function by the measure of this name, as floats.

    Args:
        name: A key of ``MEASURES``.
        bits: Patterns, one row a function.

    Raises:
        ValueError: There is no measure of this name, or it cannot take these patterns.
    """
    if name not in MEASURES:
        raise ValueError(f"measure={name!r} does not exist; pass one of {', '.join(MEASURES)}.")
    return MEASURES[name].function(bits).astype(np.float64)
