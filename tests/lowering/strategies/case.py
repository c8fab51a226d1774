"""What the table of tests holds for one operator."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..calls import Call, Shape, Source, call

# What most operators take.
ALL = "float int bool"

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


def every(names: str, strategy: Strategy, kinds: str = "float", overload: str = "default") -> dict:
    case = Case(strategy, kinds.split())
    return {f"aten.{name}.{overload}": case for name in names.split()}


def unary(low: float = -2, high: float = 2) -> Strategy:
    return lambda s, kind: call(s.tensor(s.pick((2, 3), ()), kind, low, high))


def broadcast(s: Source) -> tuple[Shape, Shape]:
    return s.pick(((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((2, 3), ()), ((3,), (2, 3)))


def of_shape(shape: Shape, *settings: tuple[Any, ...]) -> Strategy:
    return lambda s, kind: call(s.tensor(shape, kind), *s.pick(*settings))
