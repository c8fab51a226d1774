"""Bayesian model averages and ensembles: member predictions → averaged prediction → metrics."""

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from .checks import require_count
from .likelihoods import Categorical, Gaussian, Likelihood
from .priors import LOG_NOISE_STD
from .programs import Bound, found_again
from .types import Draws, Estimate

# Of rows with one class each, (..., n, c), or of rows of tokens, (..., n, length, c).
LogProbs = Float[np.ndarray, "... c"]
Classes = Int[np.ndarray, "n ..."]

_N_BINS = 15
_N_RESAMPLES = 200
# Bytes of draws that are on the device at once.
_PIECE = 2**28
# Bytes of activations that are there at once, those of a row being taken for so many times its inputs.
_ACTIVATIONS, _ROOM = 2**31, 256


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
    """The prediction of every draw: log probabilities of classes or tokens, or means of real targets.

    Draws are taken one after another, chains side by side, and rows in pieces, so memory grows by a few
    activations only; draws on the disk are read piece by piece.

    Args:
        network: Its ``apply`` maps parameters and inputs to outputs.
        draws: Parameters by name with the axes (chain, draw), and what is sampled beside them: a noise
            level.
        x: Inputs, shape (n, ...).
        likelihood: Says what the outputs mean.
    """
    params, _ = _split_noise(draws.params, likelihood)
    return _of_every_draw(Bound(_predicted, (network, likelihood)), params, draws, np.asarray(x))


def rows_at_once(x: np.ndarray, n_chains: int) -> int:
    """Rows that ``predict`` takes at once for so many chains.

    As many as have 2 GB of activations, those of a row in one chain being taken for 256 times the bytes of
    its inputs.
    """
    bytes_a_row = n_chains * _ROOM * x.nbytes / len(x)
    return max(1, min(len(x), int(_ACTIVATIONS // bytes_a_row)))


def bma(log_probs: Float[np.ndarray, "chain draw ..."]) -> Float[np.ndarray, "..."]:
    """The model average log (1/M) Σ_m p_m over all chains and draws, M in number.

    Of tokens it is the average of the distribution of each token given those before it.

    Over the draws of a sampler this is the Bayesian model average; over networks trained from
    different seeds it is a deep ensemble. Members that predict NaN, which are networks that failed,
    are left out with a ``LeftOutWarning``.

    Raises:
        ValueError: All members predict NaN.
    """
    return _average(np.asarray(log_probs), axis=(0, 1))


def ensembles(
    log_probs: Float[np.ndarray, "chain draw ..."], size: int
) -> Float[np.ndarray, "group ..."]:
    """Disjoint ensembles of ``size`` chains each, from the last draw of every chain.

    Chains that fill no group are left out, and so are members that predict NaN, with a
    ``LeftOutWarning``.

    Raises:
        ValueError: There are fewer chains than one ensemble needs, or all of one predict NaN.
    """
    return _average(_groups(np.asarray(log_probs), size), axis=(1,))


def metrics(log_probs: LogProbs, y: Classes, pad: int | None = 0) -> dict[str, Estimate]:
    """Error, NLL, Brier score and ECE of predictions, each with its error over the test rows.

    error = mean 1[argmax p ≠ y]; nll = −mean log p_y; brier = mean Σ_c (p_c − 1[c = y])²;
    ece = Σ_bins (n_b/n)·|accuracy − confidence| with 15 equal bins (Guo et al. 2017).

    Where a row holds tokens, its loss is the mean over those that are not padding (NLL in nats a token),
    and the ECE is that of all such tokens.

    Args:
        log_probs: Log probabilities, shape (..., n, c); to judge an average pass ``bma(log_probs)``. Of
            tokens (..., n, length, c).
        y: Classes, shape (n,), or tokens, shape (n, length).
        pad: The token that does not count, as in ``likelihoods.Tokens``; None where all do. Without
            meaning for classes of shape (n,).

    Returns:
        Metric → ``Estimate`` whose value and sem have shape (...). The sem is that of a mean over
        test rows; for the ECE it is the standard deviation over 200 bootstrap resamples of them.

    Raises:
        ValueError: Shapes do not fit, or a row holds padding alone.
    """
    log_probs, y = np.asarray(log_probs), np.asarray(y)
    result = {name: _mean(losses) for name, losses in pointwise(log_probs, y, pad).items()}
    rng = np.random.default_rng(0)
    resamples = rng.integers(0, len(y), (_N_RESAMPLES, len(y)))
    bins, gap, counted = _gaps(log_probs, y, pad)
    again = []
    for rows in resamples:
        chosen_bins, chosen_gap = (np.take(a, rows, axis=-y.ndim) for a in (bins, gap))
        again.append(_calibration_error(chosen_bins, chosen_gap, counted[rows]))
    value = _calibration_error(bins, gap, counted)
    return result | {"ece": Estimate(value, np.std(again, axis=0, ddof=1))}


def pointwise(
    log_probs: LogProbs, y: Classes, pad: int | None = 0
) -> dict[str, Float[np.ndarray, "... n"]]:
    """Error, NLL and Brier score of every row, shape (..., n); see ``metrics``."""
    counted = _counted(log_probs, y, pad)
    of_truth = np.take_along_axis(
        log_probs, np.broadcast_to(y[..., None], (*log_probs.shape[:-1], 1)), axis=-1
    )[..., 0]
    probs = np.exp(log_probs)
    losses = {
        "error": (log_probs.argmax(axis=-1) != y).astype(np.float64),
        "nll": -of_truth.astype(np.float64),
        "brier": (probs**2).sum(axis=-1, dtype=np.float64) - 2 * np.exp(of_truth) + 1,
    }
    if y.ndim == 1:
        return losses
    length = counted.sum(axis=-1)
    # Not a product: what is predicted of padding may be −inf.
    return {name: np.where(counted, a, 0).sum(axis=-1) / length for name, a in losses.items()}


def ece(log_probs: LogProbs, y: Classes, pad: int | None = 0) -> np.ndarray:
    """Expected calibration error with 15 equal bins of confidence, shape (...); see ``metrics``."""
    return _calibration_error(*_gaps(log_probs, y, pad))


def calibration_gap(
    log_probs: LogProbs, y: Classes, pad: int | None = 0
) -> Float[np.ndarray, "... n"]:
    """The part of every row in the ECE, whose mean over the rows is the ECE.

    g_i = sign(Σ_{j in the bin of i} (correct_j − confidence_j))·(correct_i − confidence_i); of a row of
    tokens it is (n/n_tokens) Σ_t g_it.

    Args:
        log_probs: As in ``metrics``.
        y: As in ``metrics``.
        pad: As in ``metrics``.

    Returns:
        Shape (..., n).
    """
    bins, gap, counted = _gaps(log_probs, y, pad)
    axes = tuple(range(-counted.ndim, 0))
    signed = np.zeros_like(gap)
    for b in range(_N_BINS):
        inside = np.where(bins == b, gap, 0)
        signed += np.sign(inside.sum(axis=axes, keepdims=True)) * inside
    return signed.sum(axis=axes[1:]) * (len(y) / int(counted.sum()))


@dataclass(frozen=True)
class Regression:
    """Predictions of real targets, of members or of an average.

    Attributes:
        mean: Predictive means, shape (..., n, k).
        log_density: log p(y_i | x_i) over the k components together, shape (..., n).
        y: Targets, shape (n, k).

    Raises:
        ValueError: Shapes do not fit.
    """

    mean: Float[np.ndarray, "... n k"]
    log_density: Float[np.ndarray, "... n"]
    y: Float[np.ndarray, "n k"]

    def __post_init__(self) -> None:
        if self.mean.shape[:-1] != self.log_density.shape or self.mean.shape[-2:] != self.y.shape:
            raise ValueError(
                f"mean has shape {self.mean.shape}, log_density {self.log_density.shape} and y "
                f"{self.y.shape}; they must be (..., n, k), (..., n) and (n, k)."
            )

    def bma(self) -> "Regression":
        """The average of members with the axes (chain, draw).

        Its predictive distribution is the mixture (1/M) Σ_m p_m: mean = (1/M) Σ_m mean_m and
        log_density = log (1/M) Σ_m exp log_density_m. Members whose predictions are not finite, which
        are networks that failed, are left out with a ``LeftOutWarning``.

        Raises:
            ValueError: All members are left out.
        """
        return self._average(self.mean, self.log_density, axis=(0, 1))

    def ensembles(self, size: int) -> "Regression":
        """Disjoint ensembles of ``size`` chains each, from the last draw of every chain.

        Raises:
            ValueError: There are fewer chains than one ensemble needs, or all of one are left out.
        """
        mean, log_density = (_groups(a, size) for a in (self.mean, self.log_density))
        return self._average(mean, log_density, axis=(1,))

    def pointwise(self) -> dict[str, Float[np.ndarray, "... n"]]:
        """Losses of every row: mse = Σ_k (mean_k − y_k)², nll = −log_density, shape (..., n).

        ``mse`` is in the square of the targets' unit, ``nll`` in nats.
        """
        return {
            "mse": ((self.mean.astype(np.float64) - self.y) ** 2).sum(axis=-1),
            "nll": -self.log_density.astype(np.float64),
        }

    def metrics(self) -> dict[str, Estimate]:
        """The means of ``pointwise`` over the rows, each with its standard error; shape (...)."""
        return {name: _mean(losses) for name, losses in self.pointwise().items()}

    def _average(
        self, mean: np.ndarray, log_density: np.ndarray, axis: tuple[int, ...]
    ) -> "Regression":
        bad = ~np.isfinite(mean).all(axis=-1) | np.isnan(log_density)
        kept = ~_lost(bad, axis, "values that are not finite")
        total = np.where(kept[..., None], mean, 0).sum(axis=axis, dtype=np.float64)
        return Regression(
            total / kept.sum(axis=axis)[..., None],
            _log_mean_exp(np.where(kept, log_density, -np.inf), kept, axis),
            self.y,
        )


def regression(
    network: Applied,
    draws: Draws,
    x: np.ndarray,
    y: np.ndarray,
    likelihood: Gaussian = Gaussian(),  # noqa: B008
) -> Regression:
    """The predictive distribution of every draw, N(outputs, std²), at rows with real targets.

    Args:
        network: Its ``apply`` maps parameters and inputs to outputs.
        draws: Parameters by name with the axes (chain, draw). Where the noise level is sampled they hold
            its logarithm as ``"log_noise_std"`` too, as draws of ``Posterior.of`` do; keep it where
            ``collect`` is given.
        x: Inputs, shape (n, ...).
        y: Targets, shape (n,) or (n, ...).
        likelihood: That of the posterior: std is known, or one of every draw.

    Returns:
        ``mean`` of shape (chain, draw, n, k), ``log_density`` of shape (chain, draw, n).

    Raises:
        ValueError: Targets do not fit the outputs, or the draws hold no noise level though the
            likelihood samples it.
    """
    targets = np.asarray(y).reshape(len(y), -1)
    params, log_std = _split_noise(draws.params, likelihood)
    if likelihood.noise is not None and log_std is None:
        raise ValueError(
            f"the draws hold no {LOG_NOISE_STD!r}, the noise level that the likelihood samples; keep it "
            "in collect, or pass Gaussian(std=…) with a number."
        )

    one = jax.tree.map(lambda a: np.asarray(a[0, 0]), params)
    outputs = jax.eval_shape(network.apply, one, np.asarray(x)).shape
    if (outputs[0], math.prod(outputs[1:])) != targets.shape:
        raise ValueError(
            f"y has shape {np.shape(y)} and the outputs have {outputs}; they must have the same rows "
            "and components."
        )
    of_one = Bound(_mean_and_density, (network, likelihood))
    mean, log_density = _of_every_draw(of_one, (params, log_std), draws, np.asarray(x), targets)
    return Regression(mean, log_density, targets)


def _predicted(network: Applied, likelihood: Likelihood, params: Any, inputs: Any) -> Any:
    return likelihood.predict(network.apply(params, inputs))


def _mean_and_density(
    network: Applied, likelihood: Gaussian, variables: Any, inputs: Any, rows: Any
) -> tuple[Any, Any]:
    params, log_std = variables
    outputs = network.apply(params, inputs).reshape(len(inputs), -1)
    std = None if log_std is None else jnp.exp(log_std)
    return outputs, likelihood.log_prob(outputs, rows, std)


def _split_noise(params: Any, likelihood: Likelihood) -> tuple[Any, Any]:
    """Parameters of the network, and the logarithm of a sampled noise level or None."""
    is_sampled = isinstance(likelihood, Gaussian) and likelihood.noise is not None
    if not (is_sampled and isinstance(params, Mapping) and LOG_NOISE_STD in params):
        return params, None
    own = {name: value for name, value in params.items() if name != LOG_NOISE_STD}
    return own, params[LOG_NOISE_STD]


@found_again(32)
def _compiled(of_one: Callable[..., Any]) -> Callable[..., Any]:
    """Variables with the axes (draw, chain), rows → ``of_one`` of each, one draw after another."""
    return jax.jit(
        lambda variables, *rows: jax.lax.map(jax.vmap(lambda one: of_one(one, *rows)), variables)
    )


def _of_every_draw(
    of_one: Callable[..., Any], variables: Any, draws: Draws, *rows: np.ndarray
) -> Any:
    """``of_one`` of the variables of every draw and of rows: leaves (chain, draw, row, ...), in pieces."""
    of_draws = _compiled(of_one)
    bytes_a_draw = sum(a.nbytes for a in jax.tree.leaves(variables)) / draws.n_draws
    length = max(1, min(draws.n_draws, int(_PIECE // bytes_a_draw)))
    n_at_once = rows_at_once(rows[0], draws.n_chains)
    by_draws = []
    for start in range(0, draws.n_draws, length):
        piece = jax.tree.map(lambda a, i=start: np.asarray(a[:, i : i + length]), variables)
        by_draw = jax.tree.map(lambda a: jnp.asarray(np.swapaxes(a, 0, 1)), piece)
        by_rows = []
        for first in range(0, len(rows[0]), n_at_once):
            some = [jnp.asarray(r[first : first + n_at_once]) for r in rows]
            found = of_draws(by_draw, *some)
            by_rows.append(jax.tree.map(lambda a: np.swapaxes(np.asarray(a), 0, 1), found))
        by_draws.append(jax.tree.map(lambda *parts: np.concatenate(parts, axis=2), *by_rows))
    return jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *by_draws)


def _groups(members: np.ndarray, size: int) -> np.ndarray:
    """The last draws of the chains with the axes (group, member)."""
    require_count("size", size)
    n_groups = len(members) // size
    if n_groups == 0:
        raise ValueError(f"size={size} exceeds the {len(members)} chains; train more seeds.")
    last = members[: n_groups * size, -1]
    return last.reshape(n_groups, size, *last.shape[1:])


def _mean(losses: Float[np.ndarray, "... n"]) -> Estimate:
    sem = losses.std(axis=-1, ddof=1) / np.sqrt(losses.shape[-1])
    return Estimate(losses.mean(axis=-1), sem)


def _counted(log_probs: LogProbs, y: Classes, pad: int | None) -> Bool[np.ndarray, "n ..."]:
    """True where a class or token counts, in the shape of y.

    Raises:
        ValueError: Shapes do not fit, or a row holds padding alone.
    """
    if y.ndim not in (1, 2) or log_probs.shape[-1 - y.ndim : -1] != y.shape:
        raise ValueError(
            f"log_probs has shape {log_probs.shape} and y has {y.shape}; pass (..., n, c) with (n,), "
            "or (..., n, length, c) with (n, length)."
        )
    counted = np.ones(y.shape, dtype=bool) if y.ndim == 1 or pad is None else y != pad
    empty = np.flatnonzero(~counted.reshape(len(y), -1).any(axis=1))
    if len(empty):
        raise ValueError(
            f"{len(empty)} rows of y, the first of them row {empty[0]}, hold pad={pad} alone; leave "
            "them out."
        )
    return counted


def _gaps(
    log_probs: LogProbs, y: Classes, pad: int | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bin of confidence, correct − confidence (0 where nothing counts), and what counts."""
    counted = _counted(log_probs, y, pad)
    confidence = np.exp(log_probs.max(axis=-1))
    gap = np.where(counted, (log_probs.argmax(axis=-1) == y) - confidence, 0)
    bins = np.minimum((confidence * _N_BINS).astype(int), _N_BINS - 1)
    return bins, gap, counted


def _calibration_error(bins: np.ndarray, gap: np.ndarray, counted: np.ndarray) -> np.ndarray:
    axes = tuple(range(-counted.ndim, 0))
    total = np.stack([np.where(bins == b, gap, 0).sum(axis=axes) for b in range(_N_BINS)])
    return np.abs(total).sum(axis=0) / int(counted.sum())


def _average(log_probs: np.ndarray, axis: tuple[int, ...]) -> np.ndarray:
    lost = _lost(np.isnan(log_probs), axis, "NaN")
    return _log_mean_exp(np.where(lost, -np.inf, log_probs), ~lost, axis)


def _lost(bad: np.ndarray, axis: tuple[int, ...], values: str) -> Bool[np.ndarray, "..."]:
    """True for members with a bad prediction anywhere, with axes of length 1 after the first two."""
    lost = bad.any(axis=tuple(range(2, bad.ndim)), keepdims=True)
    if lost.any():
        warnings.warn(
            f"{int(lost.sum())} of {lost.size} members predict {values} and are left out of the "
            "average; draws.running() leaves out the chains that stopped.",
            LeftOutWarning,
            stacklevel=4,
        )
        if lost.all(axis=axis).any():
            raise ValueError(f"all members of an average predict {values}; lower the step size.")
    return lost


def _log_mean_exp(values: np.ndarray, kept: np.ndarray, axis: tuple[int, ...]) -> np.ndarray:
    """The average log (1/M) Σ exp values, M the number of members that are kept."""
    top = values.max(axis=axis, keepdims=True)
    # A class that no member allows has −inf everywhere.
    top = np.where(np.isfinite(top), top, 0)
    total = np.exp(values - top).sum(axis=axis, keepdims=True, dtype=np.float64)
    with np.errstate(divide="ignore"):
        mean = np.log(total / kept.sum(axis=axis, keepdims=True)) + top
    return np.squeeze(mean, axis=axis)
