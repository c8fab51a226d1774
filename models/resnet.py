"""Residual networks: ResNet-18 of Deep Double Descent, ResNet-20 of Izmailov et al."""

from collections.abc import Iterator

import torch
from torch import nn

from .activations import activation as activation_of
from .checks import require_sizes
from .layers import Conv2d, Linear
from .normalization import normalization
from .parameterization import Parameterization, Role, Scaling, Standard


class PreActivationBlock(nn.Module):
    """s + convolution(σ(norm(convolution(h)))) with h = σ(norm(x)).

    The shortcut s is x where the shape stays, otherwise a 1×1 convolution of h. No convolution has a
    bias. Source: He et al. 2016, "Identity mappings in deep residual networks" (arXiv 1603.05027).
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        *,
        norm: str,
        activation: str,
        scaling: Scaling,
    ) -> None:
        super().__init__()
        self.norm1 = normalization(norm, in_channels, scaling=scaling)
        self.conv1 = _plain(in_channels, channels, 3, stride, scaling)
        self.norm2 = normalization(norm, channels, scaling=scaling)
        self.conv2 = _plain(channels, channels, 3, 1, scaling)
        self.activation = activation_of(activation)
        changes = stride != 1 or in_channels != channels
        self.shortcut = _plain(in_channels, channels, 1, stride, scaling) if changes else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps of shape (n, channels, height/stride, width/stride)."""
        h = self.activation(self.norm1(x))
        shortcut = x if self.shortcut is None else self.shortcut(h)
        return shortcut + self.conv2(self.activation(self.norm2(self.conv1(h))))


class ResNet18(nn.Module):
    """Pre-activation ResNet-18 of width k: four stages of two blocks with k, 2k, 4k, 8k channels.

    A 3×3 stem, strides 1, 2, 2, 2, the mean over what is left of the map, a linear layer; as in the
    reference there is no normalization after the last block. At k = 64, with 3 channels and 10
    classes, it has 11,171,146 parameters, with group norm for batch norm. On 8×8 images its last
    maps are single pixels, of which filter response norm keeps little but the sign.

    Source: Nakkiran et al. 2019 (arXiv 1912.02292), appendix B.1, after He et al. 2016
    (arXiv 1603.05027) and PreActResNet18 of github.com/kuangliu/pytorch-cifar.

    Args:
        in_channels: Channels of the images.
        width: k.
        out_features: Outputs (logits).
        n_blocks: Blocks a stage; the depth is 8·n_blocks + 2.
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
        n_blocks: int = 2,
        norm: str = "group",
        activation: str = "relu",
        parameterization: Parameterization = Standard(),  # noqa: B008
    ) -> None:
        super().__init__()
        sizes = {
            "in_channels": in_channels, "width": width, "out_features": out_features,
            "n_blocks": n_blocks,
        }  # fmt: skip
        require_sizes(sizes)
        scaling = parameterization.at(width)
        self.stem = _plain(in_channels, width, 3, 1, scaling, role="input")
        self.blocks = nn.Sequential(
            *(
                PreActivationBlock(*shape, norm=norm, activation=activation, scaling=scaling)
                for shape in _stages(4, n_blocks, width)
            )
        )
        self.readout = Linear(8 * width, out_features, role="output", scaling=scaling)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of shape (n, out_features) for images of shape (n, in_channels, height, width)."""
        return self.readout(self.blocks(self.stem(x)).mean((2, 3)))


class PostActivationBlock(nn.Module):
    """σ(s + norm(convolution(σ(norm(convolution(x)))))), all convolutions with biases.

    The shortcut s is x where the shape stays, otherwise a normalised 1×1 convolution of x. Source: He et al.
    2015, "Deep residual learning for image recognition" (arXiv 1512.03385).
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        *,
        norm: str,
        activation: str,
        scaling: Scaling,
    ) -> None:
        super().__init__()
        self.first = _normalised(in_channels, channels, 3, stride, norm, scaling)
        self.second = _normalised(channels, channels, 3, 1, norm, scaling)
        self.activation = activation_of(activation)
        self.shortcut: nn.Module = (
            nn.Identity()
            if stride == 1 and in_channels == channels
            else _normalised(in_channels, channels, 1, stride, norm, scaling)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps of shape (n, channels, height/stride, width/stride)."""
        return self.activation(self.shortcut(x) + self.second(self.activation(self.first(x))))


class ResNet20(nn.Module):
    """ResNet-20 with filter response norm and SiLU: three stages of three blocks.

    A 3×3 stem, stages of k, 2k and 4k channels with k = ``width`` and strides 1, 2, 2, the mean over
    what is left of the map, a linear layer. The filter response norm has its threshold and is
    followed by the nonlinearity. At k = 16, with 3 channels and 10 classes, it has 274,042
    parameters. The reference pads strided convolutions on one side only, this one on both.

    Source: Izmailov et al. 2021, "What are Bayesian neural network posteriors really like?"
    (arXiv 2104.14421), bnn_hmc/utils/models.py of github.com/google-research/google-research.

    Args:
        in_channels: Channels of the images.
        width: k.
        out_features: Outputs (logits).
        n_blocks: Blocks a stage; the depth is 6·n_blocks + 2.
        norm: ``"group"``, ``"layer"``, ``"filter_response"`` or ``"none"``.
        activation: Name of the nonlinearity.
        parameterization: How weights scale with the width.

    Raises:
        ValueError: A size is less than 1, or a name is unknown.
    """

    def __init__(
        self,
        in_channels: int = 3,
        width: int = 16,
        out_features: int = 10,
        *,
        n_blocks: int = 3,
        norm: str = "filter_response",
        activation: str = "silu",
        parameterization: Parameterization = Standard(),  # noqa: B008
    ) -> None:
        super().__init__()
        sizes = {
            "in_channels": in_channels, "width": width, "out_features": out_features,
            "n_blocks": n_blocks,
        }  # fmt: skip
        require_sizes(sizes)
        scaling = parameterization.at(width)
        self.stem = _normalised(in_channels, width, 3, 1, norm, scaling, role="input")
        self.activation = activation_of(activation)
        self.blocks = nn.Sequential(
            *(
                PostActivationBlock(*shape, norm=norm, activation=activation, scaling=scaling)
                for shape in _stages(3, n_blocks, width)
            )
        )
        self.readout = Linear(4 * width, out_features, role="output", scaling=scaling)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of shape (n, out_features) for images of shape (n, in_channels, height, width)."""
        return self.readout(self.blocks(self.activation(self.stem(x))).mean((2, 3)))


def _stages(n_stages: int, n_blocks: int, width: int) -> Iterator[tuple[int, int, int]]:
    """In-channels, channels and stride of every block; a new stage doubles channels and halves maps."""
    inputs = width
    for stage in range(n_stages):
        for block in range(n_blocks):
            channels = width * 2**stage
            yield inputs, channels, 2 if stage and not block else 1
            inputs = channels


def _plain(
    inputs: int, outputs: int, kernel: int, stride: int, scaling: Scaling, role: Role = "hidden"
) -> Conv2d:
    return Conv2d(
        inputs, outputs, kernel, role=role, scaling=scaling, stride=stride, padding=kernel // 2,
        bias=False,
    )  # fmt: skip


def _normalised(
    inputs: int,
    outputs: int,
    kernel: int,
    stride: int,
    norm: str,
    scaling: Scaling,
    role: Role = "hidden",
) -> nn.Sequential:
    convolution = Conv2d(
        inputs, outputs, kernel, role=role, scaling=scaling, stride=stride, padding=kernel // 2
    )
    return nn.Sequential(convolution, normalization(norm, outputs, scaling=scaling))
