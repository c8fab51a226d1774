"""How weights, start and learning rates scale with the width: standard, NTK or maximal update.

Every weight is used as multiplier·W. With fan_in the inputs of one unit and r = width/base_width:

==========  =========  ==========  ==================  ======  =======
            role       multiplier  std of W at gain 1  SGD lr  Adam lr
==========  =========  ==========  ==================  ======  =======
Standard    every one  1           1/√fan_in           1       1
NTK         every one  1/√fan_in   1                   1       1
MuP         input      1           1/√fan_in           r       1
MuP         hidden     1           1/√fan_in           1       1/r
MuP         output     1           1/√(fan_in·r)       1/r     1/r
MuP         vector     1           its own             r       1
MuP         constant   1           its own             1       1
==========  =========  ==========  ==================  ======  =======

Roles: the fan-in of an ``input`` weight does not grow with the width, the fan-out of an ``output``
weight does not, both grow for a ``hidden`` one. A ``vector`` has one entry a unit (hidden biases;
gain, bias and threshold of a normalization): a weight whose fan-in is 1. A ``constant`` does not
grow at all (the bias of the output). At r = 1, MuP is Standard.

Sources: Jacot et al. 2018 (arXiv 1806.07572) for NTK; Yang & Hu 2021 (arXiv 2011.14522) and Table 3
of Yang et al. 2022, Tensor Programs V (arXiv 2203.03466), for MuP.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import nn

from bayes_vs_sgd import priors
from bayes_vs_sgd.checks import require_count

Role = Literal["input", "hidden", "output", "vector", "constant"]

# Learning-rate factors as powers of r.
_LR_POWERS: dict[str, dict[Role, int]] = {
    "sgd": {"input": 1, "hidden": 0, "output": -1, "vector": 1, "constant": 0},
    "adam": {"input": 0, "hidden": -1, "output": -1, "vector": 0, "constant": 0},
}
_NORMALIZATIONS = (
    nn.GroupNorm, nn.LayerNorm, nn.RMSNorm, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d,
)  # fmt: skip


@dataclass(frozen=True)
class Scaling:
    """The scales of one network: a row of the table above, at one width.

    Attributes:
        ratio: r = width/base_width.
        unit_weights: Whether 1/√fan_in is in the multiplier (NTK) instead of in the weights.
    """

    ratio: float = 1.0
    unit_weights: bool = False

    def multiplier(self, fan_in: int) -> float:
        """What a weight is multiplied by when it is used."""
        return 1 / math.sqrt(fan_in) if self.unit_weights else 1.0

    def start(self, role: Role, fan_in: int) -> float:
        """What a weight drawn by PyTorch's default, ∝ 1/√fan_in, is multiplied by at the start."""
        if self.unit_weights:
            return math.sqrt(fan_in)
        return 1 / math.sqrt(self.ratio) if role == "output" else 1.0

    def std(self, role: Role, fan_in: int) -> float:
        """Standard deviation of the entries of W at gain 1."""
        return self.start(role, fan_in) / math.sqrt(fan_in)

    def lr_factor(self, role: Role, optimizer: str) -> float:
        """What the learning rate is multiplied by; ``optimizer`` is ``"sgd"`` or ``"adam"``."""
        return float(self.ratio ** _LR_POWERS[optimizer][role])

    def attention(self, head_width: int) -> float:
        """The factor of query·key: 1/√(head_width·r).

        With a fixed number of heads that is ∝ 1/head_width for MuP and 1/√head_width otherwise.
        """
        return 1 / math.sqrt(head_width * self.ratio)


class Parameterization(Protocol):
    """What every parameterization offers."""

    def at(self, width: int) -> Scaling:
        """The scales of a network of this width."""
        ...


@dataclass(frozen=True)
class Standard:
    """Weights as PyTorch has them: W ~ 1/√fan_in, one learning rate for all."""

    def at(self, width: int) -> Scaling:
        """The scales of a network of this width."""
        return Scaling()


@dataclass(frozen=True)
class NTK:
    """Neural tangent parameterization: (1/√fan_in)·W with entries of W of order 1.

    The function at the start is that of ``Standard``; gradient descent at a fixed learning rate has
    the neural tangent kernel as its limit in width. Its factors are meant for SGD: Adam moves every
    entry of W by its learning rate, so that the outputs move by √fan_in more in a wider network.
    """

    def at(self, width: int) -> Scaling:
        """The scales of a network of this width."""
        return Scaling(unit_weights=True)


@dataclass(frozen=True)
class MuP:
    """Maximal update parameterization: every layer's activations move by order 1 at any width.

    Attributes:
        base_width: The width at which it equals ``Standard``; learning rates carry over from there.
    """

    base_width: int

    def __post_init__(self) -> None:
        require_count("base_width", self.base_width)

    def at(self, width: int) -> Scaling:
        """The scales of a network of this width."""
        return Scaling(ratio=width / self.base_width)


def lr_factors(module: nn.Module, optimizer: str = "sgd") -> dict[str, float]:
    """Learning-rate factors by parameter name, for ``sgd.train(..., lr_factors=...)``.

    Args:
        module: A model of this package, or any module: layers without a role count as standard.
        optimizer: ``"sgd"`` for SGD with or without momentum, ``"adam"`` for Adam and its kin. A
            weight decay in the gradient acts through the learning rate, so its pull is scaled along.

    Raises:
        ValueError: The optimizer is neither.
    """
    if optimizer not in _LR_POWERS:
        raise ValueError(f"optimizer={optimizer!r} has no scaling rule; pass 'sgd' or 'adam'.")
    return {
        name: _scaling(layer).lr_factor(_role(layer, local), optimizer)
        for name, layer, local, _ in _parameters(module)
    }


def prior(
    module: nn.Module, *, std: float = 1.0, bias_std: float = 1.0, gain_std: float = 1.0
) -> priors.Independent:
    """The normal prior that belongs to a module's parameterization.

    Weights are N(0, (std·s)²) with s the standard deviation of the table above (1 for an embedding,
    one row of which is used at a time); gains of normalizations are N(1, gain_std²); every other
    parameter with one axis or none is N(0, bias_std²).

    Args:
        module: A model of this package, or any module: layers without a role count as standard.
        std: Gain of the weights: the standard deviation of an effective weight times √fan_in.
        bias_std: Standard deviation of biases and thresholds.
        gain_std: Standard deviation of the gains of normalizations about 1.

    Raises:
        ValueError: A standard deviation is negative.
    """
    stds, means = {}, {}
    for name, layer, local, shape in _parameters(module):
        if _is_gain(layer, local):
            stds[name], means[name] = gain_std, 1.0
        elif len(shape) < 2:
            stds[name] = bias_std
        else:
            fan_in = 1 if isinstance(layer, nn.Embedding) else priors.fan_in(shape)
            stds[name] = std * _scaling(layer).std(_role(layer, local), fan_in)
    return priors.Independent(stds, means)


def _parameters(module: nn.Module) -> Iterator[tuple[str, nn.Module, str, tuple[int, ...]]]:
    """Name, layer, name inside the layer and shape of every parameter, tied ones once."""
    for name, parameter in module.named_parameters():
        path, _, local = name.rpartition(".")
        yield name, module.get_submodule(path), local, tuple(parameter.shape)


def _scaling(layer: nn.Module) -> Scaling:
    return getattr(layer, "scaling", Scaling())


def _role(layer: nn.Module, local: str) -> Role:
    role: Role = getattr(layer, "role", "hidden")
    if local == "bias":
        return "constant" if role == "output" else "vector"
    return role


def _is_gain(layer: nn.Module, local: str) -> bool:
    normalizes = isinstance(layer, _NORMALIZATIONS) or getattr(layer, "role", None) == "vector"
    return normalizes and local == "weight"
