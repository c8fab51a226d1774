"""Bayesian model averages and ensembles: member predictions → averaged prediction → metrics."""

import warnings
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from .checks import require_count
from .likelihoods import Categorical, Likelihood
from .types import Draws, Estimate

LogProbs = Float[np.ndarray, "... n c"]

_N_BINS = 15
_N_RESAMPLES = 200
# Bytes of draws that are on the device at once.
_PIECE = 2**28


class Applied(Protocol):
    """What a prediction needs of a network."""

    def apply(self, params: Any, *inputs: Any) -> Any:
        """The network's output as a pure JAX function."""
        ...


class LeftOutWarning(UserWarning):
    """Members without a finite prediction were left out of an average."""


def predict(
    network: Applied,
    draws: Draws,
    x: np.ndarray,
    likelihood: Likelihood = Categorical(),  # noqa: B008
) -> Float[np.ndarray, "chain draw n ..."]:
    """The prediction of every draw: log probabilities of classes (or means of real targets).

    Draws are taken one after another and chains side by side, so memory grows by one draw of
    activations only; draws on the disk are read piece by piece.

    Args:
        network: Its ``apply`` maps parameters and inputs to outputs.
        draws: Parameters by name with the axes (chain, draw).
        x: Inputs, shape (n, ...).
        likelihood: Says what the outputs mean.
    """
    inputs = jnp.asarray(x)

    def of_chains(params: Any) -> Any:
        return jax.vmap(lambda p: likelihood.predict(network.apply(p, inputs)))(params)

    of_draws = jax.jit(lambda p: jax.lax.map(of_chains, p))
    bytes_a_draw = sum(a.nbytes for a in jax.tree.leaves(draws.params)) / draws.n_draws
    length = max(1, min(draws.n_draws, int(_PIECE // bytes_a_draw)))
    pieces = []
    for start in range(0, draws.n_draws, length):
        piece = jax.tree.map(lambda a, i=start: np.asarray(a[:, i : i + length]), draws.params)
        by_draw = jax.tree.map(lambda a: jnp.swapaxes(jnp.asarray(a), 0, 1), piece)
        pieces.append(np.asarray(jnp.swapaxes(of_draws(by_draw), 0, 1)))
    return np.concatenate(pieces, axis=1)


def bma(log_probs: Float[np.ndarray, "chain draw n c"]) -> Float[np.ndarray, "n c"]:
    """The model average log (1/M) Σ_m p_m over all chains and draws, M in number.

    Over the draws of a sampler this is the Bayesian model average; over networks trained from
    different seeds it is a deep ensemble. Members that predict NaN, which are networks that failed,
    are left out with a ``LeftOutWarning``.

    Raises:
        ValueError: All members predict NaN.
    """
    return _average(np.asarray(log_probs), axis=(0, 1))


def ensembles(
    log_probs: Float[np.ndarray, "chain draw n c"], size: int
) -> Float[np.ndarray, "group n c"]:
    """Disjoint ensembles of ``size`` chains each, from the last draw of every chain.

    Chains that fill no group are left out, and so are members that predict NaN, with a
    ``LeftOutWarning``.

    Raises:
        ValueError: There are fewer chains than one ensemble needs, or all of one predict NaN.
    """
    require_count("size", size)
    n_groups = len(log_probs) // size
    if n_groups == 0:
        raise ValueError(f"size={size} exceeds the {len(log_probs)} chains; train more seeds.")
    last = np.asarray(log_probs)[: n_groups * size, -1]
    return _average(last.reshape(n_groups, size, *last.shape[1:]), axis=(1,))


def metrics(log_probs: LogProbs, y: Int[np.ndarray, " n"]) -> dict[str, Estimate]:
    """Error, NLL, Brier score and ECE of predictions, each with its error over the test rows.

    error = mean 1[argmax p ≠ y]; nll = −mean log p_y; brier = mean Σ_c (p_c − 1[c = y])²;
    ece = Σ_bins (n_b/n)·|accuracy − confidence| with 15 equal bins (Guo et al. 2017).

    Args:
        log_probs: Log probabilities, shape (..., n, c); to judge an average pass ``bma(log_probs)``.
        y: Classes, shape (n,).

    Returns:
        Metric → ``Estimate`` whose value and sem have shape (...). The sem is that of a mean over
        test rows; for the ECE it is the standard deviation over 200 bootstrap resamples of them.
    """
    log_probs, y = np.asarray(log_probs), np.asarray(y)
    result = {}
    for name, losses in pointwise(log_probs, y).items():
        result[name] = Estimate(
            losses.mean(axis=-1), losses.std(axis=-1, ddof=1) / np.sqrt(losses.shape[-1])
        )
    rng = np.random.default_rng(0)
    resamples = rng.integers(0, len(y), (_N_RESAMPLES, len(y)))
    again = np.stack([ece(log_probs[..., rows, :], y[rows]) for rows in resamples])
    result["ece"] = Estimate(ece(log_probs, y), again.std(axis=0, ddof=1))
    return result


def pointwise(
    log_probs: LogProbs, y: Int[np.ndarray, " n"]
) -> dict[str, Float[np.ndarray, "... n"]]:
    """Error, NLL and Brier score of every row, shape (..., n); see ``metrics``."""
    of_truth = np.take_along_axis(
        log_probs, np.broadcast_to(y[:, None], (*log_probs.shape[:-1], 1)), axis=-1
    )[..., 0]
    probs = np.exp(log_probs)
    return {
        "error": (log_probs.argmax(axis=-1) != y).astype(np.float64),
        "nll": -of_truth.astype(np.float64),
        "brier": (probs**2).sum(axis=-1, dtype=np.float64) - 2 * np.exp(of_truth) + 1,
    }


def ece(log_probs: LogProbs, y: Int[np.ndarray, " n"]) -> np.ndarray:
    """Expected calibration error with 15 equal bins of confidence, shape (...)."""
    confidence = np.exp(log_probs.max(axis=-1))
    gap = (log_probs.argmax(axis=-1) == y) - confidence
    bins = np.minimum((confidence * _N_BINS).astype(int), _N_BINS - 1)
    total = np.stack([np.where(bins == b, gap, 0).sum(axis=-1) for b in range(_N_BINS)])
    return np.abs(total).sum(axis=0) / len(y)


def _average(log_probs: np.ndarray, axis: tuple[int, ...]) -> np.ndarray:
    lost = np.isnan(log_probs).any(axis=(-2, -1), keepdims=True)
    if lost.any():
        warnings.warn(
            f"{int(lost.sum())} of {lost.size} members predict NaN and are left out of the average; "
            "draws.running() leaves out the chains that stopped.",
            LeftOutWarning,
            stacklevel=3,
        )
        if lost.all(axis=axis).any():
            raise ValueError("all members of an average predict NaN; lower the step size.")
        log_probs = np.where(lost, -np.inf, log_probs)
    top = log_probs.max(axis=axis, keepdims=True)
    # A class that no member allows has −inf everywhere.
    top = np.where(np.isfinite(top), top, 0)
    total = np.exp(log_probs - top).sum(axis=axis, keepdims=True, dtype=np.float64)
    with np.errstate(divide="ignore"):
        mean = np.log(total / (~lost).sum(axis=axis, keepdims=True)) + top
    return np.squeeze(mean, axis=axis)
