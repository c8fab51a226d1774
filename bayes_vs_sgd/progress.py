"""One way to show what is being done, how far it is and how long it will still take."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Report = Callable[[int, str], None]


@contextmanager
def bar(description: str, total: int, *, show: bool) -> Iterator[Report]:
    """A progress bar as ``report(n_done, detail)``; silent where ``show`` is False.

    Args:
        description: What is being done.
        total: Number of steps.
        show: Whether to draw it. On a terminal it is redrawn in place and removed at the end;
            elsewhere nothing is drawn, so that logs stay readable.

    Yields:
        A function of the steps done so far and a short detail.
    """
    if not show or not Console().is_terminal:
        yield lambda n_done, detail: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}"),
    )
    with Progress(*columns, transient=True) as progress:
        task = progress.add_task(description, total=total, detail="")
        yield lambda n_done, detail: progress.update(task, completed=n_done, detail=detail)
