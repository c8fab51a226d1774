"""Networks that are linear in their parameters, solved in closed form."""

import dataclasses

import jax
import numpy as np

from bayes_vs_sgd import Draws, conjugate, diagnostics

from ..problem import Problem
from .found import Found


def compute(problem: Problem, wanted: tuple[str, ...], epochs: tuple[int, ...] | None) -> Found:
    """Minimum norm, ridge, one draw and BMA without any iteration.

    The predictive density of the BMA is that of ``n_draws`` exact draws of ``n_chains`` chains, as for
    the chains beside it.
    """
    config, found = problem.config, {}
    if "min_norm" in wanted:
        found["min_norm"] = conjugate.minimum_norm(problem.network, problem.dataset)
    if set(wanted) - {"min_norm"}:
        exact = conjugate.posterior(
            problem.network,
            problem.dataset,
            problem.likelihood,
            problem.centred,
            temperature=config.temperature,
        )
        draws = exact.draw(
            jax.random.key(problem.seed), n_chains=config.n_chains, n_draws=config.n_draws
        )
        found |= {"exact_map": exact.maximum(), "exact_draw": draws, "exact_bma": draws}
    # Draw and BMA are made of the same draws, which need predict but once.
    predicted = {id(draws): problem.of_draws(_single(draws)) for draws in found.values()}
    arms = {arm: [problem.losses(arm, predicted[id(found[arm])])] for arm in wanted}
    return Found(diagnostics.to_datatree(found[wanted[-1]]), arms)


def _single(draws: Draws) -> Draws:
    """In float32, as the network computes."""
    params = {name: np.asarray(value, np.float32) for name, value in draws.params.items()}
    return dataclasses.replace(draws, params=params)
