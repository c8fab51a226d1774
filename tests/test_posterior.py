import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats as stats
from torch import nn

from bayes_vs_sgd import Dataset, Network, Posterior, likelihoods, priors

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(12, 3)), RNG.normal(size=(12, 1))
DATASET = Dataset(X, Y, X, Y)


def linear(temperature: float = 1.0) -> Posterior:
    network = Network(nn.Linear(3, 1), X.astype(np.float32))
    return Posterior.of(
        network, DATASET, likelihoods.Gaussian(0.5), priors.FanIn(2.0), temperature=temperature
    )


PARAMS = {"weight": RNG.normal(size=(1, 3)), "bias": RNG.normal(size=1)}


@pytest.mark.parametrize("temperature", [0.1, 1.0, 3.0])
def test_only_the_likelihood_is_tempered(temperature: float, float64: None) -> None:
    fit = X @ PARAMS["weight"].T + PARAMS["bias"]
    likelihood = stats.norm.logpdf(Y, fit, 0.5).sum()
    prior = (
        stats.norm.logpdf(PARAMS["weight"], 0, 2 / 3**0.5).sum()
        + stats.norm.logpdf(PARAMS["bias"]).sum()
    )
    value = float(linear(temperature).log_density(PARAMS))
    assert value == pytest.approx(prior + likelihood / temperature, abs=1e-9)


def test_the_mean_estimate_over_all_batches_is_the_log_density(float64: None) -> None:
    posterior = linear(0.7)
    batches = [jax.tree.map(lambda a, i=i: a[i : i + 3], posterior.data) for i in range(0, 12, 3)]
    estimates = [posterior.log_density_estimate(PARAMS, batch) for batch in batches]
    assert float(np.mean(estimates)) == pytest.approx(
        float(posterior.log_density(PARAMS)), abs=1e-9
    )


def test_a_posterior_from_plain_functions_needs_no_network() -> None:
    posterior = Posterior(
        log_prior=lambda p: -0.5 * p**2,
        log_likelihood=lambda p, d: -0.5 * (d - p) ** 2,
        data=jnp.array([1.0, 2.0]),
    )
    assert float(posterior.log_density(0.0)) == pytest.approx(-2.5)
    assert posterior.n_rows == 2


def test_prior_draws_have_a_leading_axis() -> None:
    draws = linear().draw_prior(jax.random.key(0), 5)
    assert {n: v.shape for n, v in draws.items()} == {"weight": (5, 1, 3), "bias": (5, 1)}


def test_a_temperature_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="temperature=0"):
        linear(0)


def test_data_of_unequal_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="rows"):
        Posterior(lambda p: p, lambda p, d: d, data=(np.zeros(3), np.zeros(4)))
