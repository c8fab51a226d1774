"""Transformers: the decoder that groks modular arithmetic, and encoder-decoders."""

import torch
from torch import nn

from .attention import Block, sinusoids
from .checks import require_heads, require_length, require_sizes
from .layers import Embedding, Linear
from .parameterization import Parameterization, Standard


class Decoder(nn.Module):
    """Decoder-only transformer with a causal mask; it answers after the last token.

    Token embeddings (N(0, 1) at the start) plus sinusoidal positions, blocks with layer norm after
    each sublayer and 4·width units in the feed-forward part, an untied linear read-out; no biases
    outside the layer norms, no dropout. At the defaults there are 394,240 parameters without
    embedding and read-out: 2·(12·128² + 4·128).

    Source: Power et al. 2022, "Grokking" (arXiv 2201.02177), appendix A.1.2, and
    grok/transformer.py of github.com/openai/grok.

    Args:
        n_tokens: Size of the vocabulary.
        width: Features a token.
        out_features: Logits a position; None takes ``n_tokens``.
        depth: Blocks.
        n_heads: Heads of every attention; they share the width.
        max_length: Longest sequence.
        last_only: Return the logits after the last token alone, instead of after every token.
        activation: Name of the nonlinearity.
        parameterization: How weights scale with the width.

    Raises:
        ValueError: A size is not possible, or a sequence is too long.
    """

    positions: torch.Tensor
    causal: torch.Tensor

    def __init__(
        self,
        n_tokens: int,
        width: int = 128,
        out_features: int | None = None,
        *,
        depth: int = 2,
        n_heads: int = 4,
        max_length: int = 64,
        last_only: bool = True,
        activation: str = "relu",
        parameterization: Parameterization = Standard(),  # noqa: B008
    ) -> None:
        super().__init__()
        out_features = n_tokens if out_features is None else out_features
        sizes = {
            "n_tokens": n_tokens, "width": width, "out_features": out_features, "depth": depth,
            "n_heads": n_heads, "max_length": max_length,
        }  # fmt: skip
        require_sizes(sizes)
        require_heads(width, n_heads)
        scaling = parameterization.at(width)
        self.last_only = last_only
        self.register_buffer("positions", sinusoids(max_length, width))
        self.register_buffer("causal", torch.ones(max_length, max_length, dtype=torch.bool).tril())
        self.embedding = Embedding(n_tokens, width, scaling=scaling)
        self.blocks = nn.ModuleList(
            Block(
                width, n_heads, is_cross=False, activation=activation, bias=False, scaling=scaling
            )
            for _ in range(depth)
        )
        self.readout = Linear(width, out_features, role="output", scaling=scaling, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits of shape (n, out_features), or (n, length, out_features) without ``last_only``.

        Args:
            tokens: Integers of shape (n, length).
        """
        length = tokens.shape[1]
        require_length(length, len(self.positions))
        x = self.embedding(tokens) + self.positions[:length]
        for block in self.blocks:
            x = block(x, self.causal[:length, :length])
        return self.readout(x[:, -1] if self.last_only else x)


class EncoderDecoder(nn.Module):
    """Encoder-decoder transformer for translation.

    Token embeddings (N(0, 1) at the start, so not multiplied by √width) plus sinusoidal positions,
    blocks with layer norm after each sublayer, 4·width units with biases in the feed-forward part,
    attention without biases, separate embeddings of both languages, an untied read-out without
    bias; no dropout. Padding is masked in both sequences; what the logits at padded positions say
    means nothing.

    Source: Vaswani et al. 2017, "Attention is all you need" (arXiv 1706.03762); Nakkiran et al. 2019
    (arXiv 1912.02292) scale its width with 4·width units between, six blocks a side and 8 heads.

    Args:
        n_source_tokens: Size of the source vocabulary.
        width: Features a token.
        n_target_tokens: Size of the target vocabulary.
        depth: Blocks of the encoder, and of the decoder.
        n_heads: Heads of every attention; they share the width.
        max_length: Longest sequence of either side.
        pad: Token that fills up short sequences.
        activation: Name of the nonlinearity.
        parameterization: How weights scale with the width.

    Raises:
        ValueError: A size is not possible, or a sequence is too long.
    """

    positions: torch.Tensor
    causal: torch.Tensor

    def __init__(
        self,
        n_source_tokens: int,
        width: int,
        n_target_tokens: int,
        *,
        depth: int = 6,
        n_heads: int = 8,
        max_length: int = 64,
        pad: int = 0,
        activation: str = "relu",
        parameterization: Parameterization = Standard(),  # noqa: B008
    ) -> None:
        super().__init__()
        sizes = {
            "n_source_tokens": n_source_tokens, "width": width, "n_target_tokens": n_target_tokens,
            "depth": depth, "n_heads": n_heads, "max_length": max_length,
        }  # fmt: skip
        require_sizes(sizes)
        require_heads(width, n_heads)
        scaling = parameterization.at(width)
        self.pad = pad
        self.register_buffer("positions", sinusoids(max_length, width))
        self.register_buffer("causal", torch.ones(max_length, max_length, dtype=torch.bool).tril())
        self.source_embedding = Embedding(n_source_tokens, width, scaling=scaling)
        self.target_embedding = Embedding(n_target_tokens, width, scaling=scaling)
        self.encoder, self.decoder = (
            nn.ModuleList(
                Block(
                    width, n_heads, is_cross=cross, activation=activation, bias=True,
                    scaling=scaling,
                )
                for _ in range(depth)
            )
            for cross in (False, True)
        )  # fmt: skip
        self.readout = Linear(width, n_target_tokens, role="output", scaling=scaling, bias=False)

    def forward(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Logits of the token that follows each target token.

        Args:
            source: Integers of shape (n, source_length).
            target: Integers of shape (n, target_length), from the start token on.

        Returns:
            Shape (n, target_length, n_target_tokens).
        """
        length = target.shape[1]
        require_length(max(length, source.shape[1]), len(self.positions))
        source_allowed = (source != self.pad)[:, None, None]
        target_allowed = (target != self.pad)[:, None, None] & self.causal[:length, :length]
        memory = self.source_embedding(source) + self.positions[: source.shape[1]]
        for block in self.encoder:
            memory = block(memory, source_allowed)
        x = self.target_embedding(target) + self.positions[:length]
        for block in self.decoder:
            x = block(x, target_allowed, memory, source_allowed)
        return self.readout(x)


class Translator(nn.Module):
    """``EncoderDecoder`` with source and target packed into one array, as ``data.translation`` has it.

    f(x) = EncoderDecoder(x[:, 0], x[:, 1]). Parameters are those of the ``EncoderDecoder``, with
    ``"network."`` before their names.

    Args:
        n_source_tokens: Size of the source vocabulary.
        width: Features a token.
        n_target_tokens: Size of the target vocabulary.
        depth: Blocks of the encoder, and of the decoder.
        n_heads: Heads of every attention; they share the width.
        max_length: Longest sequence of either side.
        pad: Token that fills up short sequences.
        activation: Name of the nonlinearity.
        parameterization: How weights scale with the width.

    Raises:
        ValueError: A size is not possible, or a sequence is too long.
    """

    def __init__(
        self,
        n_source_tokens: int,
        width: int,
        n_target_tokens: int,
        *,
        depth: int = 6,
        n_heads: int = 8,
        max_length: int = 64,
        pad: int = 0,
        activation: str = "relu",
        parameterization: Parameterization = Standard(),  # noqa: B008
    ) -> None:
        super().__init__()
        self.network = EncoderDecoder(
            n_source_tokens, width, n_target_tokens, depth=depth, n_heads=n_heads,
            max_length=max_length, pad=pad, activation=activation,
            parameterization=parameterization,
        )  # fmt: skip

    def forward(self, pairs: torch.Tensor) -> torch.Tensor:
        """Logits of the token that follows each target token.

        Args:
            pairs: Integers of shape (n, 2, length): the source, and the target from the start token on.

        Returns:
            Shape (n, length, n_target_tokens).
        """
        return self.network(pairs[:, 0], pairs[:, 1])
