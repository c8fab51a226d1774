"""Who computes the cells. An executor runs independent tasks and says when each is done."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

Executor = Callable[[Callable[[Any], None], Sequence[Any]], Iterator[Any]]


def local[Task](compute: Callable[[Task], None], tasks: Sequence[Task]) -> Iterator[Task]:
    """One task after another in this process."""
    for task in tasks:
        compute(task)
        yield task


EXECUTORS: dict[str, Executor] = {"local": local}
