"""Tempered SMC: a BMA that brings the log evidence with it."""

import dataclasses

import jax
import numpy as np

from bayes_vs_sgd import samplers

from ..problem import Problem
from .chains import tree_of
from .found import Found


def compute(problem: Problem, wanted: tuple[str, ...], epochs: tuple[int, ...] | None) -> Found:
    """Populations from the prior to the posterior: the BMA over particles, and the log evidence.

    ``log_evidence`` is that of the runs, and its estimate the logarithm of the mean of the evidences.
    """
    config, posterior = problem.config, problem.posterior()
    draws = samplers.sample_population(
        jax.random.key(problem.seed), posterior, config.smc, n_runs=config.n_runs
    )
    keep = jax.jit(jax.vmap(lambda v: problem.predicted(v, posterior)))
    kept = jax.tree.map(
        lambda *runs_: np.stack([np.asarray(a) for a in runs_]),
        *[keep(jax.tree.map(lambda a, r=r: a[r], draws.params)) for r in range(draws.n_chains)],
    )
    predicted = {name: value for name, value in kept.items() if name != "params"}
    losses = problem.losses("smc", predicted)
    estimate = samplers.log_evidence(draws)
    losses = losses.assign(
        log_evidence=(("replicate",), np.asarray(draws.info["log_evidence"], np.float64)),
        log_evidence_estimate=((), float(estimate.value)),
    )
    tree = tree_of(problem, dataclasses.replace(draws, params=kept["params"]), predicted)
    # Lists with a number a run; what has several, such as the temperatures, is no attribute.
    tree.attrs.update(
        {
            n: np.asarray(v) if isinstance(v, list) else v
            for n, v in draws.info.items()
            if _is_flat(v)
        }
    )
    return Found(tree, {"smc": [losses]})


def _is_flat(value: object) -> bool:
    return not isinstance(value, list) or not any(isinstance(one, list) for one in value)
