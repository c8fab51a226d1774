"""What moves entries without computing anything."""

import numpy as np

from ..calls import Call, Source, call
from .case import ALL, every, of_shape


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


_VIEWS = (([6, 4],), ([-1],), ([4, -1, 1],))
_SLICES = (
    (0, 1, 3), (1, 0, 2**63 - 1, 2), (-1, -2), (0, None, -1), (1, 5, 9), (0, 3, 1),
)  # fmt: skip
SHAPES = {
    **every("view reshape _unsafe_view", of_shape((2, 3, 4), *_VIEWS), ALL),
    **every("permute", of_shape((2, 3, 4), ([2, 0, 1],), ([0, -1, 1],)), ALL),
    **every("transpose", of_shape((2, 3, 4), (0, 1), (-1, 1), (2, 2)), ALL, "int"),
    **every("unsqueeze", of_shape((2, 3), (0,), (-1,), (2,), (-3,)), ALL),
    **every("squeeze", of_shape((1, 3, 1), (0,), (1,), (-1,)), ALL, "dim"),
    **every("squeeze", of_shape((1, 3, 1), ([0, 1],), ([-1, 0],), ([],)), ALL, "dims"),
    **every("expand", _expanded, ALL),
    **every("repeat", of_shape((2, 3), ([1, 2],), ([2, 1, 3],), ([0, 1],)), ALL),
    **every("flip", of_shape((2, 3), ([0],), ([-1, 0],), ([],)), ALL),
    **every("cat", _concatenated, ALL),
    **every("stack", lambda s, kind: call(_several(s, kind), *s.pick((), (1,), (-1,))), ALL),
    **every("slice", of_shape((4, 3), *_SLICES), ALL, "Tensor"),
    **every("slice_scatter", _slice_scattered, ALL),
    **every("select", of_shape((4, 3), (0, 1), (-1, -1), (1, 0)), ALL, "int"),
    **every("select_scatter", _select_scattered, ALL),
    **every("split_with_sizes", of_shape((5, 4), ([2, 3],), ([1, 3], 1), ([5],), ([2, 0, 2], -1)), ALL),
    **every("unbind", of_shape((2, 3), (), (1,), (-2,)), ALL, "int"),
    **every("diagonal", of_shape((3, 4, 2), (), (1,), (-1, 0, 2), (0, -1, 1)), ALL),
    **every("constant_pad_nd", of_shape((3, 4), ([1, 2],), ([0, 1, 2, 0], 1), ([-1, 1],), ([-1, -1, 0, 2], 1)), ALL),
    **every("sym_size", of_shape((3, 4), (0,), (-1,)), ALL, "int"),
}  # fmt: skip
