"""The perceptron."""

import torch
from torch import nn

from bayes_vs_sgd.checks import require_count


class Perceptron(nn.Module):
    """One linear unit: f(x) = w·x + b, whose sign classifies.

    Source: Mingard et al. 2019, "Neural networks are a priori biased towards Boolean functions with
    low entropy" (arXiv 1909.11522), where it acts on {0, 1}ⁿ with and without b.

    Args:
        in_features: Inputs, after flattening all axes but the first.
        bias: Whether there is a b.

    Raises:
        ValueError: ``in_features`` is less than 1.
    """

    def __init__(self, in_features: int, bias: bool = True) -> None:
        super().__init__()
        require_count("in_features", in_features)
        self.unit = nn.Linear(in_features, 1, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """One logit a row, of shape (n, 1), for inputs of shape (n, ...)."""
        return self.unit(x.flatten(1))
