"""Orders of axes in memory that a processor computes faster in, where a module takes them."""

from collections.abc import Callable

import torch
from torch import nn
from torch.func import functional_call

from .trace import is_narrow


def takes_channels_last(module: nn.Module, x: torch.Tensor) -> bool:
    """Whether a module computes the same of images whose channels lie last in memory.

    A module that calls ``view`` across axes refuses them.
    """
    laid_out = x[:2].contiguous(memory_format=torch.channels_last) if x.ndim == 4 else None
    return laid_out is not None and _agree(lambda: module(laid_out), lambda: module(x[:2]))


def takes_inputs_first(module: nn.Module, x: torch.Tensor) -> bool:
    """Whether a module computes the same with weights as ``inputs_first`` lays them out."""
    params = {name: p.detach() for name, p in module.named_parameters()}
    laid_out = {name: inputs_first(p[None])[0] for name, p in params.items()}
    return _agree(
        lambda: functional_call(module, laid_out, (x[:2],)),
        lambda: functional_call(module, params, (x[:2],)),
    )


def inputs_first(stacked: torch.Tensor) -> torch.Tensor:
    """The same stacked weights (n, outputs, inputs), in memory (n, inputs, outputs) if inputs are few.

    The product that is their gradient is turned then, too, so that it is added to them as it is made.
    """
    return stacked.mT.contiguous().mT if is_narrow(stacked) else stacked


def _agree(one: Callable[[], torch.Tensor], other: Callable[[], torch.Tensor]) -> bool:
    with torch.no_grad():
        try:
            found = one()
        except RuntimeError:
            return False
        return torch.allclose(found, other(), rtol=1e-3, atol=1e-5, equal_nan=True)
