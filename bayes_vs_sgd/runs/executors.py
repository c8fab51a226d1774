"""Who computes the cells. An executor runs independent tasks and says when each is done."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Task = TypeVar("Task")
Executor = Callable[[Callable[[Task], None], Sequence[Task]], Iterator[Task]]


def local(compute: Callable[[Task], None], tasks: Sequence[Task]) -> Iterator[Task]:
    """One task after another in this process."""
    for task in tasks:
        compute(task)
        yield task


EXECUTORS: dict[str, Executor] = {"local": local}
