"""Reading and writing entries by their number, choosing and sorting."""

import numpy as np

from ..calls import Call, Source, call
from .case import ALL, broadcast, every


def _where(s: Source, kind: str) -> Call:
    first, second = broadcast(s)
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
    **every("where", _where, ALL, "self"),
    **every("index", _indexed, ALL, "Tensor"),
    **every("index_put", _put, ALL),
    **every("index_select", lambda s, kind: call(s.tensor((4, 3), kind), s.pick(0, 1, -1), s.ints((2,), 0, 2)), ALL),
    **every("gather", _gathered, ALL),
    **every("scatter", _scattered, ALL, "src"),
    **every("scatter", _scattered_value, ALL, "value"),
    **every("scatter_add", _scattered_sum, "float int"),
    **every("embedding", _embedded),
    **every("sort", _sorted, "float int"),
    **every("topk", _top, "float int"),
}  # fmt: skip
