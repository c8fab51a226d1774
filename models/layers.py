"""Linear, convolution and embedding layers that know their role in the width and their multiplier.

Each is PyTorch's layer with the weight used as multiplier·weight. The start is PyTorch's default
for the effective weight of the standard parameterization, scaled as ``parameterization`` says.
"""

import torch
from torch import nn
from torch.nn import functional

from bayes_vs_sgd.priors import fan_in

from .parameterization import Role, Scaling


class Linear(nn.Linear):
    """y = x·(multiplier·W)ᵀ + b.

    Args:
        in_features: Inputs.
        out_features: Outputs.
        role: How its sizes grow with the width: ``"input"``, ``"hidden"`` or ``"output"``.
        scaling: The scales of the network that it belongs to.
        bias: Whether there is a b.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        role: Role,
        scaling: Scaling,
        bias: bool = True,
    ) -> None:
        # First, because reset_parameters is called by torch's constructor.
        self.role, self.scaling = role, scaling
        self.multiplier = scaling.multiplier(in_features)
        super().__init__(in_features, out_features, bias=bias)

    def reset_parameters(self) -> None:
        """Draw the weight anew."""
        super().reset_parameters()
        _rescale(self.weight, self.role, self.scaling)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs of shape (..., out_features) for inputs of shape (..., in_features)."""
        return functional.linear(x, _effective(self.weight, self.multiplier), self.bias)


class Conv2d(nn.Conv2d):
    """Convolution with a square kernel and the weight multiplier·W.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Side of the kernel.
        role: How its channels grow with the width.
        scaling: The scales of the network that it belongs to.
        stride: Step of the kernel.
        padding: Zeros on every side.
        bias: Whether every channel has a bias.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        role: Role,
        scaling: Scaling,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
    ) -> None:
        # First, because reset_parameters is called by torch's constructor.
        self.role, self.scaling = role, scaling
        self.multiplier = scaling.multiplier(in_channels * kernel_size**2)
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, bias=bias)

    def reset_parameters(self) -> None:
        """Draw the weight anew."""
        super().reset_parameters()
        _rescale(self.weight, self.role, self.scaling)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps of shape (n, out_channels, ...) for maps of shape (n, in_channels, ...)."""
        weight = _effective(self.weight, self.multiplier)
        return functional.conv2d(x, weight, self.bias, self.stride, self.padding)


class Embedding(nn.Embedding):
    """One row of W a token; its fan-in counts as 1, since a token picks one row.

    Args:
        n_tokens: Rows.
        width: Columns.
        scaling: The scales of the network that it belongs to.
    """

    def __init__(self, n_tokens: int, width: int, *, scaling: Scaling) -> None:
        super().__init__(n_tokens, width)
        self.role: Role = "input"
        self.scaling = scaling


def _effective(weight: torch.Tensor, multiplier: float) -> torch.Tensor:
    return weight if multiplier == 1 else multiplier * weight


def _rescale(weight: torch.Tensor, role: Role, scaling: Scaling) -> None:
    with torch.no_grad():
        weight.mul_(scaling.start(role, fan_in(tuple(weight.shape))))
