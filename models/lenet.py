"""LeNet-5."""

import torch
from torch import nn

from bayes_vs_sgd.checks import require_count

from .activations import activation as activation_of
from .checks import require_sizes
from .layers import Conv2d, Linear
from .parameterization import Parameterization, Standard


class LeNet(nn.Module):
    """LeNet-5 in its modern form: every map sees all maps below it, max pooling, ReLU, logits.

    Two 5×5 convolutions (the first padded by 2) with 2×2 max pooling after each, then layers of 120,
    84 and ``out_features`` units, at the default width of 6. It has 61,706 parameters on 28×28
    images with one channel and 10 classes. The original has trained pooling, sparse connections
    between maps, tanh and radial basis outputs: LeCun et al. 1998, "Gradient-based learning applied
    to document recognition".

    Args:
        in_channels: Channels of the images.
        width: Channels of the first convolution; the other layers keep their proportion of
            6 : 16 : 120 : 84, rounded.
        out_features: Outputs (logits).
        image_size: Side of the square images.
        activation: Name of the nonlinearity.
        parameterization: How weights scale with the width.

    Raises:
        ValueError: A size is less than 1, or the images are too small for two convolutions.
    """

    def __init__(
        self,
        in_channels: int = 1,
        width: int = 6,
        out_features: int = 10,
        image_size: int = 28,
        *,
        activation: str = "relu",
        parameterization: Parameterization = Standard(),  # noqa: B008
    ) -> None:
        super().__init__()
        sizes = {"in_channels": in_channels, "width": width, "out_features": out_features}
        require_sizes(sizes)
        require_count("image_size", image_size, least=12)
        scaling = parameterization.at(width)
        channels, units = round(width * 16 / 6), (20 * width, 14 * width)
        side = (image_size // 2 - 4) // 2
        self.layers = nn.Sequential(
            Conv2d(in_channels, width, 5, role="input", scaling=scaling, padding=2),
            activation_of(activation),
            nn.MaxPool2d(2),
            Conv2d(width, channels, 5, role="hidden", scaling=scaling),
            activation_of(activation),
            nn.MaxPool2d(2),
            nn.Flatten(),
            Linear(channels * side**2, units[0], role="hidden", scaling=scaling),
            activation_of(activation),
            Linear(units[0], units[1], role="hidden", scaling=scaling),
            activation_of(activation),
            Linear(units[1], out_features, role="output", scaling=scaling),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of shape (n, out_features) for images of shape (n, in_channels, size, size)."""
        return self.layers(x)
