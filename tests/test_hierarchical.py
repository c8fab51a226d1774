"""Scales and noise levels that are sampled with the network."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats as stats
import torch

from bayes_vs_sgd import Dataset, Network, Posterior, averaging, likelihoods, priors, samplers, sgd
from tests.samplers.test_targets import check_mean

SHAPES = {"0.weight": (2, 3), "0.bias": (2,)}
SCALES = {
    "half_cauchy": (priors.HalfCauchy(0.7), stats.halfcauchy(scale=0.7)),
    "half_normal": (priors.HalfNormal(0.7), stats.halfnorm(scale=0.7)),
}
# Mean and variance of log τ where the scale is 1.
MOMENTS = {
    "half_cauchy": (0.0, np.pi**2 / 4),
    "half_normal": (-(np.euler_gamma + np.log(2)) / 2, np.pi**2 / 8),
}
X = np.random.default_rng(0).normal(size=(15, 3)).astype(np.float32)
Y = X @ np.array([[1.0], [-0.5], [0.0]], np.float32)
DATASET = Dataset(X, Y, X, Y)


@pytest.mark.parametrize("name", SCALES)
def test_the_log_of_a_scale_has_the_density_of_scipy_with_its_jacobian(
    name: str, float64: None
) -> None:
    ours, theirs = SCALES[name]
    log_values = np.array([-30.0, -2.0, 0.0, 1.5])
    expected = theirs.logpdf(np.exp(log_values)) + log_values
    np.testing.assert_allclose(ours.log_prob_of_log(log_values), expected, rtol=1e-12)
    numpyros = ours.log_distribution().log_prob(log_values)
    np.testing.assert_allclose(numpyros, expected, rtol=1e-12)


def test_draws_of_the_prior_have_the_moments_of_the_scales() -> None:
    for name, (scale, _) in SCALES.items():
        prior = priors.Hierarchical(priors.FanIn(std=2.0), scale)
        drawn = priors.sample_variables(prior, jax.random.key(0), SHAPES, 20_000)
        check_moments(name, np.asarray(drawn["0.bias.log_scale"], np.float64)[None])
        weights = np.asarray(drawn["0.weight.unscaled"], np.float64)
        assert weights.var() == pytest.approx(4 / 3, rel=0.03)
        logs = [np.asarray(drawn[f"{n}.log_scale"], np.float64) for n in SHAPES]
        assert abs(np.corrcoef(logs)[0, 1]) < 5 / 20_000**0.5


def check_moments(name: str, log_scale: np.ndarray) -> None:
    mean, variance = MOMENTS[name]
    centred = log_scale - (np.log(0.7) + mean)
    check_mean(np.stack([centred, centred**2], -1), np.array([0.0, variance]))


@pytest.mark.parametrize(
    "sampler",
    [
        samplers.HMC(n_leapfrog=5, backend="numpyro"),
        samplers.NUTS(),
        samplers.NUTS(backend="numpyro"),
    ],
)
def test_the_density_of_the_prior_is_that_of_its_draws(sampler: samplers.Sampler) -> None:
    both = {n: priors.Hierarchical(priors.Normal(0.5), scale) for n, (scale, _) in SCALES.items()}
    shapes = {"w": (2,)}
    draws = samplers.sample(
        jax.random.key(0),
        lambda variables: sum(both[name].log_prob(variables[name]) for name in both),
        {n: priors.sample_variables(p, jax.random.key(1), shapes, 4) for n, p in both.items()},
        sampler,
        n_warmup=500,
        n_draws=4000,
        progress=False,
    ).params
    for name, variables in draws.items():
        check_moments(name, variables["w.log_scale"].astype(np.float64))
        w = variables["w.unscaled"].astype(np.float64)
        check_mean(w**2, np.full(2, 0.25))


class Constant:
    """A network whose output is one parameter, whatever the input."""

    shapes: ClassVar = {"level": (1,)}

    def apply(self, params: dict, x: jax.Array) -> jax.Array:
        assert set(params) == {"level"}
        return jnp.broadcast_to(params["level"], (len(x), 1))


@pytest.mark.parametrize("backend", ["blackjax", "numpyro"])
def test_the_noise_level_has_its_posterior(backend: str) -> None:
    rng = np.random.default_rng(1)
    x, y = np.zeros((12, 1), np.float32), (0.5 + 0.8 * rng.normal(size=(12, 1))).astype(np.float32)
    posterior = Posterior.of(
        Constant(),
        Dataset(x, y, x, y),
        likelihoods.Gaussian(likelihoods.HalfNormal(2.0)),
        priors.Normal(1.0),
        temperature=0.8,
    )
    start = posterior.draw_prior(jax.random.key(0), 4)
    assert set(start) == {"level", "log_noise_std"}
    draws = samplers.sample(
        jax.random.key(1),
        posterior,
        start,
        samplers.HMC(n_leapfrog=4, backend=backend),
        n_warmup=400,
        n_draws=2000,
        progress=False,
    )

    sigma, level = np.meshgrid(np.linspace(0.2, 6, 600), np.linspace(-3, 3, 400), indexing="ij")
    squares = ((y[:, 0, None, None] - level) ** 2).sum(0)
    log_density = (-12 * np.log(sigma) - squares / (2 * sigma**2)) / 0.8 - (sigma / 2) ** 2 / 2
    weight = np.exp(log_density - level**2 / 2)
    exact = [(weight * of).sum() / weight.sum() for of in (sigma, sigma**2, level)]

    sigma = np.exp(draws.params["log_noise_std"].astype(np.float64))
    level = draws.params["level"][..., 0].astype(np.float64)
    check_mean(np.stack([sigma, sigma**2, level], -1), np.array(exact))


def hierarchical() -> tuple[Network, Posterior]:
    network = Network(torch.nn.Linear(3, 1), X)
    prior = priors.Hierarchical(priors.FanIn(), priors.HalfNormal(2.0))
    likelihood = likelihoods.Gaussian(likelihoods.HalfCauchy(0.5))
    return network, Posterior.of(network, DATASET, likelihood, prior, temperature=0.7)


def test_the_density_of_the_variables_is_the_model_written_out(float64: None) -> None:
    _, posterior = hierarchical()
    v, w = np.array([[0.3, -1.0, 0.4]]), np.array([0.8])
    tau, bias_tau, sigma = 1.7, 0.4, 0.6
    variables = {
        "weight.unscaled": v,
        "weight.log_scale": np.log(tau),
        "bias.unscaled": w,
        "bias.log_scale": np.log(bias_tau),
        "log_noise_std": np.log(sigma),
    }
    params = posterior.params(variables)
    np.testing.assert_allclose(params["weight"], tau * v)
    np.testing.assert_allclose(params["bias"], bias_tau * w)
    assert set(params) == {"weight", "bias"}
    prior = stats.norm.logpdf(v, scale=3**-0.5).sum() + stats.norm.logpdf(w).sum()
    prior += stats.halfnorm.logpdf([tau, bias_tau], scale=2).sum() + np.log(tau * bias_tau)
    prior += stats.halfcauchy.logpdf(sigma, scale=0.5) + np.log(sigma)
    fit = X.astype(np.float64) @ (tau * v).T + bias_tau * w
    likelihood = stats.norm.logpdf(Y, fit, sigma).sum()
    assert float(posterior.log_density(variables)) == pytest.approx(prior + likelihood / 0.7)


def test_draws_collected_as_parameters_predict() -> None:
    network, posterior = hierarchical()
    start = posterior.draw_prior(jax.random.key(0), 2)
    settings = {"n_warmup": 5, "n_draws": 4, "progress": False}
    sampler = samplers.HMC(n_leapfrog=3)
    draws = samplers.sample(
        jax.random.key(1), posterior, start, sampler, collect=posterior.params, **settings
    )
    assert {n: v.shape for n, v in draws.params.items()} == {
        "weight": (2, 4, 1, 3),
        "bias": (2, 4, 1),
    }
    assert set(draws.last) == set(start)
    assert averaging.predict(network, draws, X, likelihoods.Gaussian()).shape == (2, 4, 15, 1)


def test_sgd_starts_from_the_parameters_of_a_hierarchical_prior() -> None:
    network, _ = hierarchical()
    trained = sgd.train(
        network,
        DATASET,
        n_seeds=3,
        initial=priors.Hierarchical(priors.FanIn()),
        likelihood=likelihoods.Gaussian(),
        max_epochs=2,
        progress=False,
    )
    assert trained.params["weight"].shape == (3, 1, 1, 3)


def test_a_plain_prior_is_sampled_as_it_is() -> None:
    network = Network(torch.nn.Linear(3, 1), X)
    prior = priors.FanIn(2.0)
    posterior = Posterior.of(network, DATASET, likelihoods.Gaussian(0.5), prior)
    start = posterior.draw_prior(jax.random.key(0), 3)
    again = priors.sample_many(prior, jax.random.key(0), network.shapes, 3)
    assert all((start[name] == again[name]).all() for name in network.shapes)
    assert posterior.params(start) is start


class Named:
    """A network with a parameter that is called like the noise level."""

    shapes: ClassVar = {"log_noise_std": (1,)}

    def apply(self, params: dict, x: jax.Array) -> jax.Array:
        return x


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: priors.HalfCauchy(0), "scale=0"),
        (lambda: priors.HalfNormal(-1), "scale=-1"),
        (
            lambda: priors.Hierarchical(priors.Hierarchical(priors.Normal())),
            "no prior on the parameters themselves",
        ),
        (
            lambda: hierarchical()[1].log_density({"weight": np.zeros((1, 3))}),
            "lack 'log_noise_std'",
        ),
        (
            lambda: priors.Hierarchical(priors.Normal()).log_prob({"weight": np.zeros((1, 3))}),
            "not the variables of a hierarchical prior",
        ),
        (
            lambda: likelihoods.Gaussian(likelihoods.HalfNormal()).log_prob(X, X),
            "the noise level is sampled",
        ),
        (
            lambda: sgd.train(
                hierarchical()[0],
                DATASET,
                n_seeds=1,
                initial=priors.Normal(),
                likelihood=likelihoods.Gaussian(likelihoods.HalfNormal()),
                progress=False,
            ),
            "the noise level is sampled",
        ),
        (
            lambda: Posterior.of(
                Named(), DATASET, likelihoods.Gaussian(likelihoods.HalfNormal()), priors.Normal()
            ),
            "parameter 'log_noise_std'",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
