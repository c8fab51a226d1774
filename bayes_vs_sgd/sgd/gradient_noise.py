"""How noisy the gradient of a network is from one training row to another."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import nn
from torch.func import functional_call, grad, vmap

from ..likelihoods import Likelihood
from .found import Numbers
from .losses import negative_log_likelihood

# Entries of the gradients of single rows that are held at once.
_ENTRIES = 2**25

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Rows:
    """The training rows, and what says how much a network loses on them."""

    x: torch.Tensor
    y: torch.Tensor
    likelihood: Likelihood
    batch_size: int

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.x)

    def pieces(self, size: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Inputs and targets of ``size`` rows at a time."""
        return list(zip(self.x.split(size), self.y.split(size), strict=True))


def gradient_noise(module: nn.Module, rows: Rows) -> Numbers:
    """The gradient's variance, its squared norm and their ratio, with the errors of each.

    Returns:
        ``gradient_variance``, ``gradient_norm_squared`` and ``noise_scale`` as ``Sharpness`` defines
        them, each with ``_sem``; nothing where a gradient is not finite.
    """
    params = {name: p.detach() for name, p in module.named_parameters()}

    def loss(params: Tensors, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return negative_log_likelihood(
            rows.likelihood, functional_call(module, params, (x,)), y
        ).sum()

    def of_row(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return _flat(grad(loss)(params, x[None], y[None]))

    total = torch.zeros(sum(p.numel() for p in params.values()), dtype=torch.float64)
    for x, y in rows.pieces(rows.batch_size):
        total += _flat(grad(loss)(params, x, y))
    squares, along = [], []
    for x, y in rows.pieces(max(1, min(rows.batch_size, _ENTRIES // len(total)))):
        gradients = vmap(of_row)(x, y)
        squares.append(gradients.square().sum(1))
        along.append(gradients @ total)
    norms = torch.cat(squares)
    if not torch.isfinite(norms.sum() + total @ total):
        return {}
    return _noise(norms.numpy(), torch.cat(along).numpy(), float(total @ total))


def _flat(by_name: Tensors) -> torch.Tensor:
    return torch.cat([value.flatten() for value in by_name.values()])


def _noise(
    squares: Float[np.ndarray, " n"], along: Float[np.ndarray, " n"], total: float
) -> Numbers:
    """The numbers and their jackknife errors from |g_i|², g_i·S and |S|²."""
    n = len(squares)
    variance, signal = _unbiased(n, squares.sum(), total)
    without = _unbiased(n - 1, squares.sum() - squares, total - 2 * along + squares)
    found = {
        "gradient_variance": variance,
        "gradient_variance_sem": _jackknife(without[0]),
        "gradient_norm_squared": signal,
        "gradient_norm_squared_sem": _jackknife(without[1]),
        "noise_scale": math.inf,
        "noise_scale_sem": math.inf,
    }
    if signal > 0:
        scale = variance / signal
        # To first order: what is left out may well turn the denominator negative.
        sem = _jackknife(without[0] - scale * without[1]) / signal
        found |= {"noise_scale": scale, "noise_scale_sem": sem}
    return found


def _unbiased(n: int, squares: Any, total: Any) -> tuple[Any, Any]:
    """The unbiased tr Σ and |G|² from Σ|g_i|² and |S|² of n rows."""
    return (squares - total / n) / (n - 1), (total - squares) / (n * (n - 1))


def _jackknife(without: Float[np.ndarray, " n"]) -> float:
    """The standard error from what comes out without each row in turn."""
    n = len(without)
    return float(np.sqrt((n - 1) / n * np.square(without - without.mean()).sum()))
