"""A network with a fixed random part of its weights missing."""

import math

import torch
from torch import nn
from torch.func import functional_call

from .checks import require_sizes


class Sparse(nn.Module):
    """f(x) = module(x) with every weight W replaced by W·M/√density, M drawn once and frozen.

    M is 1 at ``density`` of the entries, at random places, and 0 at the others; it is a buffer. All
    parameters with at least two axes are thinned, biases and gains stay. The factor keeps the variance
    of a unit's input, so that a prior or start that is scaled by the fan-in stays what it was. Names
    of parameters are those of the module, with ``"module."`` before them.

    Args:
        module: The dense network.
        density: Share of the entries of each weight that is kept, rounded to at least one entry.
        seed: Seed of the places.

    Raises:
        ValueError: The density is no share in (0, 1].
    """

    def __init__(self, module: nn.Module, density: float, seed: int = 0) -> None:
        super().__init__()
        if not 0 < density <= 1:
            raise ValueError(f"density={density} is no share of the weights; pass one in (0, 1].")
        require_sizes({"seed": seed + 1})
        self.module = module
        generator = torch.Generator().manual_seed(seed)
        self.thinned = [name for name, p in module.named_parameters() if p.ndim > 1]
        parameters = dict(module.named_parameters())
        for i, name in enumerate(self.thinned):
            self.register_buffer(f"mask{i}", _mask(parameters[name], density, generator))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What the module returns with its weights thinned."""
        parameters: dict[str, torch.Tensor] = dict(self.module.named_parameters())
        for i, name in enumerate(self.thinned):
            mask = getattr(self, f"mask{i}")
            # A network with parameters in float64 keeps its buffers in float32.
            parameters[name] = parameters[name] * mask.to(parameters[name].dtype)
        return functional_call(self.module, parameters, (x,))

    def n_kept(self) -> int:
        """Parameters that the network depends on."""
        kept = sum(int((getattr(self, f"mask{i}") > 0).sum()) for i in range(len(self.thinned)))
        return kept + sum(p.numel() for p in self.module.parameters() if p.ndim < 2)


def _mask(weight: torch.Tensor, density: float, generator: torch.Generator) -> torch.Tensor:
    """1/√share at the entries that are kept, share being theirs, and 0 elsewhere."""
    n_kept = max(1, round(density * weight.numel()))
    mask = torch.zeros(weight.numel())
    places = torch.randperm(weight.numel(), generator=generator)[:n_kept]
    mask[places] = 1 / math.sqrt(n_kept / weight.numel())
    return mask.reshape(weight.shape)
