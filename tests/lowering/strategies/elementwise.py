"""Arithmetic, comparisons, logic and activations."""

import torch

from ..calls import Call, Source, call
from .case import ALL, Case, Strategy, broadcast, every, unary


def _binary(s: Source, kind: str) -> Call:
    first, second = broadcast(s)
    other = s.pick("float", "int") if kind == "float" else kind
    return call(s.tensor(first, kind), s.nonzero(second, other))


def _positive_binary(s: Source, kind: str) -> Call:
    first, second = broadcast(s)
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
    **every("alias clone detach isfinite isinf isnan lift_fresh_copy logical_not sign", unary(), ALL),
    **every("atan asinh cos erf erfc exp exp2 expm1 sigmoid sin sinh cosh tanh", unary(), ALL),
    **every("abs ceil floor neg relu round trunc", unary(), "float int"),
    **every("acos asin atanh erfinv", unary(-0.9, 0.9), ALL),
    **every("tan", unary(-1.2, 1.2), ALL),
    **every("acosh", unary(1.1, 3), "float int"),
    **every("log log10 log1p log2 reciprocal rsqrt sqrt", unary(0.2, 3), ALL),
    **every("lgamma", unary(0.2, 4), "float int"),
    "aten.digamma.default": Case(unary(0.2, 4), ["float", "int"], tolerance=1e-8),
    **every("bitwise_not", unary(), "int bool"),
    **every("silu", unary()),
    **every("add", _scaled(_binary), ALL, "Tensor"),
    **every("add", _scaled(_with_scalar), ALL, "Scalar"),
    **every("sub", _scaled(_binary), "float int", "Tensor"),
    **every("sub", _scaled(_with_scalar), "float int", "Scalar"),
    **every("mul div eq ne lt le gt ge", _binary, ALL, "Tensor"),
    **every("mul div eq ne lt le gt ge", _with_scalar, ALL, "Scalar"),
    **every("remainder fmod", _binary, "float int", "Tensor"),
    **every("remainder fmod", _with_scalar, "float int", "Scalar"),
    **every("div", _rounded(_binary), "float int", "Tensor_mode"),
    **every("div", _rounded(_with_scalar), "float int", "Scalar_mode"),
    **every("bitwise_and bitwise_or bitwise_xor", _binary, "int bool", "Tensor"),
    **every("bitwise_and bitwise_or bitwise_xor", _bits_with_scalar, "int bool", "Scalar"),
    **every("logical_and logical_or logical_xor maximum minimum", _binary, ALL),
    **every("atan2", _binary, "float int"),
    **every("pow", _power, "float int", "Tensor_Scalar"),
    **every("pow", _positive_binary, "float int", "Tensor_Tensor"),
    **every("pow", lambda s, kind: call(s.pick(2, 0.5) if kind == "float" else 2, s.tensor((2, 3), kind, 0, 3)), "float int", "Scalar"),
    **every("clamp", _clamp, "float int"),
    **every("clamp", _clamp_tensor, "float int", "Tensor"),
    **every("gelu", lambda s, kind: call(s.floats((2, 3)), approximate=s.pick("none", "tanh"))),
    **every("elu", _elu),
    **every("softplus", _softplus),
    **every("leaky_relu", lambda s, kind: call(s.floats((2, 3)), *s.pick((), (0.2,), (-0.1,)))),
    **every("hardsigmoid", unary(-5, 5)),
    **every("hardtanh", lambda s, kind: call(s.floats((2, 3)), *s.pick((), (-0.5, 0.8), (0, 6.0)))),
    **every("_softmax _log_softmax", _softmax),
    **every("_to_copy", _cast, ALL),
}  # fmt: skip
