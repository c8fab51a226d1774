"""Orders of axes in memory that a processor computes faster in, where a module takes them."""

from collections.abc import Callable

import torch
from torch import nn
from torch.func import functional_call

# A weight with fewer inputs than this is read and updated faster with its inputs first.
_NARROW = 16


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
    """The same stacked weights (n, outputs, inputs), in memory (n, inputs, outputs) if inputs are few."""
    if stacked.ndim != 3 or not 1 < stacked.shape[2] < min(_NARROW, stacked.shape[1]):
        return stacked
    return stacked.transpose(1, 2).contiguous().transpose(1, 2)


def _agree(one: Callable[[], torch.Tensor], other: Callable[[], torch.Tensor]) -> bool:
    with torch.no_grad():
        try:
            found = one()
        except RuntimeError:
            return False
        return torch.allclose(found, other(), rtol=1e-3, atol=1e-5, equal_nan=True)
