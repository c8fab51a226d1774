"""From a torch module to a pure JAX function: its exported graph, run with a table of operators."""

from .agreement import require_agreement
from .convolution import Window, convolve
from .graph import Lowered, lower
from .operators import OPERATORS, Operator
from .precision import double_precision
from .refusals import LoweringError
from .reuse import lower_once

__all__ = [
    "OPERATORS",
    "Lowered",
    "LoweringError",
    "Operator",
    "Window",
    "convolve",
    "double_precision",
    "lower",
    "lower_once",
    "require_agreement",
]
