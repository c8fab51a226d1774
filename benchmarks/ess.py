"""Effective draws a second in function space, beside NumPyro's own NUTS.

The digits network of the double-descent study: one hidden ReLU layer of 10 units, 400 digits with
20 % of the labels redrawn, prior FanIn(std=2). Four chains start at draws of the prior, each on a
device of its own. What counts is the bulk ESS of predicted probabilities (32 test rows, all
classes), smallest and median; R-hat is beside it, as the ESS of chains that have not met means
nothing. Seconds are those of the runs, compilation left out; each form runs from several keys, in turns.
"""

import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import torch

from bayes_vs_sgd import (
    Dataset,
    Draws,
    Network,
    Posterior,
    data,
    diagnostics,
    likelihoods,
    priors,
    samplers,
)
from bayes_vs_sgd import progress as progress_bars
from models import MLP

from .measure import Effort, Row, compilation

# The work, and the CPU devices that JAX shows: NumPyro's parallel chains need one each.
CASES = {"width 10, 4 chains": 4}
N_CHAINS = 4
N_POINTS = 32
PEER = "NumPyro, NUTS, parallel"


class Problem(NamedTuple):
    """One classification.

    Attributes:
        network: The lowered module.
        posterior: What is sampled.
        points: Test rows whose predicted probabilities are judged.
    """

    network: Network
    posterior: Posterior
    points: np.ndarray

    def log_probs(self, params: Any) -> jax.Array:
        """Log probabilities of the classes of the points."""
        return likelihoods.Categorical().predict(
            self.network.apply(params, jnp.asarray(self.points))
        )


@dataclass(frozen=True)
class Plan:
    """How one sampler is run.

    Attributes:
        sampler: Its class in ``samplers``.
        settings: Of the sampler.
        n_warmup: Iterations.
        n_draws: Draws of each chain.
        thin: Iterations a draw.
    """

    sampler: str
    settings: dict[str, Any] = field(default_factory=dict)
    n_warmup: int = 250
    n_draws: int = 350
    thin: int = 1


PLANS = (
    Plan("HMC", {"n_leapfrog": 100, "target_acceptance": 0.65}),
    Plan("NUTS"),
    Plan("MCLMC", n_warmup=3000, n_draws=400, thin=30),
    Plan("SGHMC", {"step_size": 5e-3, "friction": 10.0, "batch_size": 100}, 10_000, 500, 100),
)
NUMPYRO = Plan("NumPyro")


class Result(NamedTuple):
    """One run of one sampler.

    Attributes:
        smallest: Smallest bulk ESS of the predictions.
        median: Median bulk ESS of the predictions.
        rhat: Largest R-hat.
        sampling: Seconds after the warm-up.
        whole: Seconds with the warm-up.
        average: The model average, probabilities of every class at the points.
    """

    smallest: float
    median: float
    rhat: float
    sampling: float
    whole: float
    average: np.ndarray


def problem(width: int = 10) -> Problem:
    """The study's network and data."""
    dataset: Dataset = data.digits(n_train=400, label_noise=0.2, seed=0)
    torch.manual_seed(0)
    network = Network(MLP(64, width, 10), dataset.x_train[:2])
    prior = priors.FanIn(std=2.0, bias_std=1.0)
    posterior = Posterior.of(network, dataset, likelihoods.Categorical(), prior)
    return Problem(network, posterior, dataset.x_test[:N_POINTS])


def rows(case: str, effort: Effort) -> Iterator[Row]:
    """Every sampler beside NumPyro's NUTS, after the warm-up and with it."""
    work = problem()
    runs: dict[str, Callable[[int], Result]] = {
        f"samplers.{plan.sampler}": our_run(work, scaled(plan, effort.scale))
        for plan in PLANS
        if hasattr(samplers, plan.sampler)
    }
    runs[PEER] = numpyro_run(work, scaled(NUMPYRO, effort.scale))
    results: dict[str, list[Result]] = {name: [] for name in runs}
    for seed in range((effort.n_turns + 1) // 2):
        for name, run in runs.items():
            results[name].append(run(seed))
    for plan in PLANS:
        name = f"samplers.{plan.sampler}"
        if name in runs:
            yield from lines(case, name, results[name], results[PEER])
        else:
            yield Row("ess", case, "", name, PEER, note="missing: not there")


def scaled(plan: Plan, scale: float) -> Plan:
    """The plan with fewer iterations or more."""
    n_warmup, n_draws = (max(20, round(scale * n)) for n in (plan.n_warmup, plan.n_draws))
    return Plan(plan.sampler, plan.settings, n_warmup, n_draws, plan.thin)


def lines(case: str, name: str, ours: list[Result], theirs: list[Result]) -> Iterator[Row]:
    """Smallest and median ESS a second, after the warm-up and with it."""
    worst = [max(result.rhat for result in results) for results in (ours, theirs)]
    mine, other = (np.mean([r.average for r in results], axis=0) for results in (ours, theirs))
    apart = 0.5 * np.abs(mine - other).sum(-1).mean()
    note = (
        f"largest R-hat {worst[0]:.3f} and {worst[1]:.3f}; total variation between the averages "
        f"{apart:.3f}"
    )
    for which in ("smallest", "median"):
        for seconds, when in (("sampling", "after the warm-up"), ("whole", "with the warm-up")):
            speeds = [
                statistics.median(getattr(r, which) / getattr(r, seconds) for r in results)
                for results in (ours, theirs)
            ]
            yield Row(
                "ess", f"{case}, {when}", f"{which} ESS", name, PEER,
                speeds[0], speeds[1], speeds[0] / speeds[1], note=note,
            )  # fmt: skip


def judged(log_probs: Any, sampling: float, whole: float) -> Result:
    """Convergence of predictions with the seconds that they took."""
    found = diagnostics.function_convergence(Draws(params=log_probs), log_probs, N_POINTS)
    median = float(np.nanmedian(found.by_value["ess_bulk"]))
    average = np.exp(np.asarray(log_probs)).mean((0, 1))
    return Result(found.ess_bulk, median, found.rhat, sampling, whole, average)


@contextmanager
def clocked() -> Iterator[list[tuple[int, float]]]:
    """(iterations and draws done, time) as ``sample`` reports its progress, the first compiled."""
    ticks: list[tuple[int, float]] = []

    @contextmanager
    def bar(description: str, total: int, *, show: bool) -> Iterator[progress_bars.Report]:
        yield lambda n_done, detail: ticks.append((n_done, time.perf_counter()))

    with mock.patch.object(progress_bars, "bar", bar):
        yield ticks


def our_run(work: Problem, plan: Plan) -> Callable[[int], Result]:
    """One run by ``samplers.sample``."""
    sampler = getattr(samplers, plan.sampler)(**plan.settings)

    def run(seed: int) -> Result:
        key, key_start = jax.random.split(jax.random.key(seed))
        start = work.posterior.draw_prior(key_start, N_CHAINS)
        with clocked() as ticks, warnings.catch_warnings():
            warnings.simplefilter("ignore", samplers.WarmupWarning)
            draws = samplers.sample(
                key, work.posterior, start, sampler, n_warmup=plan.n_warmup,
                n_draws=plan.n_draws, thin=plan.thin, collect=work.log_probs, progress=False,
            )  # fmt: skip
        begun, warm = ticks[0][1], dict(ticks)[plan.n_warmup]
        ended = ticks[-1][1]
        return judged(draws.params, ended - warm, ended - begun)

    return run


def numpyro_run(work: Problem, plan: Plan) -> Callable[[int], Result]:
    """One run by NumPyro's MCMC, a chain a device."""
    from numpyro.infer import MCMC, NUTS

    def potential(params: Any) -> jax.Array:
        return -work.posterior.log_density(params)

    log_probs = jax.jit(jax.vmap(lambda p: jax.lax.map(work.log_probs, p)))

    def run(seed: int) -> Result:
        key, key_start = jax.random.split(jax.random.key(seed))
        chains = MCMC(
            NUTS(potential_fn=potential),
            num_warmup=plan.n_warmup, num_samples=plan.n_draws, num_chains=N_CHAINS,
            chain_method="parallel", progress_bar=False,
        )  # fmt: skip
        start = work.posterior.draw_prior(key_start, N_CHAINS)
        times = [(time.perf_counter(), compilation().seconds)]
        for step in (chains.warmup, chains.run):
            step(key, init_params=start)
            jax.block_until_ready(chains.last_state)
            times.append((time.perf_counter(), compilation().seconds))
        warmup, sampling = (
            after[0] - before[0] - (after[1] - before[1]) for before, after in pairwise(times)
        )
        params = jax.tree.map(jnp.asarray, chains.get_samples(group_by_chain=True))
        return judged(np.asarray(log_probs(params)), sampling, warmup + sampling)

    return run


if __name__ == "__main__":
    from .command import main

    main(["--only", "ess"])
