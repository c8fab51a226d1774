"""The Hessian of a network's summed loss, by its products with vectors."""

import torch
from torch import nn
from torch.func import functional_call, grad, vjp, vmap

from ..likelihoods import Likelihood
from .found import torchscript_allowed
from .losses import negative_log_likelihood

with torchscript_allowed():
    from curvlinops import HessianLinearOperator

Pieces = list[tuple[torch.Tensor, torch.Tensor]]


class Hessian(HessianLinearOperator):
    """H = ∇² Σ_i −log p(y_i | x_i, θ) with Hv = ∂(vᵀg)/∂θ, g the gradient.

    curvlinops' own product takes a forward-mode derivative of g, which not every operator has: the
    gradient of SiLU has none.

    Args:
        module: The network at θ.
        likelihood: Decides the loss.
        pieces: Inputs and targets, some rows at a time.
    """

    def __init__(self, module: nn.Module, likelihood: Likelihood, pieces: Pieces) -> None:
        self.names = [name for name, _ in module.named_parameters()]
        self.module = module
        super().__init__(
            module,
            _SummedLoss(likelihood),
            list(module.parameters()),
            pieces,
            check_deterministic=False,
        )

    def _matmat_batch(
        self, x: torch.Tensor, y: torch.Tensor, columns: list[torch.Tensor]
    ) -> list[torch.Tensor]:
        params = tuple(p.detach() for p in self.module.parameters())

        def loss(*params: torch.Tensor) -> torch.Tensor:
            by_name = dict(zip(self.names, params, strict=True))
            return self._loss_func(functional_call(self.module, by_name, (x,)), y)

        product = vjp(grad(loss, tuple(range(len(params)))), *params)[1]
        # Columns are along the last axis.
        axes = tuple(p.ndim for p in params)
        return list(vmap(product, in_dims=(axes,), out_dims=axes)(tuple(columns)))


class _SummedLoss(nn.Module):
    """Σ_i −log p(y_i | outputs_i), as curvlinops wants a loss."""

    reduction = "sum"

    def __init__(self, likelihood: Likelihood) -> None:
        super().__init__()
        self.likelihood = likelihood

    def forward(self, outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The sum over the rows."""
        return negative_log_likelihood(self.likelihood, outputs, y).sum()
