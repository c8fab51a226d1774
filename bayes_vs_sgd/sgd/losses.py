"""Training losses: the negative log likelihood of a row, in torch."""

import math

import torch
from torch.nn import functional

from ..likelihoods import Bernoulli, Categorical, Gaussian, Likelihood, Signs, Tokens

# Softplus is the identity above this, which is exact in double precision.
_LINEAR_ABOVE = 40.0


def negative_log_likelihood(
    likelihood: Likelihood,
    outputs: torch.Tensor,
    y: torch.Tensor,
    *,
    label_smoothing: float = 0.0,
) -> torch.Tensor:
    """−log p(y | outputs) of every row: the torch twin of ``likelihood.log_prob``.

    With smoothing s and C classes it is (1 − s)·(−log p_y) + (s/C) Σ_c (−log p_c), the loss of
    ``torch.nn.CrossEntropyLoss(label_smoothing=s)``; for ``Tokens``, the sum of that over the tokens of
    the row that are not padding.

    Args:
        likelihood: One of ``likelihoods``.
        outputs: Shape (n, ...).
        y: Targets of shape (n, ...).
        label_smoothing: s, in [0, 1].

    Returns:
        Shape (n,).

    Raises:
        ValueError: The likelihood has no torch form, its noise level is no number, real targets are
            to be smoothed, or there is not one token for every position.
    """
    if isinstance(likelihood, Categorical):
        # What cross_entropy computes, without its search for ignored classes in every step.
        log_probs = functional.log_softmax(outputs, -1)
        hard = -log_probs.gather(-1, y[:, None])[:, 0]
        if label_smoothing == 0:
            return hard
        return (1 - label_smoothing) * hard - label_smoothing * log_probs.mean(-1)
    if isinstance(likelihood, Tokens):
        likelihood.require_positions(tuple(outputs.shape), tuple(y.shape))
        log_probs = functional.log_softmax(outputs, -1)
        losses = -log_probs.gather(-1, y[..., None])[..., 0]
        if label_smoothing != 0:
            losses = (1 - label_smoothing) * losses - label_smoothing * log_probs.mean(-1)
        return torch.where(_counted(likelihood, y), losses, 0).sum(-1)
    if isinstance(likelihood, Bernoulli):
        logit = outputs.reshape(outputs.shape[0])
        wrong = logit * (y.to(logit.dtype) * -2 + 1)
        hard = functional.softplus(wrong, threshold=_LINEAR_ABOVE)
        # −log p of the other class is larger by the margin.
        return hard if label_smoothing == 0 else hard - 0.5 * label_smoothing * wrong
    if label_smoothing != 0:
        raise ValueError(
            f"label_smoothing={label_smoothing} needs classes, and {type(likelihood).__name__} has "
            "none; pass 0."
        )
    if isinstance(likelihood, Gaussian):
        residual = (outputs.flatten(1) if outputs.ndim > 1 else outputs[:, None]) - y.reshape(
            y.shape[0], -1
        )
        std = likelihood.known_std()
        constant = math.log(std) + 0.5 * math.log(2 * math.pi)
        return (0.5 * (residual / std) ** 2 + constant).sum(1)
    if isinstance(likelihood, Signs):
        residual = outputs.reshape(outputs.shape[0]) - (y.to(outputs.dtype) * 2 - 1)
        constant = math.log(likelihood.std) + 0.5 * math.log(2 * math.pi)
        return 0.5 * (residual / likelihood.std) ** 2 + constant
    raise ValueError(
        f"{type(likelihood).__name__} has no torch loss; pass Categorical, Bernoulli, Signs, Tokens or "
        "Gaussian."
    )


def mistakes(likelihood: Likelihood, outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """What ``train_error`` and ``test_error`` are means of, row by row.

    1 where the predicted class is wrong; the share of wrong tokens among those of the row that are not
    padding, 0 where all are; or the squared residual of a real target.

    Returns:
        Shape (n,).
    """
    if isinstance(likelihood, Categorical):
        return (outputs.argmax(-1) != y).to(outputs.dtype)
    if isinstance(likelihood, Tokens):
        counted = _counted(likelihood, y)
        wrong = (outputs.argmax(-1) != y) & counted
        return wrong.sum(-1).to(outputs.dtype) / counted.sum(-1).clamp(min=1)
    if isinstance(likelihood, Bernoulli | Signs):
        return ((outputs.reshape(outputs.shape[0]) > 0) != (y == 1)).to(outputs.dtype)
    return (outputs.reshape(outputs.shape[0], -1) - y.reshape(y.shape[0], -1)).square().sum(1)


def _counted(likelihood: Tokens, y: torch.Tensor) -> torch.Tensor:
    """True where a token is no padding."""
    return torch.ones_like(y, dtype=torch.bool) if likelihood.pad is None else y != likelihood.pad
