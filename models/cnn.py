"""The 5-layer CNN of Deep Double Descent."""

from itertools import pairwise

import torch
from torch import nn

from .activations import activation as activation_of
from .checks import require_sizes
from .layers import Conv2d, Linear
from .normalization import normalization
from .parameterization import Parameterization, Role, Scaling, Standard


class CNN(nn.Module):
    """Four layers of 3×3 convolution, normalization, nonlinearity and max pooling; then a linear one.

    The layers have k, 2k, 4k and 8k channels with k = ``width`` and pool by 1, 2, 2 and all that is
    left, which is 8 on the paper's 32×32 images. At k = 64, with 3 channels and 10 classes, it has
    the paper's 1,558,026 parameters; group norm has as many as the paper's batch norm.

    Source: Nakkiran et al. 2019, "Deep double descent" (arXiv 1912.02292), appendix B.1.

    Args:
        in_channels: Channels of the images.
        width: k.
        out_features: Outputs (logits).
        norm: ``"group"``, ``"layer"``, ``"filter_response"`` or ``"none"``.
        activation: Name of the nonlinearity.
        parameterization: How weights scale with the width.

    Raises:
        ValueError: A size is less than 1, or a name is unknown.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        out_features: int,
        *,
        norm: str = "group",
        activation: str = "relu",
        parameterization: Parameterization = Standard(),  # noqa: B008
    ) -> None:
        super().__init__()
        sizes = {"in_channels": in_channels, "width": width, "out_features": out_features}
        require_sizes(sizes)
        scaling = parameterization.at(width)
        layers: list[nn.Module] = []
        channels = [in_channels, width, 2 * width, 4 * width, 8 * width]
        for i, (inputs, outputs) in enumerate(pairwise(channels)):
            layers += _convolution(inputs, outputs, i == 0, norm, activation, scaling)
            layers += [nn.MaxPool2d(2)] if i in (1, 2) else []
        self.features = nn.Sequential(*layers)
        self.readout = Linear(8 * width, out_features, role="output", scaling=scaling)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of shape (n, out_features) for images of shape (n, in_channels, height, width)."""
        return self.readout(self.features(x).amax((2, 3)))


def _convolution(
    inputs: int, outputs: int, is_first: bool, norm: str, activation: str, scaling: Scaling
) -> list[nn.Module]:
    role: Role = "input" if is_first else "hidden"
    return [
        Conv2d(inputs, outputs, 3, role=role, scaling=scaling, padding=1),
        normalization(norm, outputs, scaling=scaling),
        activation_of(activation),
    ]
