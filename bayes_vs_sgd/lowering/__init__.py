"""From a torch module to a pure JAX function: its exported graph, run with a table of operators."""

from .graph import Lowered, LoweringError, lower
from .operators import OPERATORS

__all__ = ["OPERATORS", "Lowered", "LoweringError", "lower"]
