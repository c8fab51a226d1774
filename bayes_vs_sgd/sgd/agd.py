"""Automatic gradient descent: a step size from the gradient and the depth in place of a learning rate."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, overload

import torch

from ..checks import require_positive
from .optimizers import Parameters


class AutomaticGradientDescent(torch.optim.Optimizer):
    """Automatic gradient descent (Bernstein et al. 2023, arXiv 2304.05187).

    With L weights W_l (d_l, d_{l−1}) and their gradients ∇_l:

        G = (1/L) Σ_l s_l·|∇_l|_F,  s_l = √(d_l/d_{l−1})
        η = log((1 + √(1 + 4G))/2), as log1p(2G/(1 + √(1 + 4G)))
        W_l ← W_l − (gain·η/L)·s_l·∇_l/|∇_l|_F

    At a convolution (d_l, d_{l−1}, k_x, k_y) the norm is that of each position of the kernel, G has
    the sum over positions, and s_l = √(d_l/(d_{l−1}·k_x·k_y)). A gradient of norm 0 leaves its
    weight where it is. It is meant to start from ``priors.SemiOrthogonal``, with inputs of norm √d_0.
    Nothing but the weights is carried from step to step.

    Args:
        parameters: Weights with two axes or more each, or parameter groups of them.
        gain: What every step is multiplied by: torch's ``lr`` of a group, so that schedules act on it.
        stacked: Whether the leading axis of every tensor counts networks. Each of them then has G, η
            and norms of its own, as one optimiser a network would.

    Raises:
        ValueError: A parameter has fewer than two axes, or the gain is not positive.
    """

    def __init__(self, parameters: Parameters, *, gain: float = 1.0, stacked: bool = False) -> None:
        require_positive("gain", gain)
        super().__init__(parameters, {"lr": gain, "stacked": stacked})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add weights, as torch does; refuses those with fewer than two axes."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        for parameter in group["params"]:
            shape = tuple(parameter.shape)[int(group["stacked"]) :]
            if len(shape) < 2:
                raise ValueError(
                    f"automatic gradient descent has no rule for a parameter of shape {shape}, such "
                    "as a bias; build the layers with bias=False."
                )

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step; a parameter without a gradient counts as one whose gradient is 0."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        layers = [
            (_stack(parameter, group), _stack(parameter.grad, group), group["lr"])
            for group in self.param_groups
            for parameter in group["params"]
            if parameter.grad is not None
        ]
        if layers:
            _descend(layers, sum(len(group["params"]) for group in self.param_groups))
        return loss


def _stack(tensor: torch.Tensor, group: dict[str, Any]) -> torch.Tensor:
    return tensor if group["stacked"] else tensor[None]


def _descend(layers: list[tuple[torch.Tensor, torch.Tensor, float]], n_layers: int) -> None:
    """The step on (weight, gradient, gain), with networks along the leading axes."""
    scales = [_scale(weight) for weight, _, _ in layers]
    # One network and position of the kernel a norm; the axes stay for the division.
    norms = [
        torch.linalg.vector_norm(gradient, dim=(1, 2), keepdim=True) for _, gradient, _ in layers
    ]
    sums = [scale * norm.flatten(1).sum(1) for scale, norm in zip(scales, norms, strict=True)]
    total = torch.stack(sums).sum(0) / n_layers
    eta = torch.log1p(2 * total / (1 + (1 + 4 * total).sqrt()))
    for (weight, gradient, gain), scale, norm in zip(layers, scales, norms, strict=True):
        length = (gain * scale / n_layers) * eta.reshape(-1, *[1] * (norm.ndim - 1))
        # NaN passes: it must show.
        weight.addcmul_(gradient, (length / norm).masked_fill(norm == 0, 0.0), value=-1)


def _scale(weight: torch.Tensor) -> float:
    """√(d_out/d_in), over the root of the number of positions of a kernel."""
    n_out, n_in, *kernel = weight.shape[1:]
    return math.sqrt(n_out / (n_in * math.prod(kernel)))


@dataclass(frozen=True)
class AGD:
    """Automatic gradient descent (arXiv 2304.05187), whose step follows from gradient and depth.

    W_l ← W_l − (gain·η/L)·√(d_l/d_{l−1})·∇_l/|∇_l|_F with η = log((1 + √(1 + 4G))/2) and G the mean of
    √(d_l/d_{l−1})·|∇_l|_F over the L weights. For modules without biases, started from
    ``priors.SemiOrthogonal``.

    Attributes:
        gain: What every step is multiplied by; 1 is the paper's.
    """

    gain: float = 1.0
    # Norms are those of a whole weight, so its shape must stay.
    elementwise: ClassVar[bool] = False

    def __post_init__(self) -> None:
        require_positive("gain", self.gain)

    def build(self, parameters: Parameters) -> torch.optim.Optimizer:
        """The optimiser on these tensors, whose leading axis counts networks."""
        return AutomaticGradientDescent(parameters, gain=self.gain, stacked=True)
