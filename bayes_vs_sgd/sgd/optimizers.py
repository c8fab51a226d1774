"""Optimisers as settings: each builds its ``torch.optim`` counterpart on stacked parameters.

They act on every entry alone, so one optimiser on the stack of all networks is the same as one
optimiser a network.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from ..checks import require_positive

# Tensors, or torch's parameter groups: {"params": tensors}.
Parameters = Iterable[torch.Tensor] | Iterable[dict[str, Any]]


class Optimizer(Protocol):
    """A frozen dataclass of settings that builds a ``torch.optim`` optimiser."""

    def build(self, parameters: Parameters) -> torch.optim.Optimizer:
        """The optimiser on these tensors or groups of them; it must act elementwise."""
        ...


@dataclass(frozen=True)
class SGD:
    """``torch.optim.SGD``: v ← momentum·v + g + weight_decay·θ, θ ← θ − lr·v.

    Attributes:
        lr: Learning rate on the mean loss of a batch.
        momentum: Heavy-ball momentum.
        weight_decay: Coefficient of θ in the gradient.
    """

    lr: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        require_positive("lr", self.lr)

    def build(self, parameters: Parameters) -> torch.optim.Optimizer:
        """The optimiser on these tensors."""
        return torch.optim.SGD(
            parameters,
            lr=self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            fused=True,
        )


@dataclass(frozen=True)
class Adam:
    """``torch.optim.Adam``: θ ← θ − lr·m̂/(√v̂ + eps), with weight_decay·θ added to the gradient.

    Attributes:
        lr: Learning rate.
        betas: Decay of the two moments.
        eps: Added to the root of the second moment.
        weight_decay: Coefficient of θ in the gradient.
    """

    lr: float = 0.003
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        require_positive("lr", self.lr)

    def build(self, parameters: Parameters) -> torch.optim.Optimizer:
        """The optimiser on these tensors."""
        return torch.optim.Adam(
            parameters,
            lr=self.lr,
            betas=self.betas,
            eps=self.eps,
            weight_decay=self.weight_decay,
            fused=True,
        )
