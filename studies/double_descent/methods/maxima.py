"""The maximum of the density that chains sample, Gaussians around it, and a prior that is tuned."""

import dataclasses
from typing import Any

import jax
import numpy as np
import xarray as xr

from bayes_vs_sgd import Draws, diagnostics, samplers, sgd

from ..problem import Problem, pick
from .found import Found


def compute(problem: Problem, wanted: tuple[str, ...], epochs: tuple[int, ...] | None) -> Found:
    """The best of several climbs from the prior: MAP, and Laplace around it."""
    config = problem.config
    maxima, params = climb(problem)
    best = best_of_groups(maxima.stats["lp"][:, 0], config.ensemble_size)
    predicted = problem.of_draws(params)
    arms = {}
    if "map" in wanted:
        arms["map"] = [problem.losses("map", pick(predicted, best))]
    if "laplace" in wanted:
        centres = Draws({name: value[best] for name, value in params.params.items()})
        draws = sgd.laplace(
            problem.network,
            problem.dataset,
            centres,
            problem.centred,
            likelihood=problem.likelihood,
            temperature=config.temperature,
            subset=config.laplace_subset,
            structure=config.laplace_structure,
            n_draws=config.n_gaussian_draws,
            seed=problem.seed,
        )
        arms["laplace"] = [problem.losses("laplace", problem.of_draws(draws.running()))]
    return Found(tree_of(problem, params, predicted), arms)


def tuned(problem: Problem, wanted: tuple[str, ...], epochs: tuple[int, ...] | None) -> Found:
    """The MAP under the width of the prior, that is the weight decay, that held-out rows choose.

    Every factor on ``prior_std`` is tried on the rows that are not held out and judged by the mean NLL
    of its maxima on those; the MAP under the best of them is then fitted to all rows.
    """
    _, judged = problem.held_out()
    scores = {}
    for factor in problem.config.tuned_factors:
        here = dataclasses.replace(judged, config=scaled(problem, factor))
        predicted = here.of_draws(climb(here)[1])
        losses = here.members(predicted, "test").losses()["nll"]
        scores[factor] = float(losses.mean())
    factor = min(scores, key=lambda f: scores[f] if np.isfinite(scores[f]) else np.inf)
    there = dataclasses.replace(problem, config=scaled(problem, factor))
    maxima, params = climb(there)
    best = best_of_groups(maxima.stats["lp"][:, 0], problem.config.ensemble_size)
    predicted = there.of_draws(params)
    tree = tree_of(there, params, predicted)
    tree.attrs["prior_factor"] = factor
    return Found(tree, {"map_tuned": [there.losses("map_tuned", pick(predicted, best))]})


def scaled(problem: Problem, factor: float) -> Any:
    """The settings with a prior that is wider by a factor, biases included."""
    config = problem.config
    return dataclasses.replace(
        config, prior_std=factor * config.prior_std, bias_std=factor * config.bias_std
    )


def climb(problem: Problem, n_starts: int | None = None) -> tuple[Draws, Draws]:
    """Maxima from draws of the prior: of what is sampled, and of the network's parameters."""
    posterior = problem.posterior()
    n = problem.config.n_seeds if n_starts is None else n_starts
    starts = posterior.draw_prior(jax.random.key(problem.seed), n)
    maxima = samplers.maximize(posterior, starts, problem.config.map)
    params = jax.vmap(jax.vmap(posterior.params))(maxima.params)
    params = jax.tree.map(np.asarray, params)
    return maxima, dataclasses.replace(maxima, params=params)


def best_of_groups(log_density: np.ndarray, size: int) -> np.ndarray:
    """The index of the highest maximum in every group of ``size`` starts."""
    n_groups = len(log_density) // size
    groups = log_density[: n_groups * size].reshape(n_groups, size)
    return groups.argmax(axis=1) + size * np.arange(n_groups)


def tree_of(problem: Problem, params: Draws, predicted: dict[str, Any]) -> xr.DataTree:
    """The maxima as a ``DataTree``."""
    if problem.is_real or predicted["test"].ndim > 4:
        tree = diagnostics.to_datatree(params)
    else:
        tree = diagnostics.to_datatree(
            params, predicted["test"], dataset=problem.dataset, train_log_probs=predicted["train"]
        )
    tree.attrs.update(params.info)
    return tree
