"""The parts of a transformer: attention, feed-forward, positions, and a block of them."""

import torch
from torch import nn

from .activations import activation as activation_of
from .layers import Linear
from .normalization import LayerNorm
from .parameterization import Scaling


class Attention(nn.Module):
    """Multi-head attention: softmax(s·Q Kᵀ) V for every head, joined and mapped; no biases.

    Q comes from ``x``, K and V from ``memory``; s is 1/√head_width, or ∝ 1/head_width for ``MuP``.
    A position without any allowed pair gets 0. Source: Vaswani et al. 2017 (arXiv 1706.03762),
    section 3.2.

    Args:
        width: Features of x, memory and output; the heads share them.
        n_heads: Heads.
        scaling: The scales of the network that it belongs to.
    """

    def __init__(self, width: int, n_heads: int, *, scaling: Scaling) -> None:
        super().__init__()
        self.n_heads, self.scale = n_heads, scaling.attention(width // n_heads)
        self.query = Linear(width, width, role="hidden", scaling=scaling, bias=False)
        self.key = Linear(width, width, role="hidden", scaling=scaling, bias=False)
        self.value = Linear(width, width, role="hidden", scaling=scaling, bias=False)
        self.output = Linear(width, width, role="hidden", scaling=scaling, bias=False)

    def forward(self, x: torch.Tensor, memory: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
        """Mix the memory for every position of x.

        Args:
            x: Shape (n, length, width).
            memory: Shape (n, memory_length, width).
            allowed: True where a position may look, broadcast to (n, heads, length, memory_length).

        Returns:
            Shape (n, length, width).
        """
        query, key = self._split(self.query(x)), self._split(self.key(memory))
        value = self._split(self.value(memory))
        mixed = nn.functional.scaled_dot_product_attention(
            query, key, value, allowed, scale=self.scale
        )
        return self.output(mixed.transpose(1, 2).flatten(2))

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(2, (self.n_heads, -1)).transpose(1, 2)


class FeedForward(nn.Module):
    """W₂ σ(W₁ x + b₁) + b₂ with 4·width units in between; the biases are optional."""

    def __init__(self, width: int, *, activation: str, bias: bool, scaling: Scaling) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Linear(width, 4 * width, role="hidden", scaling=scaling, bias=bias),
            activation_of(activation),
            Linear(4 * width, width, role="hidden", scaling=scaling, bias=bias),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The same map at every position."""
        return self.layers(x)


class Block(nn.Module):
    """A transformer block: x ← norm(x + sublayer(x)) for each of its sublayers.

    The sublayers are attention to itself, attention to a memory (if ``is_cross``), feed-forward.
    Source: Vaswani et al. 2017 (arXiv 1706.03762), without dropout.
    """

    def __init__(
        self,
        width: int,
        n_heads: int,
        *,
        is_cross: bool,
        activation: str,
        bias: bool,
        scaling: Scaling,
    ) -> None:
        super().__init__()
        self.attention = Attention(width, n_heads, scaling=scaling)
        self.attention_norm = LayerNorm(width, scaling=scaling)
        self.is_cross = is_cross
        if is_cross:
            self.cross = Attention(width, n_heads, scaling=scaling)
            self.cross_norm = LayerNorm(width, scaling=scaling)
        self.feed_forward = FeedForward(width, activation=activation, bias=bias, scaling=scaling)
        self.feed_forward_norm = LayerNorm(width, scaling=scaling)

    def forward(
        self,
        x: torch.Tensor,
        allowed: torch.Tensor,
        memory: torch.Tensor | None = None,
        memory_allowed: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Shape (n, length, width) to the same; masks as in ``Attention``."""
        x = self.attention_norm(x + self.attention(x, x, allowed))
        if self.is_cross:
            x = self.cross_norm(x + self.cross(x, memory, memory_allowed))
        return self.feed_forward_norm(x + self.feed_forward(x))


def sinusoids(max_length: int, width: int) -> torch.Tensor:
    """Positions: column 2i is sin(t/10000^(2i/width)), column 2i + 1 its cosine.

    Returns:
        Shape (max_length, width).
    """
    column = torch.arange(width)
    rate = 10000.0 ** (-(column - column % 2) / width)
    phase = torch.arange(max_length)[:, None] * rate
    return torch.where(column % 2 == 0, phase.sin(), phase.cos())
