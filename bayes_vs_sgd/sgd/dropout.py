"""Dropout whose masks are functions of uniform numbers, as augmentations are."""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from .trace import trace

# Axes of the inputs of those that drop whole channels, rows and channels first.
_CHANNELS = {functional.dropout1d: 3, functional.dropout2d: 4, functional.dropout3d: 5}
_KINDS = (functional.dropout, *_CHANNELS)
# Layers that may draw random numbers of another kind in training.
_OTHERS = (
    nn.AlphaDropout, nn.FeatureAlphaDropout, nn.MultiheadAttention, nn.RNNBase, nn.RReLU,
)  # fmt: skip
# More than any network takes.
_ENDLESS = 2**40


class Masks(TorchFunctionMode):
    """While it is entered, dropout takes uniform numbers in place of a generator.

    x ← x·1[u ≥ p]/(1 − p)

    ``functional.dropout`` takes a u an entry, ``dropout1d``, ``dropout2d`` and ``dropout3d`` one a
    channel; all modules of these names call them. Each call takes the next numbers of every row, so a
    layer that is used twice has two masks. The calls are intercepted where Python makes them, so that
    they can be traced and batched. With p = 1 all is 0; with p = 0 nothing is taken.

    Args:
        u: Uniform numbers in [0, 1), shape (rows, k).

    Attributes:
        n_taken: Numbers taken of every row.
        is_used: Whether there was any dropout, p = 0 included.

    Raises:
        ValueError: Channels are to be dropped of what has none.

    Source:
        Srivastava et al. 2014; the division as in section 10.
    """

    def __init__(self, u: torch.Tensor) -> None:
        super().__init__()
        self._u, self.n_taken, self.is_used = u, 0, False

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Dropout by the next numbers; all other functions as they are."""
        if function in _KINDS:
            return self._drop(function, *args, **(kwargs or {}))
        return function(*args, **(kwargs or {}))

    def _drop(
        self,
        function: Callable[..., Any],
        x: torch.Tensor,
        p: float,
        training: bool,
        inplace: bool,
    ) -> torch.Tensor:
        self.is_used |= training
        if p == 0 or not training:
            return x
        factor = self._kept(_mask_shape(function, x), p).to(x.dtype) * _scale(p)
        return x.mul_(factor) if inplace else x * factor

    def _kept(self, shape: tuple[int, ...], p: float) -> torch.Tensor:
        # Rows may lie along another axis inside a module: what counts is that there are enough.
        size = math.prod(shape)
        n = -(-size // len(self._u))
        own = self._u[:, self.n_taken : self.n_taken + n]
        self.n_taken += n
        return (own >= p).flatten()[:size].reshape(shape)


def in_training(module: nn.Module) -> nn.Module:
    """The module in training mode, with the same parameters and buffers.

    Layers that normalise by running statistics stay as they are.
    """
    tensors = (*module.parameters(), *module.buffers())
    copied = copy.deepcopy(module, {id(tensor): tensor for tensor in tensors})
    for layer in copied.modules():
        layer.training |= not isinstance(layer, nn.modules.batchnorm._NormBase)
    return copied


def count_uniforms(module: nn.Module, x: torch.Tensor) -> int:
    """Uniform numbers that dropout takes of every row.

    Args:
        module: In training mode.
        x: Inputs of a batch of the size that is to be trained on.

    Raises:
        ValueError: There is no dropout, or there are random numbers beside it.
    """
    masks = Masks(x.new_ones(1, 1).expand(len(x), _ENDLESS))

    def outputs(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with masks:
            return (module(x),)

    recorded = trace(outputs, x)
    for node in recorded.graph.nodes:
        if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()):
            raise ValueError(_unknown_randomness(module, str(node.target)))
    if not masks.is_used:
        raise ValueError(
            "dropout=True finds no dropout in the module; add torch.nn.Dropout layers, or leave it out."
        )
    return masks.n_taken


def _scale(p: float) -> float:
    return 0.0 if p == 1 else 1 / (1 - p)


def _mask_shape(function: Callable[..., Any], x: torch.Tensor) -> tuple[int, ...]:
    if function is functional.dropout:
        return tuple(x.shape)
    if x.ndim != _CHANNELS[function]:
        raise ValueError(
            f"{function.__name__} drops channels of inputs with {_CHANNELS[function]} axes, and here "
            f"they have shape {tuple(x.shape)}; use torch.nn.Dropout."
        )
    return (*x.shape[:2], *[1] * (x.ndim - 2))


def _unknown_randomness(module: nn.Module, operator: str) -> str:
    layers = [
        f"{type(layer).__name__} {name!r}"
        for name, layer in module.named_modules()
        if isinstance(layer, _OTHERS)
    ]
    suspects = f" (look at {', '.join(layers)})" if layers else ""
    return (
        f"in training the module draws random numbers by {operator}{suspects}, and dropout=True has "
        "masks for torch.nn.Dropout, Dropout1d, Dropout2d and Dropout3d alone; use these, and set the "
        "dropout that is built into attention and recurrent layers to 0."
    )
