"""The table of tests: the name of an operator → the calls that it is tried with, and their kinds."""

from .case import Case
from .constructors import CONSTRUCTORS
from .elementwise import ELEMENTWISE
from .indexing import INDEXING
from .layers import LAYERS
from .products import PRODUCTS
from .reductions import REDUCTIONS
from .shapes import SHAPES

CASES: dict[str, Case] = (
    ELEMENTWISE | PRODUCTS | REDUCTIONS | SHAPES | INDEXING | CONSTRUCTORS | LAYERS
)
