"""Derivatives that XLA could lose to rounding where it computes an operand twice.

Whenever a ``Network`` is made, the compiled gradient is compared with PyTorch's in float64.
"""

import numpy as np
import pytest
import torch
from torch import nn

from bayes_vs_sgd import Network


class GlobalMaximum(nn.Module):
    """Convolution, group norm, ReLU, and the maximum over all places."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 2 * channels, 3, padding=1),
            nn.GroupNorm(2, 2 * channels),
            nn.ReLU(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x).amax((2, 3))


@pytest.mark.parametrize("channels", [3, 12, 20])
def test_the_compiled_gradient_of_a_global_maximum_is_pytorchs(channels: int) -> None:
    x = np.random.default_rng(0).normal(size=(2, channels, 2, 2)).astype(np.float32)
    assert Network(GlobalMaximum(channels), x).n_parameters > 0


class Extremes(nn.Module):
    """Everything that has the derivative of whichever is larger, with many that are equal."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x)
        tied = torch.stack([y, y.roll(1, 1), y], 1)
        parts = [tied.amax(1), tied.amin(1), torch.maximum(y, y.roll(1, 1)), torch.minimum(y, x)]
        return torch.cat([*parts, torch.maximum(y, y), torch.clamp(y, -x.abs(), x.abs())], 1)


def test_equal_entries_share_the_derivative_as_in_pytorch() -> None:
    x = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    assert Network(Extremes(), x).shapes == {"layer.weight": (6, 6), "layer.bias": (6,)}
