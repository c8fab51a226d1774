"""A world in which PyTorch's single precision is double."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


@contextmanager
def double_precision() -> Iterator[None]:
    """Make float64 the default, and read ``float32`` in a forward pass as float64 too.

    So a constant that ``forward`` makes, or a cast that it names, has the precision of a double copy
    of the module, and the graph has one floating-point type.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with _SingleIsDouble():
            yield
    finally:
        torch.set_default_dtype(before)


class _SingleIsDouble(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is torch.Tensor.float:
            func = torch.Tensor.double
        named = {name: _double(value) for name, value in (kwargs or {}).items()}
        return func(*map(_double, args), **named)


def _double(value: Any) -> Any:
    return torch.float64 if value is torch.float32 else value
