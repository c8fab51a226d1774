"""Markov chains on the posterior: one draw and the BMA, by several samplers."""

import dataclasses
from typing import Any

import jax
import numpy as np
import xarray as xr

from bayes_vs_sgd import Draws, diagnostics, likelihoods, runs, samplers

from ..problem import Problem, pick
from .found import Found
from .maxima import climb


def reference(problem: Problem, wanted: tuple[str, ...], epochs: tuple[int, ...] | None) -> Found:
    """Chains from the prior by the sampler of the settings: the arms one draw and BMA."""
    config = problem.config
    sampler = config.hmc if config.sampler == "hmc" else config.nuts
    if epochs is not None:
        return along(problem, wanted, epochs, sampler)
    draws = sample(problem, sampler, n_warmup=config.n_warmup, n_draws=config.n_draws)
    return judged(problem, wanted, draws)


def nuts(problem: Problem, wanted: tuple[str, ...], epochs: tuple[int, ...] | None) -> Found:
    """NUTS from the prior."""
    config = problem.config
    draws = sample(problem, config.nuts, n_warmup=config.n_warmup, n_draws=config.n_draws)
    return judged(problem, wanted, draws)


def mclmc(problem: Problem, wanted: tuple[str, ...], epochs: tuple[int, ...] | None) -> Found:
    """A microcanonical Langevin ensemble: chains that start at maxima of the density."""
    config = problem.config
    maxima, _ = climb(problem, config.n_chains)
    thin = config.mclmc_thin
    draws = sample(
        problem,
        config.mclmc,
        n_warmup=config.n_warmup * thin,
        n_draws=config.n_draws,
        thin=thin,
        initial=maxima.last,
    )
    return judged(problem, wanted, draws)


def sghmc(problem: Problem, wanted: tuple[str, ...], epochs: tuple[int, ...] | None) -> Found:
    """SGHMC on mini-batches from the prior."""
    config = problem.config
    sampler = dataclasses.replace(config.sghmc, batch_size=problem.batch_size())
    epoch = problem.steps_per_epoch()
    draws = sample(
        problem,
        sampler,
        n_warmup=config.minibatch_warmup * epoch,
        n_draws=config.n_draws,
        thin=config.minibatch_thin * epoch,
    )
    return judged(problem, wanted, draws)


def csgld(problem: Problem, wanted: tuple[str, ...], epochs: tuple[int, ...] | None) -> Found:
    """Cyclical SGLD on mini-batches from the prior: the draws of its sampling stages.

    A cycle that has begun is a warm-up; iterations are those of ``sghmc``.
    """
    config, epoch = problem.config, problem.steps_per_epoch()
    sampler = dataclasses.replace(
        config.sgld, step_size=config.cycles, batch_size=problem.batch_size()
    )
    length = config.cycles.cycle_length
    n_warmup = -(-config.minibatch_warmup * epoch // length) * length
    thin = config.minibatch_thin * epoch
    # As many as are left of them in the sampling stages.
    n_draws = round(config.n_draws / (1 - config.cycles.exploration))
    n_draws = max(n_draws, -(-length // thin))
    draws = sample(problem, sampler, n_warmup=n_warmup, n_draws=n_draws, thin=thin)
    return judged(problem, wanted, samplers.sampling_stage(draws))


def sample(
    problem: Problem,
    sampler: samplers.Sampler,
    *,
    n_warmup: int,
    n_draws: int,
    thin: int = 1,
    initial: Any = None,
) -> Draws:
    """Chains that keep what ``Problem.predicted`` tells of every draw."""
    posterior = problem.posterior()
    key, key_start = jax.random.split(jax.random.key(problem.seed))
    if initial is None:
        initial = posterior.draw_prior(key_start, problem.config.n_chains)
    return samplers.sample(
        key,
        posterior,
        initial,
        sampler,
        n_warmup=n_warmup,
        n_draws=n_draws,
        thin=thin,
        collect=lambda variables: problem.predicted(variables, posterior),
    )


def along(
    problem: Problem, wanted: tuple[str, ...], epochs: tuple[int, ...], sampler: Any
) -> Found:
    """Chains from the prior at places along their whole course, the warm-up included.

    Place e is the last state for which at most e gradients on all rows were made. The draw is that
    state; the BMA is over the second half of the states up to it. Where chains have fewer than 4 states
    to judge, they count as not converged.
    """
    config = problem.config
    whole = samplers.WithWarmup(sampler, config.n_warmup)
    draws = sample(problem, whole, n_warmup=0, n_draws=config.n_warmup + config.n_draws)
    draws = running(draws)
    gradients = np.asarray(draws.stats["n_steps"]).mean(axis=0).cumsum()
    arms: dict[str, list[xr.Dataset]] = {name: [] for name in wanted}
    places: list[float] = []
    converged: list[bool] = []
    n_before = 0
    for e in epochs:
        n = int(np.searchsorted(gradients, e, side="right"))
        if n == n_before:
            continue
        n_before = n
        places.append(float(e))
        window = np.s_[:, n // 2 : n]
        if "draw" in wanted:
            here = pick(draws.params, np.s_[:, n - 1 : n])
            arms["draw"].append(problem.losses("draw", here))
        if "bma" in wanted:
            arms["bma"].append(problem.losses("bma", pick(draws.params, window)))
        converged.append(has_converged(problem, draws, window))
    found = judged(problem, (), draws)
    return Found(found.tree, arms, places, converged)


def has_converged(problem: Problem, draws: Draws, window: Any) -> bool:
    """Whether the predictions of some draws have converged; never where they are too few to tell."""
    test = np.asarray(draws.params["test"])[window]
    if test.shape[1] < 4 or not np.ptp(test, axis=(0, 1)).any():
        return False
    stats = {name: np.asarray(value)[window] for name, value in draws.stats.items()}
    return bool(convergence_of(problem, dataclasses.replace(draws, stats=stats), test).converged)


def running(draws: Draws) -> Draws:
    """The chains that stayed finite.

    Raises:
        UserError: Fewer than two did.
    """
    kept = draws.running_chains()
    if len(kept) < 2:
        raise runs.UserError(
            f"{draws.n_chains - len(kept)} of {draws.n_chains} chains of {draws.info['sampler']} ceased "
            "to be finite, and an error needs two; lower its step size."
        )
    return draws if len(kept) == draws.n_chains else draws.running()


def judged(problem: Problem, wanted: tuple[str, ...], draws: Draws) -> Found:
    """Losses of the arms, convergence in function space, and everything as a ``DataTree``."""
    draws = running(draws)
    predicted = {name: value for name, value in draws.params.items() if name != "params"}
    arms = {arm: [problem.losses(arm, predicted)] for arm in wanted}
    weights = dataclasses.replace(draws, params=draws.params["params"])
    convergence = convergence_of(problem, draws, predicted["test"])
    tree = tree_of(problem, weights, predicted)
    tree["convergence"] = xr.DataTree(convergence.by_value)
    tree.attrs.update(draws.info)
    tree.attrs.update(convergence.figures() | diagnostics.run_summary(tree))
    return Found(tree, arms, converged=[convergence.converged])


def convergence_of(problem: Problem, draws: Draws, test: np.ndarray) -> diagnostics.Convergence:
    """Convergence of the predictions: probabilities of classes or tokens, or predictive means."""
    if problem.is_real:
        return diagnostics.convergence(dataclasses.replace(draws, params={"mean": test}))
    if problem.dataset.y_test.ndim > 1:
        test = test[:, :, problem.dataset.y_test != likelihoods.Tokens().pad]
    return diagnostics.function_convergence(draws, test)


def tree_of(problem: Problem, weights: Draws, predicted: dict[str, Any]) -> xr.DataTree:
    """Chains as a ``DataTree``."""
    if problem.is_real or predicted["test"].ndim > 4:
        return diagnostics.to_datatree(weights)
    return diagnostics.to_datatree(
        weights, predicted["test"], dataset=problem.dataset, train_log_probs=predicted["train"]
    )
