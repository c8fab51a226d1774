"""The networks that are still training, stacked along a leading axis."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from ..likelihoods import Likelihood
from .losses import mistakes, negative_log_likelihood
from .optimizers import Optimizer
from .trace import TensorFunction, trace

Tensors = dict[str, torch.Tensor]


class Cohort:
    """Stacked parameters, their optimiser, and the functions that train and judge them.

    Both functions are traced when they are first called, and again when networks leave the stack.

    Attributes:
        seeds: The seed number of every network here, shape (n_active,).
    """

    def __init__(
        self,
        module: nn.Module,
        likelihood: Likelihood,
        optimizer: Optimizer,
        start: Mapping[str, torch.Tensor],
        lr_factors: Mapping[str, float] | None = None,
    ) -> None:
        self.seeds = np.arange(len(next(iter(start.values()))))
        self._params: Tensors = {n: v.clone().requires_grad_() for n, v in start.items()}
        self._rule = _build(optimizer, self._params, lr_factors or {})
        self._traced: dict[str, TensorFunction] = {}

        def outputs(params: tuple[torch.Tensor, ...], x: torch.Tensor) -> torch.Tensor:
            return functional_call(module, dict(zip(start, params, strict=True)), (x,))

        def loss(
            params: tuple[torch.Tensor, ...], x: torch.Tensor, y: torch.Tensor
        ) -> torch.Tensor:
            return negative_log_likelihood(likelihood, outputs(params, x), y).mean()

        def judge(
            params: tuple[torch.Tensor, ...], x: torch.Tensor, y: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor]:
            predicted = outputs(params, x)
            nll = negative_log_likelihood(likelihood, predicted, y).mean()
            return nll, mistakes(likelihood, predicted, y).mean()

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
        gradients = self._call("step", self._gradient_of_rows, x, y, rows)
        for parameter, gradient in zip(self._params.values(), gradients, strict=True):
            parameter.grad = gradient
        self._rule.step()

    def judge(self, x: torch.Tensor, y: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Mean loss and error rate (mean squared residual) of every network, each (n_active,)."""
        loss, error = self._call("judge", lambda x, y, *p: self._judge(p, x, y), x, y)
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
        self._traced.clear()

    def _gradient_of_rows(
        self, x: torch.Tensor, y: torch.Tensor, rows: torch.Tensor, *params: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        # index_select copies whole rows, several times as fast as x[rows] does.
        batch = [a.index_select(0, rows.flatten()).unflatten(0, rows.shape) for a in (x, y)]
        return self._gradient(params, *batch)

    def _call(
        self, name: str, function: TensorFunction, *arguments: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """The function of ``arguments`` and all parameters, traced once."""
        arguments += tuple(self.params.values())
        if name not in self._traced:
            self._traced[name] = trace(function, *arguments)
        # It spares the book-keeping of views that no_grad still does.
        with torch.inference_mode():
            return self._traced[name](*arguments)


def _build(
    optimizer: Optimizer, params: Tensors, lr_factors: Mapping[str, float]
) -> torch.optim.Optimizer:
    """The optimiser, with one parameter group a learning rate where there are several."""
    if not lr_factors:
        return optimizer.build(params.values())
    groups: dict[float, list[torch.Tensor]] = {}
    for name, value in params.items():
        groups.setdefault(lr_factors.get(name, 1.0), []).append(value)
    rule = optimizer.build([{"params": values} for values in groups.values()])
    for group, factor in zip(rule.param_groups, groups, strict=True):
        group["lr"] *= factor
    return rule
