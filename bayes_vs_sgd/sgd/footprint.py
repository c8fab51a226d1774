"""What a computation makes while it runs: bytes of new tensors, and whether it convolves."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from .trace import lies_in_its_argument


class Footprint(TorchDispatchMode):
    """While it is entered, adds up what the operators make, forward and backward.

    Attributes:
        n_bytes: Of all tensors made; views of others are none.
        convolves: Whether there was a convolution.
    """

    def __init__(self) -> None:
        super().__init__()
        self.n_bytes, self.convolves = 0, False

    def __torch_dispatch__(
        self,
        function: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """The operator as it is, counted."""
        found = function(*args, **(kwargs or {}))
        self.convolves |= "convolution" in str(function)
        if not lies_in_its_argument(function):
            made = found if isinstance(found, tuple | list) else (found,)
            self.n_bytes += sum(t.nbytes for t in made if isinstance(t, torch.Tensor))
        return found


def bytes_of(run: Callable[[int], object], n_rows: int) -> int:
    """Bytes that ``run(n_rows)`` makes, from runs on two and on four rows: a + b·rows.

    Args:
        run: Computes on so many rows.
        n_rows: Of the computation in question.
    """
    few, more = min(2, n_rows), min(4, n_rows)
    counts = []
    for n in (few, more):
        with Footprint() as footprint:
            run(n)
        counts.append(footprint.n_bytes)
    slope = (counts[1] - counts[0]) / max(more - few, 1)
    return round(counts[0] + slope * (n_rows - few))


def convolves(module: nn.Module, x: torch.Tensor) -> bool:
    """Whether a module convolves its inputs."""
    with Footprint() as footprint, torch.no_grad():
        module(x[:2])
    return footprint.convolves
