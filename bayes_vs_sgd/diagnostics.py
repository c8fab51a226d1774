"""Has it converged, in function space? And everything as an ArviZ ``DataTree``."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import arviz as az
import jax
import numpy as np
import pandas as pd
import xarray as xr
from arviz_stats.base import array_stats
from jaxtyping import Float

from .types import Dataset, Draws

LogProbs = Float[np.ndarray, "chain draw n c"]

# Looser than the 1.01 asked of a single quantity: this is the worst of some hundred predictions.
MAX_RHAT = 1.05
MIN_ESS = 50


# Statistics of ``Draws`` under ArviZ's names, and what a summary calls them.
_MEANS = {
    "acceptance_rate": "acceptance",
    "step_size": "step_size",
    "n_steps": "n_steps",
    "tree_depth": "tree_depth",
    "kinetic_temperature": "kinetic_temperature",
}
_COUNTS = {"diverging": "divergences", "reached_max_treedepth": "n_at_max_tree_depth"}


@dataclass(frozen=True)
class Convergence:
    """The worst over what was judged: predicted probabilities, or values that were kept.

    Attributes:
        rhat: Largest rank-normalised split R-hat (Vehtari et al. 2021).
        ess_bulk: Smallest bulk effective sample size, all chains together.
        ess_tail: Smallest tail effective sample size.
        n_values: How many were looked at.
        divergences: Divergent transitions after the warm-up.
        by_value: ``r_hat``, ``ess_bulk``, ``ess_tail`` of each: (point, class), or (value,).
        what: What was judged, ``"predictions"`` or ``"values"``.
    """

    rhat: float
    ess_bulk: float
    ess_tail: float
    n_values: int
    divergences: int
    by_value: xr.Dataset = field(repr=False)
    what: str = "predictions"

    @property
    def converged(self) -> bool:
        """R-hat at most 1.05 and bulk ESS at least 50, in the worst case."""
        return self.rhat <= MAX_RHAT and self.ess_bulk >= MIN_ESS

    def figures(self) -> dict[str, float]:
        """The worst cases and the judgement as plain numbers, for attributes and tables."""
        return {
            "rhat": self.rhat,
            "ess_bulk": self.ess_bulk,
            "ess_tail": self.ess_tail,
            "n_values": self.n_values,
            "divergences": self.divergences,
            "converged": int(self.converged),
        }

    def __str__(self) -> str:
        space = "function-space " if self.what == "predictions" else ""
        return (
            f"{space}R-hat {self.rhat:.3f}, ESS {self.ess_bulk:.0f} (bulk) and "
            f"{self.ess_tail:.0f} (tail) in the worst of {self.n_values} {self.what}"
        )


class NotConvergedError(RuntimeError):
    """Raised by ``require_converged``."""


def function_convergence(draws: Draws, log_probs: LogProbs, n_points: int = 32) -> Convergence:
    """Judge chains by their predictions; weights have symmetries that chains need not cross.

    The quantities are the probabilities of every class at ``n_points`` evenly spaced rows. (A class's
    probability and its log have the same ranks, hence the same R-hat and bulk ESS.)

    Args:
        draws: Their ``stats`` count the divergences.
        log_probs: Predictions of every draw.
        n_points: Rows looked at.

    Raises:
        ValueError: Fewer than 4 draws a chain, predictions that are not finite, or chains that never
            move.
    """
    points = _evenly(log_probs.shape[2], n_points)
    values = np.exp(np.asarray(log_probs[:, :, points], dtype=np.float64))
    dims = {"point": points, "class": np.arange(values.shape[3])}
    return _judge(draws, values, dims, "predictions")


def convergence(draws: Draws, n_values: int = 256) -> Convergence:
    """Judge chains by the values that were kept: few parameters, or what ``collect`` returned.

    For the weights of a network ask ``function_convergence``: weights have symmetries that chains
    need not cross.

    Args:
        draws: Any draws of a sampler.
        n_values: Entries looked at of each array of ``draws.params``, evenly spaced.

    Raises:
        ValueError: Fewer than 4 draws a chain, values that are not finite, or chains that never move.
    """
    kept = [_thin_weights(v, n_values) for v in _by_name(draws.params).values()]
    values = np.concatenate(kept, axis=-1).astype(np.float64)
    return _judge(draws, values, {"value": np.arange(values.shape[2])}, "values")


def _judge(
    draws: Draws, values: np.ndarray, coords: Mapping[str, np.ndarray], what: str
) -> Convergence:
    if values.shape[1] < 4:
        raise ValueError(
            f"there are {values.shape[1]} draws a chain; R-hat and ESS need at least 4."
        )
    lost = np.flatnonzero(~np.isfinite(values).all(axis=tuple(range(1, values.ndim))))
    if len(lost):
        raise ValueError(
            f"chains {', '.join(map(str, lost))} hold {what} that are not finite; leave stopped "
            "chains out with draws.running()."
        )
    moves = np.ptp(values, axis=(0, 1)) > 0
    if not moves.any():
        raise ValueError(
            f"none of the {what} varies over the draws: the chains are stuck where they began."
        )
    axes = {"chain_axis": 0, "draw_axis": 1}
    # A value that is the same in every draw has no R-hat, and nothing to converge; one that is
    # constant in each chain but differs between chains has an infinite one.
    moving = values[..., moves]
    with np.errstate(divide="ignore", invalid="ignore"):
        figures = {
            "r_hat": array_stats.rhat(moving, **axes),
            "ess_bulk": array_stats.ess(moving, method="bulk", **axes),
            "ess_tail": array_stats.ess(moving, method="tail", prob=(0.05, 0.95), **axes),
        }
    found = {name: np.full(moves.shape, np.nan) for name in figures}
    for name, figure in figures.items():
        found[name][moves] = figure
    return Convergence(
        rhat=float(np.nanmax(found["r_hat"])),
        ess_bulk=float(np.nanmin(found["ess_bulk"])),
        ess_tail=float(np.nanmin(found["ess_tail"])),
        n_values=int(moves.sum()),
        divergences=int(np.sum(draws.stats.get("diverging", 0))),
        by_value=xr.Dataset(
            {name: (tuple(coords), value) for name, value in found.items()}, coords=dict(coords)
        ),
        what=what,
    )


def require_converged(convergence: Convergence) -> None:
    """Raise where the chains have not converged in function space.

    Raises:
        NotConvergedError: With the figures and the mend.
    """
    if not convergence.converged:
        raise NotConvergedError(
            f"{convergence}; the limits are {MAX_RHAT} and {MIN_ESS}. Run longer chains, more "
            "leapfrog steps or a longer warm-up."
        )


def to_datatree(
    draws: Draws,
    log_probs: LogProbs | None = None,
    *,
    dataset: Dataset | None = None,
    train_log_probs: LogProbs | None = None,
    n_points: int = 32,
    n_weights: int = 4,
    seed: int = 0,
) -> xr.DataTree:
    """Draws as an ArviZ ``DataTree`` with the standard groups.

    - ``posterior``: up to ``n_weights`` evenly spaced entries of every parameter, under its name.
      (All weights would cost ArviZ minutes and say little: their posterior is symmetric.)
    - ``sample_stats``: the sampler's statistics under ArviZ's names.
    - With ``log_probs``, ``predictions``: ``probability`` (chain, draw, point, class) at
      ``n_points`` test rows.
    - With ``dataset`` and ``train_log_probs``: ``log_likelihood`` of every training row, which
      ``arviz.loo`` and ``arviz.compare`` take; ``posterior_predictive``, one class a draw and row;
      ``observed_data`` and ``constant_data``.

    Args:
        draws: Parameters with the axes (chain, draw).
        log_probs: Predictions on test rows.
        dataset: Where labels and inputs come from.
        train_log_probs: Predictions on the training rows.
        n_points: Test rows kept.
        n_weights: Entries kept of each parameter.
        seed: Of the posterior predictive draws.
    """
    groups: dict[str, dict[str, Any]] = {
        "posterior": {n: _thin_weights(v, n_weights) for n, v in _by_name(draws.params).items()}
    }
    if log_probs is None:
        if draws.stats:
            groups["sample_stats"] = dict(draws.stats)
        return _datatree(groups)
    points = _evenly(log_probs.shape[2], n_points)
    groups["predictions"] = {"probability": np.exp(log_probs[:, :, points])}
    dims = {"y": ["row"], "x": ["row", "feature"]}
    test_dims = {"probability": ["point", "class"], "label": ["point"]}
    if draws.stats:
        groups["sample_stats"] = dict(draws.stats)
    if dataset is not None:
        labels, inputs = dataset.y_train, dataset.x_train.reshape(len(dataset.x_train), -1)
        groups["observed_data"] = {"y": labels}
        groups["constant_data"] = {"x": inputs}
        groups["predictions_constant_data"] = {"label": dataset.y_test[points]}
        if train_log_probs is not None:
            index = np.broadcast_to(labels[:, None], (*train_log_probs.shape[:-1], 1))
            log_likelihood = np.take_along_axis(train_log_probs, index, axis=-1)[..., 0]
            groups["log_likelihood"] = {"y": log_likelihood}
            groups["posterior_predictive"] = {"y": _sample_classes(train_log_probs, seed)}
    return _datatree(groups, dims=dims, pred_dims=test_dims, pred_coords={"point": points})


def _datatree(groups: Mapping[str, Any], **names: Any) -> xr.DataTree:
    with warnings.catch_warnings():
        # Many seeds with one checkpoint are many chains with one draw, and meant so.
        warnings.filterwarnings("ignore", message="Found chain dimension to be longer")
        return az.from_dict(groups, **names)


def _by_name(params: Any) -> dict[str, Any]:
    """The arrays of any pytree by their path; one array alone is called ``params``."""
    found = jax.tree_util.tree_leaves_with_path(params)
    return {
        jax.tree_util.keystr(path, simple=True, separator=".") or "params": leaf
        for path, leaf in found
    }


def worst_predictions(tree: xr.DataTree, n: int = 5) -> pd.DataFrame:
    """``arviz.summary`` of the predicted probabilities with the largest R-hat.

    Args:
        tree: As ``to_datatree`` makes it, with a group ``convergence`` (``Convergence.by_value``).
        n: How many.
    """
    r_hat = tree["convergence"]["r_hat"].to_numpy()
    order = np.argsort(np.nan_to_num(r_hat, nan=-np.inf), axis=None)[::-1][:n]
    points, classes = np.unravel_index(order, r_hat.shape)
    probability = tree["predictions"]["probability"]
    chosen = {
        f"test row {int(probability['point'][p])}, class {c}": probability.isel(
            {"point": int(p), "class": int(c)}, drop=True
        )
        for p, c in zip(points, classes, strict=True)
    }
    return az.summary(xr.DataTree.from_dict({"posterior": xr.Dataset(chosen)}))


def run_summary(tree: xr.DataTree) -> dict[str, float]:
    """What the sampler reports of itself, and LOO where the tree has log likelihoods.

    ``acceptance``, ``step_size`` and ``n_steps`` are means, ``divergences`` a count, ``min_e_bfmi``
    the E-BFMI of the worst chain, ``tree_depth`` a mean, and ``n_at_max_tree_depth`` the number of
    trajectories that were cut off. What a sampler does not report is left out. The figures of LOO
    are NaN where Pareto smoothing has no tail to fit: fewer than 25 draws, or chains that stand
    still, so that the smallest likelihoods of a row are one value again and again.
    """
    result = sampler_summary(tree["sample_stats"].to_dataset())
    if "log_likelihood" not in tree.children:
        return result
    return result | _loo_summary(tree)


def _loo_summary(tree: xr.DataTree) -> dict[str, float]:
    with warnings.catch_warnings():
        # LOO's own warning says what the number of bad shape parameters says.
        warnings.filterwarnings("ignore", message="Estimated shape parameter")
        try:
            loo = az.loo(tree, pointwise=True)
        except ValueError as error:
            if "tail" not in str(error):
                raise
            return dict.fromkeys(("elpd_loo", "elpd_loo_se", "n_bad_pareto_k"), np.nan)
    return {
        "elpd_loo": float(loo.elpd),
        "elpd_loo_se": float(loo.se),
        "n_bad_pareto_k": float((loo.pareto_k > 0.7).sum()),
    }


def sampler_summary(stats: Mapping[Any, Any]) -> dict[str, float]:
    """The part of ``run_summary`` that comes from the statistics alone.

    Args:
        stats: ``draws.stats``, or the group ``sample_stats`` of a tree.
    """
    values = {str(name): np.asarray(stats[name]) for name in stats}
    result = {}
    for name, called in _MEANS.items():
        if name in values:
            result[called] = float(values[name].mean())
    for name, called in _COUNTS.items():
        if name in values:
            result[called] = float(values[name].sum())
    if "energy" in values:
        result["min_e_bfmi"] = float(np.min(_energy_fraction(values["energy"])))
    return result


def diagnostic_plots(tree: xr.DataTree) -> Mapping[str, Any]:
    """ArviZ's rank plot of some predictions, and its energy plot where the sampler has energies.

    Returns:
        Matplotlib figures by name.
    """
    points = tree["predictions"]["point"].to_numpy()[:4]
    label = tree["predictions_constant_data"].to_dataset()["label"].sel(point=points)
    chosen = (
        tree["predictions"].to_dataset()[["probability"]].sel({"class": label, "point": points})
    )
    shown = xr.DataTree.from_dict(
        {"posterior": chosen, "sample_stats": tree["sample_stats"].to_dataset()}
    )
    plots = {"rank": az.plot_rank(shown)}
    if "energy" in tree["sample_stats"]:
        plots["energy"] = az.plot_energy(shown)
    return {name: plot.get_viz("figure") for name, plot in plots.items()}


def trace_plots(tree: xr.DataTree) -> Mapping[str, Any]:
    """ArviZ's rank and trace plots of the values that were kept, the first in the ``posterior`` group.

    Returns:
        Matplotlib figures by name.
    """
    name = next(iter(tree["posterior"].data_vars))
    shown = xr.DataTree.from_dict({"posterior": tree["posterior"].to_dataset()[[name]]})
    plots = {"rank": az.plot_rank(shown), "trace": az.plot_trace(shown)}
    return {kind: plot.get_viz("figure") for kind, plot in plots.items()}


def _energy_fraction(energy: Float[np.ndarray, "chain draw"]) -> Float[np.ndarray, " chain"]:
    """E-BFMI: mean squared change of the energy over its variance (Betancourt 2016)."""
    return np.square(np.diff(energy, axis=1)).mean(axis=1) / energy.var(axis=1)


def _thin_weights(values: Any, n_weights: int) -> np.ndarray:
    flat = np.asarray(values).reshape(*np.shape(values)[:2], -1)
    return flat[..., _evenly(flat.shape[-1], n_weights)]


def _sample_classes(log_probs: LogProbs, seed: int) -> np.ndarray:
    """One class a prediction, by the Gumbel maximum."""
    noise = np.random.default_rng(seed).gumbel(size=log_probs.shape)
    return np.argmax(log_probs + noise, axis=-1).astype(np.int16)


def _evenly(n: int, n_wanted: int) -> np.ndarray:
    return np.linspace(0, n - 1, min(n, n_wanted)).round().astype(int)
