"""The networks that are still training, stacked along a leading axis."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from ..likelihoods import Likelihood
from .losses import mistakes, negative_log_likelihood
from .optimizers import Optimizer
from .trace import trace

Tensors = dict[str, torch.Tensor]


class Cohort:
    """Stacked parameters, their optimiser, and the functions that train and judge them.

    The vmapped gradient is traced once, and again when networks leave the stack.

    Attributes:
        seeds: The seed number of every network here, shape (n_active,).
    """

    def __init__(
        self,
        module: nn.Module,
        likelihood: Likelihood,
        optimizer: Optimizer,
        start: Mapping[str, torch.Tensor],
    ) -> None:
        self.seeds = np.arange(len(next(iter(start.values()))))
        self._params: Tensors = {n: v.clone().requires_grad_() for n, v in start.items()}
        self._rule = optimizer.build(self._params.values())
        self._step: Callable[..., Any] | None = None

        def loss(params: list[torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            outputs = functional_call(module, dict(zip(start, params, strict=True)), (x,))
            return negative_log_likelihood(likelihood, outputs, y).mean()

        def judge(params: Tensors, x: torch.Tensor, y: torch.Tensor) -> tuple[Any, Any]:
            outputs = functional_call(module, params, (x,))
            nll = negative_log_likelihood(likelihood, outputs, y).mean()
            return nll, mistakes(likelihood, outputs, y).mean()

        self._gradient = vmap(grad(loss))
        self._judge = vmap(judge, in_dims=(0, None, None))

    @property
    def params(self) -> Tensors:
        """The parameters now, detached; later steps change them in place."""
        return {name: value.detach() for name, value in self._params.items()}

    def step(self, x: torch.Tensor, y: torch.Tensor, rows: torch.Tensor) -> None:
        """One optimiser step on the mean loss of each network's own rows.

        Args:
            x: All training inputs.
            y: All training targets.
            rows: Row numbers of shape (n_active, batch).
        """
        parameters = list(self._params.values())
        arguments = (x, y, rows, *(p.detach() for p in parameters))
        if self._step is None:
            self._step = trace(
                lambda x, y, r, *p: tuple(self._gradient(list(p), x[r], y[r])), *arguments
            )
        with torch.no_grad():
            gradients = self._step(*arguments)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        self._rule.step()

    def judge(self, x: torch.Tensor, y: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Mean loss and error rate (mean squared residual) of every network, each (n_active,)."""
        with torch.no_grad():
            loss, error = self._judge(self.params, x, y)
        return loss.cpu().numpy(), error.cpu().numpy()

    def keep(self, stays: np.ndarray) -> None:
        """Go on with the networks where ``stays`` is True; the others stop costing anything."""
        mask = torch.from_numpy(stays).to(next(iter(self._params.values())).device)
        for parameter in self._params.values():
            state = self._rule.state[parameter]
            for name, value in state.items():
                if torch.is_tensor(value) and value.ndim and len(value) == len(mask):
                    state[name] = value[mask]
            parameter.grad = None
            parameter.data = parameter.data[mask]
        self.seeds = self.seeds[stays]
        self._step = None
