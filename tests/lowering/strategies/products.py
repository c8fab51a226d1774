"""Matrix products."""

from ..calls import Call, Shape, Source, call
from .case import Strategy, every


def _product(*shapes: tuple[Shape, Shape]) -> Strategy:
    def product(s: Source, kind: str) -> Call:
        return call(*(s.tensor(shape, kind) for shape in s.pick(*shapes)))

    return product


def _with_bias(left: Shape, right: Shape, *biases: Shape) -> Strategy:
    def product(s: Source, kind: str) -> Call:
        factors = {} if s.flag() else {"beta": 2, "alpha": -1}
        if kind == "float" and s.flag():
            factors = {"beta": 0.5, "alpha": 1.5}
        bias = s.tensor(s.pick(*biases), kind)
        return call(bias, s.tensor(left, kind), s.tensor(right, kind), **factors)

    return product


PRODUCTS = {
    **every("mm", _product(((2, 3), (3, 4)), ((1, 3), (3, 2))), "float int"),
    **every("bmm", _product(((2, 3, 4), (2, 4, 2))), "float int"),
    **every("mv", _product(((2, 3), (3,))), "float int"),
    **every("dot", _product(((3,), (3,))), "float int"),
    **every("addmm", _with_bias((2, 3), (3, 4), (4,), (2, 4), (2, 1), ()), "float int"),
    **every("baddbmm", _with_bias((2, 3, 4), (2, 4, 2), (2, 3, 2), (3, 1), (2,)), "float int"),
}
