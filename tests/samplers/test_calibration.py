"""Simulation-based calibration of a small Bayesian network (Talts et al. 2018)."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from bayes_vs_sgd import Posterior, likelihoods, priors, samplers

X = jnp.linspace(-2, 2, 8)
AT = jnp.array([-1.5, 0.3, 2.5])
SHAPES = {"inner": (3, 1), "bias": (3,), "outer": (1, 3)}
PRIOR = priors.FanIn(std=1.5, bias_std=1.0)
LIKELIHOOD = likelihoods.Gaussian(0.4)
N_DRAWS, N_BINS = 63, 8


def network(p: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    return jnp.tanh(x[:, None] @ p["inner"].T + p["bias"]) @ p["outer"][0]


POSTERIOR = Posterior(
    log_prior=PRIOR.log_prob,
    log_likelihood=lambda p, data: LIKELIHOOD.log_prob(network(p, data[0]), data[1]),
    data=(X, jnp.zeros(8)),
    sample_prior=lambda key, n: priors.sample_many(PRIOR, key, SHAPES, n),
)


def predictions(p: dict[str, jax.Array]) -> jax.Array:
    return network(p, AT)


def ranks(sampler: samplers.Sampler, *, noise: float, n: int) -> np.ndarray:
    """Rank of the true function value among posterior draws, (simulation, point)."""
    found = []
    truths = POSTERIOR.draw_prior(jax.random.key(1), n)
    for i in range(n):
        key = jax.random.fold_in(jax.random.key(2), i)
        truth = jax.tree.map(lambda a, i=i: a[i], truths)
        y = network(truth, X) + noise * jax.random.normal(key, X.shape)
        draws = samplers.sample(
            jax.random.fold_in(key, 1),
            dataclasses.replace(POSTERIOR, data=(X, y)),
            POSTERIOR.draw_prior(jax.random.fold_in(key, 2), 1),
            sampler,
            n_warmup=300,
            n_draws=N_DRAWS,
            thin=6,
            collect=predictions,
            progress=False,
        )
        found.append((draws.params[0] < np.asarray(predictions(truth))).sum(axis=0))
    return np.array(found)


def least_p_value(found: np.ndarray) -> float:
    """Of chi-squared tests of uniformity, one for each point."""
    bins = found * N_BINS // (N_DRAWS + 1)
    counts = np.stack([np.bincount(b, minlength=N_BINS) for b in bins.T])
    return float(stats.chisquare(counts, axis=1).pvalue.min())


@pytest.mark.slow
def test_the_truth_ranks_uniformly_among_the_draws_of_a_bayesian_network() -> None:
    assert least_p_value(ranks(samplers.HMC(n_leapfrog=10), noise=0.4, n=192)) > 1e-4


@pytest.mark.slow
def test_data_noisier_than_the_model_says_are_found_out() -> None:
    assert least_p_value(ranks(samplers.HMC(n_leapfrog=10), noise=0.8, n=96)) < 1e-4
