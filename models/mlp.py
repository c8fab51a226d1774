"""Multilayer perceptron with ReLU."""

from itertools import pairwise

import torch
from torch import nn


class MLP(nn.Module):
    """Fully connected ReLU network with ``depth`` hidden layers of one width.

    Args:
        in_features: Inputs, after flattening all axes but the first.
        width: Units in every hidden layer.
        out_features: Outputs (logits).
        depth: Hidden layers.

    Raises:
        ValueError: A size is less than 1.
    """

    def __init__(self, in_features: int, width: int, out_features: int, depth: int = 1) -> None:
        super().__init__()
        for name, size in (("in_features", in_features), ("width", width), ("depth", depth)):
            if size < 1:
                raise ValueError(f"{name}={size} leaves a layer without units; pass at least 1.")
        sizes = [in_features] + [width] * depth
        hidden = [
            layer
            for inputs, outputs in pairwise(sizes)
            for layer in (nn.Linear(inputs, outputs), nn.ReLU())
        ]
        self.layers = nn.Sequential(nn.Flatten(), *hidden, nn.Linear(width, out_features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of shape (n, out_features) for inputs of shape (n, ...)."""
        return self.layers(x)
