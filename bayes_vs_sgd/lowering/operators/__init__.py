"""The table of operators: the name of an ATen operator → the same operation in JAX.

One entry an operator, with ATen's argument order and defaults; a file for every kind. Arguments that
place or lay out a tensor (``device``, ``memory_format``, …) are dropped before the call, and torch
dtypes arrive as NumPy dtypes. Where a derivative does not exist, an entry has the one PyTorch takes.
"""

from collections.abc import Callable
from typing import Any

from .activations import ACTIVATIONS
from .arithmetic import ARITHMETIC
from .attention import ATTENTION
from .constructors import CONSTRUCTORS
from .convolutions import CONVOLUTIONS
from .indexing import INDEXING
from .normalizations import NORMALIZATIONS
from .pooling import POOLING
from .products import PRODUCTS
from .reductions import REDUCTIONS
from .resampling import RESAMPLING
from .shapes import SHAPES

Operator = Callable[..., Any]

OPERATORS: dict[str, Operator] = (
    PRODUCTS
    | ARITHMETIC
    | ACTIVATIONS
    | REDUCTIONS
    | SHAPES
    | INDEXING
    | CONSTRUCTORS
    | CONVOLUTIONS
    | POOLING
    | RESAMPLING
    | NORMALIZATIONS
    | ATTENTION
)

# Arguments that say where or how a tensor lies, never what it holds.
LAYOUT_ARGUMENTS = frozenset(
    {"device", "layout", "memory_format", "non_blocking", "pin_memory", "implicit"}
)

__all__ = ["LAYOUT_ARGUMENTS", "OPERATORS", "Operator"]
