"""Linear regression on the first features."""

import torch
from torch import nn

from .checks import require_sizes
from .layers import Linear as LinearLayer
from .parameterization import Parameterization, Standard


class Linear(nn.Module):
    """f(x) = A·(x_1, …, x_width): a linear map of the first ``width`` features; the rest is unseen.

    Without bias there are width·out_features parameters, so that it interpolates from a width of
    n_train on. Source: Belkin, Hsu & Xu 2020, "Two models of double descent for weak features"
    (arXiv 1903.07571), where p = width features are chosen out of D = in_features.

    Args:
        in_features: Features, after flattening all axes but the first.
        width: How many of them are used.
        out_features: Outputs.
        bias: Whether a constant is added.
        parameterization: How weights scale with the width.

    Raises:
        ValueError: A size is less than 1, or ``width`` exceeds ``in_features``.
    """

    def __init__(
        self,
        in_features: int,
        width: int,
        out_features: int = 1,
        bias: bool = False,
        *,
        parameterization: Parameterization = Standard(),  # noqa: B008
    ) -> None:
        super().__init__()
        require_sizes({"width": width, "out_features": out_features})
        if width > in_features:
            raise ValueError(
                f"width={width} exceeds the {in_features} features; pass at most {in_features}."
            )
        self.width = width
        scaling = parameterization.at(width)
        self.map = LinearLayer(width, out_features, role="output", scaling=scaling, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs of shape (n, out_features) for inputs of shape (n, ...)."""
        return self.map(x.flatten(1)[:, : self.width])
