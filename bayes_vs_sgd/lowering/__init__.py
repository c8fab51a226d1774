"""From a torch module to a pure JAX function: its exported graph, run with a table of operators."""

from .graph import Lowered, lower
from .operators import OPERATORS
from .refusals import LoweringError

__all__ = ["OPERATORS", "Lowered", "LoweringError", "lower"]
