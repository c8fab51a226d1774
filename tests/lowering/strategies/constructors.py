"""Tensors made from nothing, or from the shape of another."""

import numpy as np
import torch

from ..calls import Call, Source, call
from .case import ALL, Case, every, of_shape


def _filled_like(s: Source, kind: str) -> Call:
    value = {"float": 0.5, "int": 3, "bool": True}[kind]
    return call(s.tensor(s.shape(), kind), value)


def _copied(s: Source, kind: str) -> Call:
    return call(s.tensor((2, 3), kind), s.tensor(s.pick((2, 3), (3,), ()), s.pick("float", "int")))


_TYPES = (torch.float64, torch.int64, None)
CONSTRUCTORS = {
    **every("full", lambda s, kind: call([2, 3], s.pick(0.5, 2, True), dtype=s.pick(*_TYPES))),
    **every("full_like", lambda s, kind: call(s.tensor((2, 3), kind), s.pick(0, 2), dtype=s.pick(*_TYPES)), ALL),
    **every("scalar_tensor", lambda s, kind: call(s.pick(0.5, 2), dtype=s.pick(*_TYPES))),
    **every("arange", lambda s, kind: call(*s.pick((0, 5), (1, 8, 3), (0.5, 3.0), (5, 0, -2)), dtype=s.pick(*_TYPES)), overload="start_step"),
    "aten.copy.default": Case(_copied, ALL.split(), lambda x, source: x.clone().copy_(source)),
    **every("fill", _filled_like, ALL, "Scalar"),
    **every("_assert_tensor_metadata", of_shape((2, 3), ([2, 3],), (None, [3, 1]))),
    **every("_assert_async", lambda s, kind: call(np.array(True), "never"), overload="msg"),
    **every("_assert_scalar", lambda s, kind: call(True, "never")),
}  # fmt: skip
