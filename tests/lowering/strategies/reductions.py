"""Reductions along axes, and running ones."""

import torch

from ..calls import Call, Source, call
from .case import ALL, Strategy, every, unary


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
    **every("sum", _in_type(_over_axes_or_all), ALL, "dim_IntList"),
    **every("sum prod", _in_type(unary()), ALL),
    **every("mean", _in_type(_over_axes_or_all), overload="dim"),
    **every("mean", _in_type(unary())),
    **every("prod", _in_type(_over_axis), ALL, "dim_int"),
    **every("cumsum cumprod", _running, ALL),
    **every("amax amin", _over_axes, ALL),
    **every("max min", unary(), ALL),
    **every("max min", _over_axis, ALL, "dim"),
    **every("any all", unary(-1, 1), ALL),
    **every("any all", _over_axis, ALL, "dim"),
    **every("any all", _over_axes_or_all, ALL, "dims"),
    **every("argmax argmin", _over_axis_or_all, "float int"),
    **every("var", _variance, overload="correction"),
}
