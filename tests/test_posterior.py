import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats as stats
from numpyro.handlers import seed
from numpyro.infer import HMC, MCMC
from numpyro.infer.util import log_density as numpyro_log_density
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


MODELS = {
    "normal": (priors.Normal(0.7), likelihoods.Gaussian(0.5)),
    "fan_in": (priors.FanIn(2.0), likelihoods.Gaussian(0.5)),
    "torch_uniform": (priors.TorchDefault(), likelihoods.Gaussian(0.5)),
    "torch_normal": (priors.TorchDefault(family="normal"), likelihoods.Gaussian(0.5)),
    "independent": (
        priors.Independent({"weight": 0.3, "bias": 2.0}, {"bias": 1.0}),
        likelihoods.Gaussian(0.5),
    ),
    "hierarchical": (
        priors.Hierarchical(priors.FanIn()),
        likelihoods.Gaussian(likelihoods.HalfCauchy(0.4)),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_numpyro_model_has_the_same_density(name: str, float64: None) -> None:
    prior, likelihood = MODELS[name]
    network = Network(nn.Linear(3, 1), X.astype(np.float32))
    posterior = Posterior.of(network, DATASET, likelihood, prior, temperature=0.3)
    drawn = jax.tree.map(lambda a: a[0], posterior.draw_prior(jax.random.key(0), 1))
    model, sites = posterior.numpyro_model(), {}

    @jax.jit
    def both(params: dict) -> tuple:
        theirs, trace = numpyro_log_density(model, (), {}, params)
        sites.update(trace)
        return theirs, posterior.log_density(params)

    theirs, ours = both(drawn)
    assert float(theirs) == pytest.approx(float(ours), rel=1e-12)
    assert set(sites) == {*drawn, "data", "log_likelihood"}


def test_the_rows_of_a_subsampled_numpyro_model_are_scaled_up(float64: None) -> None:
    posterior = linear(0.7)
    model = seed(posterior.numpyro_model(), jax.random.key(0))
    theirs, sites = numpyro_log_density(model, (4,), {}, PARAMS)
    batch = jax.tree.map(lambda a: a[sites["data"]["value"]], posterior.data)
    assert len(sites["data"]["value"]) == 4
    expected = float(posterior.log_density_estimate(PARAMS, batch))
    assert float(theirs) == pytest.approx(expected, rel=1e-12)


def test_numpyro_itself_runs_the_model() -> None:
    mcmc = MCMC(HMC(linear().numpyro_model()), num_warmup=20, num_samples=5, progress_bar=False)
    mcmc.run(jax.random.key(0))
    drawn = mcmc.get_samples()
    assert {name: value.shape for name, value in drawn.items()} == {
        "weight": (5, 1, 3),
        "bias": (5, 1),
    }
    assert len(np.unique(drawn["bias"])) > 1


def test_a_numpyro_model_of_unknown_distributions_is_refused() -> None:
    posterior = Posterior(lambda p: -0.5 * p**2, lambda p, d: d * p, data=np.ones(2))
    with pytest.raises(ValueError, match="does not know the distributions"):
        posterior.numpyro_model()


def test_a_temperature_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="temperature=0"):
        linear(0)


def test_data_of_unequal_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="rows"):
        Posterior(lambda p: p, lambda p, d: d, data=(np.zeros(3), np.zeros(4)))
