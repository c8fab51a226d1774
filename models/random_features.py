"""A trained linear read-out of frozen random features."""

import math

import torch
from torch import nn

from .activations import activation as activation_of
from .checks import require_sizes
from .layers import Linear
from .parameterization import Parameterization, Standard


class RandomFeatures(nn.Module):
    """f(x) = A·σ(V x), with V drawn once and frozen: linear in its parameters A.

    V has entries N(0, 1/in_features) and is a buffer, so that it is no parameter. The 1/√width that
    keeps f(x) of order 1 is in the weights A with ``Standard()``, whose prior is N(0, 1/width), and
    in the function with ``NTK()``: A·σ(V x)/√width. Both have the kernel (1/width) σ(V x)·σ(V x') at
    unit gain, as in Rahimi & Recht 2007, "Random features for large-scale kernel machines" (there
    with cosines); with ReLU these are the random ReLU features of Belkin et al. 2019
    (arXiv 1812.11118).

    Args:
        in_features: Inputs, after flattening all axes but the first.
        width: Random features.
        out_features: Outputs.
        seed: Seed of V.
        activation: Name of σ.
        bias: Whether a constant is added to every output.
        parameterization: How weights scale with the width.

    Raises:
        ValueError: A size is less than 1, or the activation is unknown.
    """

    projection: torch.Tensor

    def __init__(
        self,
        in_features: int,
        width: int,
        out_features: int,
        seed: int = 0,
        activation: str = "relu",
        *,
        bias: bool = False,
        parameterization: Parameterization = Standard(),  # noqa: B008
    ) -> None:
        super().__init__()
        sizes = {"in_features": in_features, "width": width, "out_features": out_features}
        require_sizes(sizes)
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randn(in_features, width, generator=generator)
        self.register_buffer("projection", drawn / math.sqrt(in_features))
        self.activation = activation_of(activation)
        scaling = parameterization.at(width)
        self.readout = Linear(width, out_features, role="output", scaling=scaling, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs of shape (n, out_features) for inputs of shape (n, ...)."""
        # A network with parameters in float64 keeps its buffers in float32.
        return self.readout(self.activation(x.flatten(1) @ self.projection.to(x.dtype)))
