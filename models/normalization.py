"""Normalizations whose output for one row depends on that row alone."""

import math

import torch
from torch import nn

from .parameterization import Scaling


class FilterResponseNorm(nn.Module):
    """Filter response normalization with its thresholded linear unit.

    ν² = mean of x² over height and width, y = max(γ·x/√(ν² + |ε|) + β, τ) with one γ, β and τ a
    channel, starting at 1, 0 and 0. No mean is subtracted, and ε is fixed, as in the networks of
    Izmailov et al. 2021 (arXiv 2104.14421). Maps of one pixel become the sign of x where
    |x| ≫ √ε: pass an ε of the order of x² for those.

    Source: Singh & Krishnan 2020, arXiv 1911.09737, equations 1 to 4.

    Args:
        channels: Channels of the input.
        epsilon: ε.
        scaling: The scales of the network that it belongs to.
    """

    def __init__(
        self,
        channels: int,
        *,
        epsilon: float = 1e-6,
        scaling: Scaling = Scaling(),  # noqa: B008
    ) -> None:
        super().__init__()
        self.role, self.scaling, self.epsilon = "vector", scaling, abs(epsilon)
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.threshold = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps of the shape of x: (n, channels, height, width)."""
        gain, bias, threshold = (p[:, None, None] for p in (self.weight, self.bias, self.threshold))
        mean_square = (x * x).mean((2, 3), keepdim=True)
        return torch.maximum(gain * x * torch.rsqrt(mean_square + self.epsilon) + bias, threshold)


class GroupNorm(nn.GroupNorm):
    """``torch.nn.GroupNorm`` that takes part in a parameterization.

    Source: Wu & He 2018, arXiv 1803.08494.
    """

    def __init__(self, n_groups: int, channels: int, *, scaling: Scaling) -> None:
        super().__init__(n_groups, channels)
        self.role, self.scaling = "vector", scaling


class LayerNorm(nn.LayerNorm):
    """``torch.nn.LayerNorm`` over the last axis that takes part in a parameterization.

    Source: Ba et al. 2016, arXiv 1607.06450.
    """

    def __init__(self, width: int, *, scaling: Scaling) -> None:
        super().__init__(width)
        self.role, self.scaling = "vector", scaling


def n_groups(channels: int) -> int:
    """Groups of ``"group"``: gcd(channels, 32)/4, at least 1.

    That is at most 8 groups, always a divisor of the channels, of 4 channels at least if there are
    4: smaller groups lose what they normalise on maps of a few pixels. It is 8 at every multiple of
    32 channels; in between it jumps with the divisors of the width, ``"layer"`` does not.
    """
    return max(1, math.gcd(channels, 32) // 4)


def normalization(name: str, channels: int, *, scaling: Scaling = Scaling()) -> nn.Module:  # noqa: B008
    """The normalization of maps (n, channels, height, width) that has this name.

    Args:
        name: ``"group"``, ``"layer"`` (one group), ``"filter_response"`` or ``"none"``.
        channels: Channels of the input.
        scaling: The scales of the network that it belongs to.

    Raises:
        ValueError: The name is unknown.
    """
    if name == "group":
        return GroupNorm(n_groups(channels), channels, scaling=scaling)
    if name == "layer":
        return GroupNorm(1, channels, scaling=scaling)
    if name == "filter_response":
        return FilterResponseNorm(channels, scaling=scaling)
    if name == "none":
        return nn.Identity()
    raise ValueError(
        f"norm={name!r} is unknown; pass 'group', 'layer', 'filter_response' or 'none' (batch norm "
        "has no likelihood of one row)."
    )
