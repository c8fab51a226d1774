"""Fair ratios: the same work in several forms, timed in turns, after their log densities agree."""

import importlib
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax

Params = dict[str, jax.Array]


@dataclass(frozen=True)
class Effort:
    """How long is measured.

    Attributes:
        n_turns: Times that every form is run; medians over them are shown.
        seconds: What one turn of one form takes at least.
        scale: Factor on the lengths of the runs that are too long to be repeated.
    """

    n_turns: int = 3
    seconds: float = 1.0
    scale: float = 1.0


@dataclass(frozen=True)
class Form:
    """One way of doing the work of a row.

    Attributes:
        name: Who does it, and how.
        run: Does it once, to the end.
        n_units: Units of work that ``run`` does.
        goal: The ratio ours / this form that is aimed at; None where there is no aim.
        compiles: Whether every ``run`` compiles again; that time is left out, and with it the
            processor time, of which the compiler's share is unknown.
        processor: A clock of the processor time that it takes, where another process does the work.
    """

    name: str
    run: Callable[[], Any]
    n_units: float
    goal: float | None = None
    compiles: bool = False
    processor: Callable[[], float] = time.process_time


@dataclass(frozen=True)
class Missing:
    """A form that cannot be measured here.

    Attributes:
        name: Who would do the work.
        reason: Why it is not there.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class Row:
    """One line of the table: ours beside one peer on the same work.

    Attributes:
        benchmark: Name of the benchmark.
        work: What is done.
        unit: What is counted a second.
        ours: Name of our form.
        peer: Name of the other form.
        our_speed: Units a second of wall time, median over the turns.
        peer_speed: The same of the peer.
        ratio: Ours over the peer's by wall time, the median of the turns' ratios.
        processor_ratio: The same by processor time, all threads together.
        goal: The ratio aimed at.
        note: Anything else that the numbers need.
    """

    benchmark: str
    work: str
    unit: str
    ours: str
    peer: str
    our_speed: float | None = None
    peer_speed: float | None = None
    ratio: float | None = None
    processor_ratio: float | None = None
    goal: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Speed:
    """Seconds a unit of work in every turn.

    Attributes:
        wall: By the clock.
        processor: Of all threads; None where the compiler's share is in it.
    """

    wall: list[float]
    processor: list[float] | None


class _Compilation:
    """Counts the seconds that JAX spends on compiling."""

    def __init__(self) -> None:
        self.seconds = 0.0
        jax.monitoring.register_event_duration_secs_listener(self._add)

    def _add(self, event: str, duration_secs: float, **_: str | int) -> None:
        if event.startswith("/jax/core/compile"):
            self.seconds += duration_secs


@cache
def compilation() -> _Compilation:
    """The one counter of this process."""
    return _Compilation()


def compare(
    benchmark: str,
    work: str,
    unit: str,
    ours: Sequence[Form | Missing],
    peers: Sequence[Form | Missing],
    effort: Effort,
) -> Iterator[Row]:
    """Rows of our first form beside every peer, and of our others beside the fastest peer."""
    present = [form for form in (*ours, *peers) if isinstance(form, Form)]
    absent = [form for form in (*ours, *peers) if isinstance(form, Missing)]
    our_forms = [form for form in ours if isinstance(form, Form)]
    peer_forms = [form for form in peers if isinstance(form, Form)]
    if our_forms and peer_forms:
        speeds = time_in_turns(present, effort)
        fastest = min(peer_forms, key=lambda form: statistics.median(speeds[form.name].wall))
        for i, mine in enumerate(our_forms):
            for peer in peer_forms if i == 0 else [fastest]:
                pair = speeds[mine.name], speeds[peer.name]
                yield row(benchmark, work, unit, mine, peer, *pair)
    for form in absent:
        names = (form.name, "") if form in ours else ("", form.name)
        yield Row(benchmark, work, unit, *names, note=f"missing: {form.reason}")


def row(
    benchmark: str, work: str, unit: str, mine: Form, peer: Form, our: Speed, their: Speed
) -> Row:
    """The line of two forms that were timed together."""
    processor = None
    if our.processor is not None and their.processor is not None:
        processor = _ratio(their.processor, our.processor)
    return Row(
        benchmark, work, unit, mine.name, peer.name,
        our_speed=1 / statistics.median(our.wall),
        peer_speed=1 / statistics.median(their.wall),
        ratio=_ratio(their.wall, our.wall),
        processor_ratio=processor,
        goal=peer.goal,
        note="less its compilation at every run" if peer.compiles else "",
    )  # fmt: skip


def time_in_turns(forms: Sequence[Form], effort: Effort) -> dict[str, Speed]:
    """Seconds a unit of every form, form after form in every turn, all of them compiled before."""
    n_calls = {form.name: _calls_in_a_turn(form, effort.seconds) for form in forms}
    wall: dict[str, list[float]] = {form.name: [] for form in forms}
    processor: dict[str, list[float]] = {form.name: [] for form in forms}
    for _ in range(effort.n_turns):
        for form in forms:
            seconds, processor_seconds = _time(form, n_calls[form.name])
            n_units = form.n_units * n_calls[form.name]
            wall[form.name].append(seconds / n_units)
            processor[form.name].append(processor_seconds / n_units)
    return {
        form.name: Speed(wall[form.name], None if form.compiles else processor[form.name])
        for form in forms
    }


def _time(form: Form, n_calls: int) -> tuple[float, float]:
    compiling = compilation().seconds
    wall, processor = time.perf_counter(), form.processor()
    for _ in range(n_calls):
        form.run()
    seconds = time.perf_counter() - wall
    if form.compiles:
        seconds -= compilation().seconds - compiling
    return seconds, form.processor() - processor


def _calls_in_a_turn(form: Form, seconds: float) -> int:
    form.run()
    return max(1, round(seconds / _time(form, 1)[0]))


def _ratio(above: Sequence[float], below: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def require_matched(
    log_densities: dict[str, Callable[[Any], Any]], points: Sequence[Any], tolerance: float = 1e-4
) -> None:
    """Refuse to compare forms whose log densities are not one, up to a constant.

    Args:
        log_densities: Name → parameters → log density; the first is the one that others must match.
        points: Two or more parameters; the changes from the first point to the others must agree.
        tolerance: Relative to the change; a tenth of it, relative to the value, is left to rounding.

    Raises:
        ValueError: A form samples something else.
    """
    (first, reference), *others = log_densities.items()
    expected = _values(reference, points)
    for name, log_density in others:
        found = _values(log_density, points)
        rounding = tolerance / 10 * max(map(abs, (*expected, *found)))
        for e, f in zip(expected[1:], found[1:], strict=True):
            change, other = e - expected[0], f - found[0]
            if not abs(other - change) <= tolerance * abs(change) + rounding:
                raise ValueError(
                    f"{name} samples another density than {first}: between two points it changes by "
                    f"{other:.6g} in place of {change:.6g}; mend it before comparing speeds."
                )


def _values(log_density: Callable[[Any], Any], points: Sequence[Any]) -> list[float]:
    values = (log_density(point) for point in points)
    # Torch warns where a number is taken out of a graph.
    return [float(value.detach() if hasattr(value, "detach") else value) for value in values]


def load_peer(name: str) -> Any:
    """The module of a peer, or why it is ``Missing``."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError as error:
        return Missing(name, str(error))
