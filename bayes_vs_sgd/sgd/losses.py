"""Training losses: the negative log likelihood of a row, in torch."""

import math

import torch
from torch.nn import functional

from ..likelihoods import Bernoulli, Categorical, Gaussian, Likelihood


def negative_log_likelihood(
    likelihood: Likelihood, outputs: torch.Tensor, y: torch.Tensor
) -> torch.Tensor:
    """−log p(y | outputs) of every row: the torch twin of ``likelihood.log_prob``.

    Args:
        likelihood: One of ``likelihoods``.
        outputs: Shape (n, ...).
        y: Targets of shape (n, ...).

    Returns:
        Shape (n,).

    Raises:
        ValueError: The likelihood has no torch form, or its noise level is no number.
    """
    if isinstance(likelihood, Categorical):
        # What cross_entropy computes, without its search for ignored classes in every step.
        return -functional.log_softmax(outputs, -1).gather(-1, y[:, None])[:, 0]
    if isinstance(likelihood, Bernoulli):
        logit = outputs.reshape(outputs.shape[0])
        return functional.binary_cross_entropy_with_logits(
            logit, y.to(logit.dtype), reduction="none"
        )
    if isinstance(likelihood, Gaussian):
        residual = (outputs.flatten(1) if outputs.ndim > 1 else outputs[:, None]) - y.reshape(
            y.shape[0], -1
        )
        std = likelihood.known_std()
        constant = math.log(std) + 0.5 * math.log(2 * math.pi)
        return (0.5 * (residual / std) ** 2 + constant).sum(1)
    raise ValueError(
        f"{type(likelihood).__name__} has no torch loss; pass Categorical, Bernoulli or Gaussian."
    )


def mistakes(likelihood: Likelihood, outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """1 where the predicted class is wrong, or the squared residual of a real target; shape (n,)."""
    if isinstance(likelihood, Categorical):
        return (outputs.argmax(-1) != y).to(outputs.dtype)
    if isinstance(likelihood, Bernoulli):
        return ((outputs.reshape(outputs.shape[0]) > 0) != (y == 1)).to(outputs.dtype)
    return (outputs.reshape(outputs.shape[0], -1) - y.reshape(y.shape[0], -1)).square().sum(1)
