"""The table of tests: the name of an operator → the calls that it is tried with, and their kinds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from .calls import Call, Shape, Source, call

Strategy = Callable[[Source, str], Call]


@dataclass(frozen=True)
class Case:
    """How an operator is tried.

    Attributes:
        strategy: Draws its calls with tensors of one kind.
        kinds: The kinds that PyTorch takes: float, int, bool.
        reference: What stands for it in PyTorch, if it has no derivative there.
        tolerance: Of its derivative, where PyTorch's own is that inexact.
    """

    strategy: Strategy
    kinds: Sequence[str]
    reference: Callable[..., Any] | None = None
    tolerance: float = 1e-10


def _every(names: str, strategy: Strategy, kinds: str = "float", overload: str = "default") -> dict:
    case = Case(strategy, kinds.split())
    return {f"aten.{name}.{overload}": case for name in names.split()}


# Elementwise


def _unary(low: float = -2, high: float = 2) -> Strategy:
    return lambda s, kind: call(s.tensor(s.pick((2, 3), ()), kind, low, high))


def _broadcast(s: Source) -> tuple[Shape, Shape]:
    return s.pick(((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((2, 3), ()), ((3,), (2, 3)))


def _binary(s: Source, kind: str) -> Call:
    first, second = _broadcast(s)
    other = s.pick("float", "int") if kind == "float" else kind
    return call(s.tensor(first, kind), s.nonzero(second, other))


def _positive_binary(s: Source, kind: str) -> Call:
    first, second = _broadcast(s)
    return call(s.tensor(first, kind, 0.2, 3), s.tensor(second, kind, 0, 3))


def _with_scalar(s: Source, kind: str) -> Call:
    scalar = {"float": s.pick(0.7, -1.3, 2), "int": s.pick(2, -3, 1.5), "bool": True}[kind]
    return call(s.tensor((2, 3), kind), scalar)


def _bits_with_scalar(s: Source, kind: str) -> Call:
    return call(s.tensor((2, 3), kind), 3 if kind == "int" else True)


def _scaled(strategy: Strategy) -> Strategy:
    def scaled(s: Source, kind: str) -> Call:
        plain = strategy(s, kind)
        alpha = {"float": -0.7, "int": 2, "bool": True}[kind]
        return plain if s.flag() else call(*plain.args, alpha=alpha)

    return scaled


def _rounded(strategy: Strategy) -> Strategy:
    def rounded(s: Source, kind: str) -> Call:
        return call(*strategy(s, kind).args, rounding_mode=s.pick("floor", "trunc", None))

    return rounded


def _power(s: Source, kind: str) -> Call:
    if kind == "int":
        return call(s.ints((2, 3), 0, 3), s.pick(2, 2.0, 0, 0.5))
    if s.flag():
        return call(s.floats((2, 3)), s.pick(2, 3.0, 0, 1, -1.0, -2))
    return call(s.floats((2, 3), 0.2, 2), s.pick(0.5, -0.5, 1.7))


def _clamp(s: Source, kind: str) -> Call:
    low, high = (-1, 1) if kind == "int" else (-0.8, 0.9)
    return call(s.tensor((2, 3), kind), *s.pick((low,), (None, high), (low, high), (high, low)))


def _clamp_tensor(s: Source, kind: str) -> Call:
    low, high = s.tensor((3,), kind), s.tensor((2, 1), kind)
    return call(s.tensor((2, 3), kind), *s.pick((low,), (None, high), (low, high)))


def _elu(s: Source, kind: str) -> Call:
    return call(s.floats((2, 3)), *s.pick((), (0.7,), (1.67, 1.05), (1.2, 0.9, 0.8)))


def _softplus(s: Source, kind: str) -> Call:
    return call(s.floats((2, 3), -30, 30), *s.pick((), (2.0,), (0.5, 5)))


def _softmax(s: Source, kind: str) -> Call:
    shape = s.shape()
    return call(s.floats(shape), s.axis(shape), False)


def _cast(s: Source, kind: str) -> Call:
    dtype = s.pick(torch.float64, torch.int64, torch.bool, None)
    return call(s.tensor((2, 3), kind), dtype=dtype)


ELEMENTWISE = {
    **_every("alias clone detach isfinite isinf isnan lift_fresh_copy logical_not sign", _unary(), "float int bool"),
    **_every("atan asinh cos erf erfc exp exp2 expm1 sigmoid sin sinh cosh tanh", _unary(), "float int bool"),
    **_every("abs ceil floor neg relu round trunc", _unary(), "float int"),
    **_every("acos asin atanh erfinv", _unary(-0.9, 0.9), "float int bool"),
    **_every("tan", _unary(-1.2, 1.2), "float int bool"),
    **_every("acosh", _unary(1.1, 3), "float int"),
    **_every("log log10 log1p log2 reciprocal rsqrt sqrt", _unary(0.2, 3), "float int bool"),
    **_every("lgamma", _unary(0.2, 4), "float int"),
    "aten.digamma.default": Case(_unary(0.2, 4), ["float", "int"], tolerance=1e-8),
    **_every("bitwise_not", _unary(), "int bool"),
    **_every("silu", _unary()),
    **_every("add", _scaled(_binary), "float int bool", "Tensor"),
    **_every("add", _scaled(_with_scalar), "float int bool", "Scalar"),
    **_every("sub", _scaled(_binary), "float int", "Tensor"),
    **_every("sub", _scaled(_with_scalar), "float int", "Scalar"),
    **_every("mul div eq ne lt le gt ge", _binary, "float int bool", "Tensor"),
    **_every("mul div eq ne lt le gt ge", _with_scalar, "float int bool", "Scalar"),
    **_every("remainder fmod", _binary, "float int", "Tensor"),
    **_every("remainder fmod", _with_scalar, "float int", "Scalar"),
    **_every("div", _rounded(_binary), "float int", "Tensor_mode"),
    **_every("div", _rounded(_with_scalar), "float int", "Scalar_mode"),
    **_every("bitwise_and bitwise_or bitwise_xor", _binary, "int bool", "Tensor"),
    **_every("bitwise_and bitwise_or bitwise_xor", _bits_with_scalar, "int bool", "Scalar"),
    **_every("logical_and logical_or logical_xor maximum minimum", _binary, "float int bool"),
    **_every("atan2", _binary, "float int"),
    **_every("pow", _power, "float int", "Tensor_Scalar"),
    **_every("pow", _positive_binary, "float int", "Tensor_Tensor"),
    **_every("pow", lambda s, kind: call(s.pick(2, 0.5) if kind == "float" else 2, s.tensor((2, 3), kind, 0, 3)), "float int", "Scalar"),
    **_every("clamp", _clamp, "float int"),
    **_every("clamp", _clamp_tensor, "float int", "Tensor"),
    **_every("gelu", lambda s, kind: call(s.floats((2, 3)), approximate=s.pick("none", "tanh"))),
    **_every("elu", _elu),
    **_every("softplus", _softplus),
    **_every("leaky_relu", lambda s, kind: call(s.floats((2, 3)), *s.pick((), (0.2,), (-0.1,)))),
    **_every("hardsigmoid", _unary(-5, 5)),
    **_every("hardtanh", lambda s, kind: call(s.floats((2, 3)), *s.pick((), (-0.5, 0.8), (0, 6.0)))),
    **_every("_softmax _log_softmax", _softmax),
    **_every("_to_copy", _cast, "float int bool"),
}  # fmt: skip


# Products


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
    **_every("mm", _product(((2, 3), (3, 4)), ((1, 3), (3, 2))), "float int"),
    **_every("bmm", _product(((2, 3, 4), (2, 4, 2))), "float int"),
    **_every("mv", _product(((2, 3), (3,))), "float int"),
    **_every("dot", _product(((3,), (3,))), "float int"),
    **_every("addmm", _with_bias((2, 3), (3, 4), (4,), (2, 4), (2, 1), ()), "float int"),
    **_every("baddbmm", _with_bias((2, 3, 4), (2, 4, 2), (2, 3, 2), (3, 1), (2,)), "float int"),
}


# Reductions


def _over_axes(s: Source, kind: str) -> Call:
    shape = s.shape()
    return call(s.tensor(shape, kind), s.axes(shape), s.flag())


def _over_axis(s: Source, kind: str) -> Call:
    shape = s.shape()
    return call(s.tensor(shape, kind), s.axis(shape), *s.pick((), (True,)))


def _over_axes_or_all(s: Source, kind: str) -> Call:
    shape = s.shape()
    return call(s.tensor(shape, kind), s.pick(s.axes(shape), [], None), s.flag())


def _over_axis_or_all(s: Source, kind: str) -> Call:
    shape = s.shape()
    return call(s.distinct(shape, kind), s.pick(s.axis(shape), None), s.flag())


def _in_type(strategy: Strategy) -> Strategy:
    def reduction(s: Source, kind: str) -> Call:
        return call(*strategy(s, kind).args, dtype=s.pick(None, torch.float64))

    return reduction


def _running(s: Source, kind: str) -> Call:
    shape = s.shape()
    return call(s.tensor(shape, kind), s.axis(shape), dtype=s.pick(None, torch.float64))


def _variance(s: Source, kind: str) -> Call:
    shape = s.pick((3,), (2, 3), (2, 3, 4))
    # Not [], where PyTorch's own derivative is wrong.
    dim = s.pick(None, [-1], list(range(len(shape))))
    return call(s.floats(shape), dim, correction=s.pick(None, 0, 1, 0.5), keepdim=s.flag())


REDUCTIONS = {
    **_every("sum", _in_type(_over_axes_or_all), "float int bool", "dim_IntList"),
    **_every("sum prod", _in_type(_unary()), "float int bool"),
    **_every("mean", _in_type(_over_axes_or_all), overload="dim"),
    **_every("mean", _in_type(_unary())),
    **_every("prod", _in_type(_over_axis), "float int bool", "dim_int"),
    **_every("cumsum cumprod", _running, "float int bool"),
    **_every("amax amin", _over_axes, "float int bool"),
    **_every("max min", _unary(), "float int bool"),
    **_every("max min", _over_axis, "float int bool", "dim"),
    **_every("any all", _unary(-1, 1), "float int bool"),
    **_every("any all", _over_axis, "float int bool", "dim"),
    **_every("any all", _over_axes_or_all, "float int bool", "dims"),
    **_every("argmax argmin", _over_axis_or_all, "float int"),
    **_every("var", _variance, overload="correction"),
}


# Shapes


def _of_shape(shape: Shape, *settings: tuple[Any, ...]) -> Strategy:
    return lambda s, kind: call(s.tensor(shape, kind), *s.pick(*settings))


def _several(s: Source, kind: str) -> list[np.ndarray]:
    return [s.tensor((2, 3), kind) for _ in range(s.pick(1, 2, 3))]


def _concatenated(s: Source, kind: str) -> Call:
    empty = [np.zeros(0)] if kind == "float" and s.flag() else []
    return call(empty + _several(s, kind), *s.pick((), (1,), (-1,)))


def _slice_scattered(s: Source, kind: str) -> Call:
    (rows, columns), settings = s.pick(((2, 3), (0, 1, 3)), ((4, 2), (1, 0, None, 2)))
    return call(s.tensor((4, 3), kind), s.tensor((rows, columns), kind), *settings)


def _select_scattered(s: Source, kind: str) -> Call:
    shape, settings = s.pick(((3,), (0, -1)), ((4,), (1, 2)))
    return call(s.tensor((4, 3), kind), s.tensor(shape, kind), *settings)


def _expanded(s: Source, kind: str) -> Call:
    shape, size = s.pick(((3, 1), (3, 4)), ((3, 1), (2, -1, 4)), ((3,), (2, 3)), ((), (2,)))
    return call(s.tensor(shape, kind), list(size))


_ALL = "float int bool"
_VIEWS = (([6, 4],), ([-1],), ([4, -1, 1],))
_SLICES = (
    (0, 1, 3), (1, 0, 2**63 - 1, 2), (-1, -2), (0, None, -1), (1, 5, 9), (0, 3, 1),
)  # fmt: skip
SHAPES = {
    **_every("view reshape _unsafe_view", _of_shape((2, 3, 4), *_VIEWS), _ALL),
    **_every("permute", _of_shape((2, 3, 4), ([2, 0, 1],), ([0, -1, 1],)), _ALL),
    **_every("transpose", _of_shape((2, 3, 4), (0, 1), (-1, 1), (2, 2)), _ALL, "int"),
    **_every("unsqueeze", _of_shape((2, 3), (0,), (-1,), (2,), (-3,)), _ALL),
    **_every("squeeze", _of_shape((1, 3, 1), (0,), (1,), (-1,)), _ALL, "dim"),
    **_every("squeeze", _of_shape((1, 3, 1), ([0, 1],), ([-1, 0],), ([],)), _ALL, "dims"),
    **_every("expand", _expanded, _ALL),
    **_every("repeat", _of_shape((2, 3), ([1, 2],), ([2, 1, 3],), ([0, 1],)), _ALL),
    **_every("flip", _of_shape((2, 3), ([0],), ([-1, 0],), ([],)), _ALL),
    **_every("cat", _concatenated, _ALL),
    **_every("stack", lambda s, kind: call(_several(s, kind), *s.pick((), (1,), (-1,))), _ALL),
    **_every("slice", _of_shape((4, 3), *_SLICES), _ALL, "Tensor"),
    **_every("slice_scatter", _slice_scattered, _ALL),
    **_every("select", _of_shape((4, 3), (0, 1), (-1, -1), (1, 0)), _ALL, "int"),
    **_every("select_scatter", _select_scattered, _ALL),
    **_every("split_with_sizes", _of_shape((5, 4), ([2, 3],), ([1, 3], 1), ([5],), ([2, 0, 2], -1)), _ALL),
    **_every("unbind", _of_shape((2, 3), (), (1,), (-2,)), _ALL, "int"),
    **_every("diagonal", _of_shape((3, 4, 2), (), (1,), (-1, 0, 2), (0, -1, 1)), _ALL),
    **_every("constant_pad_nd", _of_shape((3, 4), ([1, 2],), ([0, 1, 2, 0], 1), ([-1, 1],), ([-1, -1, 0, 2], 1)), _ALL),
    **_every("sym_size", _of_shape((3, 4), (0,), (-1,)), _ALL, "int"),
}  # fmt: skip


# Indices


def _where(s: Source, kind: str) -> Call:
    first, second = _broadcast(s)
    other = s.pick("float", "int") if kind == "float" else kind
    return call(s.bools((2, 3)), s.tensor(first, kind), s.tensor(second, other))


def _indexed(s: Source, kind: str) -> Call:
    one, two, column = s.ints((2,), -3, 3), s.ints((3, 1), 0, 3), s.ints((2,), 0, 2)
    indices = s.pick(
        [one], [two], [None, column], [one, column], [two, column], [column, None, one]
    )
    return call(s.tensor((4, 3, 4), kind), indices)


def _put(s: Source, kind: str) -> Call:
    if s.flag():
        indices, shape = s.pick(
            ([s.bools((4, 3))], ()), ([s.bools((4,))], (3,)), ([None, s.bools((3,))], ()),
        )  # fmt: skip
        return call(s.tensor((4, 3), kind), indices, s.tensor(shape, kind))
    once, twice = s.rng.permutation(4)[:2], np.array([1, 3, 1])
    index, accumulate = (twice, True) if s.flag() and kind != "bool" else (once, False)
    shape, indices = s.pick(
        ((len(index), 3), [index]), ((3,), [index]), ((), [index, np.array(2)]), ((4, 1), [None, np.array([1])]),
    )  # fmt: skip
    return call(s.tensor((4, 3), kind), indices, s.tensor(shape, kind), accumulate)


def _gathered(s: Source, kind: str) -> Call:
    dim, shape = s.pick((0, (2, 3)), (1, (4, 5)), (-1, (2, 2)))
    return call(s.tensor((4, 3), kind), dim, s.ints(shape, 0, 2))


def _places(s: Source) -> tuple[int, np.ndarray]:
    """An axis of (4, 3), and places along it that are pairwise different."""
    dim, shape = s.pick((0, (2, 3)), (1, (4, 2)), (-1, (3, 3)))
    orders = np.argsort(s.rng.random((4, 3)), axis=dim)
    return dim, np.ascontiguousarray(orders[: shape[0], : shape[1]])


def _scattered(s: Source, kind: str) -> Call:
    dim, index = _places(s)
    # PyTorch has no derivative where the source is larger than the index.
    shape = index.shape if kind == "float" else (4, 3)
    return call(s.tensor((4, 3), kind), dim, index, s.tensor(shape, kind))


def _scattered_sum(s: Source, kind: str) -> Call:
    x, dim, index = _gathered(s, kind).args
    return call(x, dim, index, s.tensor(index.shape if kind == "float" else (4, 5), kind))


def _scattered_value(s: Source, kind: str) -> Call:
    return call(s.tensor((4, 3), kind), *_places(s), 0.5 if kind == "float" else 1)


def _embedded(s: Source, kind: str) -> Call:
    return call(
        s.floats((4, 2)), s.ints(s.pick((3,), (2, 3)), 0, 3), *s.pick((), (1,), (0,), (-1,))
    )


def _sorted(s: Source, kind: str) -> Call:
    shape = s.shape()
    return call(s.distinct(shape, kind), s.axis(shape), s.flag())


def _top(s: Source, kind: str) -> Call:
    shape = s.pick((3,), (4, 3))
    return call(s.distinct(shape, kind), s.pick(1, 2, 3), s.axis(shape), s.flag(), True)


INDEXING = {
    **_every("where", _where, _ALL, "self"),
    **_every("index", _indexed, _ALL, "Tensor"),
    **_every("index_put", _put, _ALL),
    **_every("index_select", lambda s, kind: call(s.tensor((4, 3), kind), s.pick(0, 1, -1), s.ints((2,), 0, 2)), _ALL),
    **_every("gather", _gathered, _ALL),
    **_every("scatter", _scattered, _ALL, "src"),
    **_every("scatter", _scattered_value, _ALL, "value"),
    **_every("scatter_add", _scattered_sum, "float int"),
    **_every("embedding", _embedded),
    **_every("sort", _sorted, "float int"),
    **_every("topk", _top, "float int"),
}  # fmt: skip


# Constructors


def _filled_like(s: Source, kind: str) -> Call:
    value = {"float": 0.5, "int": 3, "bool": True}[kind]
    return call(s.tensor(s.shape(), kind), value)


def _copied(s: Source, kind: str) -> Call:
    return call(s.tensor((2, 3), kind), s.tensor(s.pick((2, 3), (3,), ()), s.pick("float", "int")))


_TYPES = (torch.float64, torch.int64, None)
CONSTRUCTORS = {
    **_every("full", lambda s, kind: call([2, 3], s.pick(0.5, 2, True), dtype=s.pick(*_TYPES))),
    **_every("full_like", lambda s, kind: call(s.tensor((2, 3), kind), s.pick(0, 2), dtype=s.pick(*_TYPES)), _ALL),
    **_every("scalar_tensor", lambda s, kind: call(s.pick(0.5, 2), dtype=s.pick(*_TYPES))),
    **_every("arange", lambda s, kind: call(*s.pick((0, 5), (1, 8, 3), (0.5, 3.0), (5, 0, -2)), dtype=s.pick(*_TYPES)), overload="start_step"),
    "aten.copy.default": Case(_copied, _ALL.split(), lambda x, source: x.clone().copy_(source)),
    **_every("fill", _filled_like, _ALL, "Scalar"),
    **_every("_assert_tensor_metadata", _of_shape((2, 3), ([2, 3],), (None, [3, 1]))),
    **_every("_assert_async", lambda s, kind: call(np.array(True), "never"), overload="msg"),
    **_every("_assert_scalar", lambda s, kind: call(True, "never")),
}  # fmt: skip


# Layers


def _per_axis(s: Source, n_axes: int, *options: int) -> list[int]:
    return [s.pick(*options) for _ in range(n_axes)]


def _convolution(s: Source, kind: str) -> Call:
    n_axes, transposed, groups = s.pick(1, 2, 3), s.flag(), s.pick(1, 2)
    taps = _per_axis(s, n_axes, 1, 2, 3) if n_axes < 3 else [2, 1, 3]
    kernel = s.floats((4, 2 // groups, *taps) if transposed else (4, 4 // groups, *taps))
    n_out = 2 if transposed else 4
    stride = _per_axis(s, n_axes, 1, 2)
    extra = [step - 1 if transposed and s.flag() else 0 for step in stride]
    return call(
        s.floats((2, 4, *_per_axis(s, n_axes, 5, 6))),
        kernel,
        s.maybe(s.floats((n_out,))),
        stride,
        _per_axis(s, n_axes, 0, 1),
        _per_axis(s, n_axes, 1, 2),
        transposed,
        extra,
        groups,
    )


def _image(s: Source, *space: int) -> np.ndarray:
    """With or without a batch axis; as it comes, or as it leaves a relu, with many equal entries."""
    image = s.floats((*s.pick((2,), (2, 1)), *space))
    return np.maximum(image, 0) if s.flag() else image


def _window(s: Source, n_axes: int) -> list[Any]:
    return [
        _per_axis(s, n_axes, 2, 3),
        s.pick([], [2], _per_axis(s, n_axes, 1, 2)),
        s.pick([0], _per_axis(s, n_axes, 0, 1)),
    ]


def _max_pool(n_axes: int) -> Strategy:
    def pool(s: Source, kind: str) -> Call:
        image = _image(s, *_per_axis(s, n_axes, 5, 6))
        return call(image, *_window(s, n_axes), s.pick([1], [2]), s.flag())

    return pool


def _average_pool(n_axes: int) -> Strategy:
    def pool(s: Source, kind: str) -> Call:
        settings = [s.flag(), s.flag(), *([s.pick(None, 3)] if n_axes > 1 else [])]
        return call(_image(s, *_per_axis(s, n_axes, 5, 6)), *_window(s, n_axes), *settings)

    return pool


def _adaptive_pool(n_axes: int) -> Strategy:
    def pool(s: Source, kind: str) -> Call:
        return call(_image(s, *_per_axis(s, n_axes, 3, 5)), _per_axis(s, n_axes, 1, 2, 3, 4))

    return pool


def _resampled(n_axes: int, *, linear: bool) -> Strategy:
    def resampled(s: Source, kind: str) -> Call:
        image = s.floats((2, 1, *_per_axis(s, n_axes, 2, 5)))
        corners = [s.flag()] if linear else []
        if s.flag():
            return call(image, _per_axis(s, n_axes, 1, 3, 5, 7), *corners, None)
        return call(image, None, *corners, [s.pick(0.5, 1.5, 2.0) for _ in range(n_axes)])

    return resampled


def _affine(s: Source, shape: Shape) -> list[Any]:
    return s.pick([s.floats(shape), s.floats(shape)], [s.floats(shape), None], [None, None])


def _layer_norm(s: Source, kind: str) -> Call:
    shape = s.pick((4,), (3, 4))
    return call(s.floats((2, 3, 4)), list(shape), *_affine(s, shape), s.pick(1e-5, 0.1))


def _group_norm(s: Source, kind: str) -> Call:
    space = s.pick((), (5,), (2, 3))
    n = int(np.prod(space))
    eps = s.pick(1e-5, 0.1)
    return call(
        s.floats((2, 4, *space)), *_affine(s, (4,)), 2, 4, n, s.pick(1, 2, 4) if n > 1 else 2, eps
    )


def _instance_norm(s: Source, kind: str) -> Call:
    return call(
        s.floats((2, 3, *s.pick((5,), (2, 3)))), *_affine(s, (3,)), True, 0.1, s.pick(1e-5, 0.1)
    )


def _fixed_norm(s: Source, kind: str) -> Call:
    x = s.floats((2, 3, *s.pick((), (4,), (2, 3))))
    return call(
        x, *_affine(s, (3,)), s.floats((3,)), s.floats((3,), 0.2, 2), 0.1, s.pick(1e-5, 0.1)
    )


def _fixed_norm_in_words(
    x: torch.Tensor, weight: Any, bias: Any, mean: Any, variance: Any, momentum: float, eps: float
) -> tuple[torch.Tensor, ...]:
    shape = (3, *(1,) * (x.ndim - 2))
    y = (x - mean.reshape(shape)) / (variance.reshape(shape) + eps).sqrt()
    y = y if weight is None else y * weight.reshape(shape)
    return y if bias is None else y + bias.reshape(shape), torch.zeros(0), torch.zeros(0)


def _attention(s: Source, kind: str) -> Call:
    heads, key_heads = s.pick(((2, 2), (2, 2)), ((2, 4), (2, 2)), ((), ()))
    n_queries, n_keys = s.pick((3, 3), (2, 4), (4, 2))
    query = s.floats((*heads, n_queries, 4))
    key, value = s.floats((*key_heads, n_keys, 4)), s.floats((*key_heads, n_keys, 3))
    seen = s.bools((n_queries, n_keys))
    mask, causal = s.pick(
        (None, False), (None, True), (seen, False), (s.floats(seen.shape), False),
        (np.where(seen, 0.5, -np.inf), False), (s.bools((1, n_keys)), False),
    )  # fmt: skip
    settings = {"scale": s.pick(None, 0.3), "enable_gqa": heads != key_heads}
    return call(query, key, value, mask, 0.0, causal, **settings)


LAYERS = {
    **_every("convolution", _convolution),
    **_every("max_pool2d_with_indices", _max_pool(2)),
    **_every("max_pool3d_with_indices", _max_pool(3)),
    **_every("avg_pool1d", _average_pool(1)),
    **_every("avg_pool2d", _average_pool(2)),
    **_every("avg_pool3d", _average_pool(3)),
    **_every("adaptive_avg_pool1d", _adaptive_pool(1)),
    **_every("_adaptive_avg_pool2d adaptive_max_pool2d", _adaptive_pool(2)),
    **_every("_adaptive_avg_pool3d adaptive_max_pool3d", _adaptive_pool(3)),
    **_every("upsample_nearest1d", _resampled(1, linear=False), overload="vec"),
    **_every("upsample_nearest2d", _resampled(2, linear=False), overload="vec"),
    **_every("upsample_nearest3d", _resampled(3, linear=False), overload="vec"),
    **_every("upsample_linear1d", _resampled(1, linear=True), overload="vec"),
    **_every("upsample_bilinear2d", _resampled(2, linear=True), overload="vec"),
    **_every("upsample_trilinear3d", _resampled(3, linear=True), overload="vec"),
    **_every("native_layer_norm", _layer_norm),
    **_every("native_group_norm", _group_norm),
    **_every("_native_batch_norm_legit", _instance_norm, overload="no_stats"),
    "aten._native_batch_norm_legit_no_training.default": Case(
        _fixed_norm, ["float"], _fixed_norm_in_words
    ),
    **_every("scaled_dot_product_attention", _attention),
}

CASES: dict[str, Case] = (
    ELEMENTWISE | PRODUCTS | REDUCTIONS | SHAPES | INDEXING | CONSTRUCTORS | LAYERS
)
