"""Modules as users write them, each with the inputs it takes."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from models import FilterResponseNorm


class WideResNetBlock(nn.Module):
    """Pre-activation block with a projection shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(1, 3), nn.GroupNorm(2, 4)
        self.conv1 = nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(3, 4, 1, stride=2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.norm1(x))
        return self.conv2(F.relu(self.norm2(self.conv1(h)))) + self.shortcut(h)


class SqueezeExcite(nn.Module):
    """Channels weighted by a function of their means."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding="same", padding_mode="reflect")
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.gate = nn.Sequential(nn.Linear(8, 2), nn.ReLU(), nn.Linear(2, 8), nn.Hardsigmoid())

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x)
        b, c, _, _ = h.size()
        return h * self.gate(self.pool(h).view(b, c)).view(b, c, 1, 1)


class VisionTransformer(nn.Module):
    """Patches, class token, positions made by hand, a block with nn.MultiheadAttention."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.position = nn.Parameter(torch.randn(1, 5, 8) * 0.02)
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1) + self.position
        h = self.norm1(x)
        x = x + self.attention(h, h, h, need_weights=False)[0]
        return (x + self.mlp(self.norm2(x)))[:, 0]


class UNetStep(nn.Module):
    """Down, up by a transposed convolution and by interpolation, skip connection."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Conv2d(3, 4, 3, padding=1)
        self.deep = nn.Conv2d(4, 6, 3, padding=1)
        self.up = nn.ConvTranspose2d(6, 4, 2, stride=2)
        self.smooth = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.out = nn.Conv2d(4 + 4 + 6, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        skip = F.leaky_relu(self.inner(x))
        deep = F.silu(self.deep(F.max_pool2d(skip, 2)))
        return self.out(torch.cat([skip, self.up(deep), self.smooth(deep)], dim=1)).squeeze(1)


class MixerBlock(nn.Module):
    """MLP-mixer: across tokens, then across features."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(6), nn.LayerNorm(6)
        self.tokens = nn.Sequential(nn.Linear(4, 8), nn.GELU(approximate="tanh"), nn.Linear(8, 4))
        self.features = nn.Sequential(nn.Linear(6, 8), nn.Mish(), nn.Linear(8, 6))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.tokens(self.norm1(x).permute(0, 2, 1)).permute(0, 2, 1)
        return x + self.features(self.norm2(x))


class GatedMLP(nn.Module):
    """gMLP with its spatial gating unit."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.gate_norm = nn.LayerNorm(6), nn.LayerNorm(4)
        self.inward, self.outward = nn.Linear(6, 8), nn.Linear(4, 6)
        self.spatial = nn.Conv1d(5, 5, 1)
        nn.init.normal_(self.spatial.weight, std=0.1)

    def forward(self, x: Tensor) -> Tensor:
        u, v = F.gelu(self.inward(self.norm(x))).chunk(2, dim=-1)
        return x + self.outward(u * self.spatial(self.gate_norm(v)))


class Siamese(nn.Module):
    """Two inputs, one tower, a distance."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.linalg.vector_norm(F.normalize(self.tower(a)) - self.tower(b), dim=1)


class TiedLanguageModel(nn.Module):
    """Embedding tied to the output, causal nn.TransformerEncoderLayer."""

    def __init__(self, norm_first: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.block = nn.TransformerEncoderLayer(
            8, 2, 16, dropout=0.0, batch_first=True, norm_first=norm_first
        )
        self.out = nn.Linear(8, 11)
        self.out.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        n = tokens.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(n)
        x = self.embedding(tokens) * math.sqrt(8)
        return self.out(self.block(x, src_mask=mask, is_causal=True))


class FourierFeatures(nn.Module):
    """Random frequencies in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.randn(2, 16))
        self.out = nn.Linear(32, 1)

    def forward(self, x: Tensor) -> Tensor:
        phase = 2 * math.pi * x @ self.frequencies
        return self.out(torch.cat([phase.sin(), phase.cos()], -1)).squeeze(-1)


class DeepSets(nn.Module):
    """A mean over those members of the set that are there."""

    def __init__(self) -> None:
        super().__init__()
        self.member = nn.Sequential(nn.Linear(3, 8), nn.Softplus(), nn.Linear(8, 6))
        self.whole = nn.Sequential(nn.Linear(12, 8), nn.ELU(), nn.Linear(8, 2))

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        h = self.member(x)
        weight = present.unsqueeze(-1).float()
        mean = (h * weight).sum(1) / weight.sum(1).clamp(min=1.0)
        top = h.masked_fill(present.unsqueeze(-1) == 0, -1e4).max(dim=1).values
        return self.whole(torch.cat([mean, top], 1))


class Siren(nn.Module):
    """Sine activations."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in ((2, 8), (8, 8), (8, 1)))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = torch.sin(3.0 * layer(x))
        return self.layers[-1](x)


class SeparableConvolution(nn.Module):
    """Depthwise and pointwise convolutions, as in MobileNet."""

    def __init__(self) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4)
        self.grouped = nn.Conv2d(4, 6, 3, stride=2, groups=2)
        self.pointwise = nn.Conv2d(6, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.grouped(F.hardswish(self.depthwise(F.pad(x[:, :1], (1, 1)).repeat(1, 4, 1, 1))))
        return F.avg_pool2d(self.pointwise(F.relu6(h)), 2)


class FiLM(nn.Module):
    """One input modulates what the other becomes."""

    def __init__(self) -> None:
        super().__init__()
        self.main, self.condition = nn.Linear(4, 6), nn.Linear(3, 12)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        scale, shift = self.condition(c).split(6, dim=1)
        return torch.addcmul(shift, self.main(x), 1 + scale)


class Recurrent(nn.Module):
    """The last state of a recurrent layer."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.layer = getattr(nn, kind)(3, 4, batch_first=True)
        self.out = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.layer(x)[0][:, -1])


class FilterResponse(nn.Module):
    """Filter response norm with its threshold, written in plain torch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), FilterResponseNorm(4)
        nn.init.normal_(self.norm.threshold)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)).mean((2, 3))


class RotaryBlock(nn.Module):
    """RMSNorm, rotary positions, grouped queries, SwiGLU."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.RMSNorm(8), nn.RMSNorm(8, eps=1e-5)
        self.query, self.pair = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)
        self.up, self.gate, self.down = nn.Linear(8, 12), nn.Linear(8, 12), nn.Linear(12, 8)

    def rotate(self, x: Tensor) -> Tensor:
        n = x.shape[-2]
        frequencies = 100.0 ** -(torch.arange(0, 4, 2).float() / 4 + torch.tensor(0.1))
        angle = torch.outer(torch.arange(n).float(), frequencies)
        a, b = x[..., ::2], x[..., 1::2]
        turned = torch.stack(
            [a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], -1
        )
        return turned.flatten(-2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm1(x)
        q = self.rotate(self.query(h).unflatten(-1, (2, 4)).transpose(1, 2))
        k, v = (t.unsqueeze(1) for t in self.pair(h).chunk(2, -1))
        mixed = F.scaled_dot_product_attention(
            q, self.rotate(k), v, is_causal=True, enable_gqa=True
        )
        x = x + mixed.transpose(1, 2).reshape(x.shape)
        h = self.norm2(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class GraphConvolution(nn.Module):
    """Every row brings its own graph."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 4)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        links = (adjacency > 0).to(x.dtype) + torch.eye(x.shape[1])
        degree = links.sum(-1).rsqrt()
        return F.celu(
            torch.bmm(degree[:, :, None] * links * degree[:, None, :], self.layer(x))
        ).mean(1)


class MixtureOfExperts(nn.Module):
    """Soft gating and einsum over weights made by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(4, 3)
        self.weight = nn.Parameter(torch.randn(3, 4, 5) / 2)
        self.bias = nn.ParameterList([nn.Parameter(torch.randn(5)) for _ in range(3)])

    def forward(self, x: Tensor) -> Tensor:
        experts = torch.einsum("ni,eio->neo", x, self.weight) + torch.stack(list(self.bias))
        return torch.einsum("ne,neo->no", self.gate(x).softmax(-1), experts.tanh())


class OneHot(nn.Module):
    """Tokens as one-hot vectors times a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(7, 5) / 2)
        self.out = nn.Linear(5, 7)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.out((F.one_hot(tokens, 7).float() @ self.weight).square().sum(1))


class Outputs(nn.Module):
    """A dict with a tuple in it."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.mean, self.scale = nn.Linear(4, 6), nn.Linear(6, 1), nn.Linear(6, 1)

    def forward(self, x: Tensor) -> dict[str, object]:
        h = F.selu(self.body(x))
        return {"hidden": h, "normal": (self.mean(h), self.scale(h).exp())}


class Columns(nn.Module):
    """Categories as integers beside numbers, and an unknown category that stays zero."""

    def __init__(self) -> None:
        super().__init__()
        self.tables = nn.ModuleList([nn.Embedding(3, 2), nn.Embedding(5, 3, padding_idx=0)])
        self.out = nn.Linear(2 + 3 + 2, 1)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        found = [table(categories[:, i]) for i, table in enumerate(self.tables)]
        return self.out(torch.cat([numbers, *found], 1))


class BagOfWords(nn.Module):
    """The mean embedding of a text, padding left out."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(9, 4, padding_idx=0)
        self.out = nn.Linear(4, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        there = (tokens != 0).unsqueeze(-1)
        total = torch.where(there, self.embedding(tokens), 0.0).sum(1)
        return self.out(total / there.sum(1).clamp_min(1))


class Padded(nn.Module):
    """Attention that leaves padding out, where a row may have nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(9, 8)
        self.query = nn.Parameter(torch.randn(1, 1, 8))

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        query = self.query.expand(tokens.shape[0], -1, -1)
        return F.scaled_dot_product_attention(query, x, x, attn_mask=(tokens != 0)[:, None])[:, 0]


class Statistics(nn.Module):
    """Sorting, quantiles by index, running sums, what neighbours differ by."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(13, 2)

    def forward(self, x: Tensor) -> Tensor:
        ordered = x.sort(dim=1).values
        top, _ = x.topk(2, dim=1)
        steps = x.diff(dim=1)
        parts = [ordered, top, x.cumsum(1)[:, -1:], steps.abs().amax(1, keepdim=True),
                 x.std(1, keepdim=True), x.logsumexp(1, keepdim=True),
                 x.flip(1).roll(1, 1)[:, torch.tensor([0, 2])]]  # fmt: skip
        return self.out(torch.cat(parts, 1))


def with_moved_statistics() -> nn.Module:
    """Batch norm with fixed statistics that are not those of a new one."""
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2)
    )
    module(torch.randn(8, 3, 8, 8))
    return module.eval()


IMAGE = torch.randn(4, 3, 8, 8)
TOKENS = torch.tensor([[1, 2, 0, 4, 5], [3, 3, 6, 0, 0], [0, 0, 0, 0, 0], [6, 5, 4, 3, 2]])

MODULES: dict[str, tuple[nn.Module, tuple[Tensor, ...]]] = {
    "wide_resnet_block": (WideResNetBlock(), (IMAGE,)),
    "squeeze_excite": (SqueezeExcite(), (IMAGE,)),
    "vision_transformer": (VisionTransformer(), (IMAGE,)),
    "unet_step": (UNetStep(), (IMAGE,)),
    "mixer_block": (MixerBlock(), (torch.randn(4, 4, 6),)),
    "gated_mlp": (GatedMLP(), (torch.randn(4, 5, 6),)),
    "siamese": (Siamese(), (torch.randn(4, 5), torch.randn(4, 5))),
    "tied_language_model_norm_last": (TiedLanguageModel(norm_first=False), (TOKENS,)),
    "tied_language_model_norm_first": (TiedLanguageModel(norm_first=True), (TOKENS,)),
    "fourier_features": (FourierFeatures(), (torch.randn(4, 2),)),
    "deep_sets": (DeepSets(), (torch.randn(4, 5, 3), (TOKENS > 0).long())),
    "siren": (Siren(), (torch.randn(4, 2),)),
    "separable_convolution": (SeparableConvolution(), (torch.randn(4, 3, 12, 12),)),
    "film": (FiLM(), (torch.randn(4, 4), torch.randn(4, 3))),
    "lstm": (Recurrent("LSTM"), (torch.randn(4, 3, 3),)),
    "gru": (Recurrent("GRU"), (torch.randn(4, 3, 3),)),
    "filter_response": (FilterResponse(), (IMAGE,)),
    "rotary_block": (RotaryBlock(), (torch.randn(4, 3, 8),)),
    "graph_convolution": (GraphConvolution(), (torch.randn(4, 5, 3), torch.randn(4, 5, 5))),
    "mixture_of_experts": (MixtureOfExperts(), (torch.randn(4, 4),)),
    "one_hot": (OneHot(), (TOKENS,)),
    "outputs": (Outputs(), (torch.randn(4, 4),)),
    "columns": (Columns(), (torch.randn(4, 2), torch.tensor([[0, 1], [2, 4], [1, 0], [0, 3]]))),
    "bag_of_words": (BagOfWords(), (TOKENS,)),
    "padded": (Padded(), (TOKENS,)),
    "statistics": (Statistics(), (torch.randn(4, 5),)),
    "instance_norm": (
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4, affine=True), nn.PReLU(4)),
        (IMAGE,),
    ),
    "batch_norm_with_fixed_statistics": (with_moved_statistics(), (IMAGE,)),
}
