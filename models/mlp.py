"""Multilayer perceptron."""

from itertools import pairwise

import torch
from torch import nn

from .activations import activation as activation_of
from .checks import require_sizes
from .layers import Linear
from .parameterization import Parameterization, Role, Standard


class MLP(nn.Module):
    """Fully connected network with ``depth`` hidden layers of one width.

    With one hidden layer it is the network of Belkin et al. 2019, "Reconciling modern machine
    learning practice and the bias-variance trade-off" (arXiv 1812.11118).

    Args:
        in_features: Inputs, after flattening all axes but the first.
        width: Units in every hidden layer.
        out_features: Outputs (logits).
        depth: Hidden layers.
        activation: Name of the nonlinearity after every hidden layer.
        parameterization: How weights scale with the width.

    Raises:
        ValueError: A size is less than 1, or the activation is unknown.
    """

    def __init__(
        self,
        in_features: int,
        width: int,
        out_features: int,
        depth: int = 1,
        *,
        activation: str = "relu",
        parameterization: Parameterization = Standard(),  # noqa: B008
    ) -> None:
        super().__init__()
        sizes = {
            "in_features": in_features, "width": width, "out_features": out_features, "depth": depth,
        }  # fmt: skip
        require_sizes(sizes)
        scaling = parameterization.at(width)
        layers: list[nn.Module] = [nn.Flatten()]
        for i, (inputs, outputs) in enumerate(pairwise([in_features] + [width] * depth)):
            role: Role = "hidden" if i else "input"
            layers += [
                Linear(inputs, outputs, role=role, scaling=scaling),
                activation_of(activation),
            ]
        layers.append(Linear(width, out_features, role="output", scaling=scaling))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of shape (n, out_features) for inputs of shape (n, ...)."""
        return self.layers(x)
