"""Elliptical slice sampling: closed forms, priors it finds and refuses, likelihoods that fail."""

import arviz as az
import jax
import jax.numpy as jnp
import jax.scipy.stats as stats
import numpy as np
import pytest

from bayes_vs_sgd import Draws, Posterior, likelihoods, priors, samplers
from tests.conftest import within

RNG = np.random.default_rng(4)
X = RNG.normal(size=(12, 3)) * np.array([1, 0.5, 1])
Y = X @ np.array([0.5, 1.0, 0.0]) + 0.4 + 1.2 * RNG.normal(size=12)
DATA = (jnp.asarray(X, jnp.float32), jnp.asarray(Y, jnp.float32))
FAN_IN = priors.FanIn(std=2.0, bias_std=0.3)
SHIFTED = priors.Independent({"weight": 0.7, "bias": 0.05}, {"weight": -30.0, "bias": 4.0})


def log_likelihood(p: dict, data: tuple) -> jax.Array:
    x, y = data
    return likelihoods.Gaussian(1.2).log_prob(x @ p["weight"][0] + p["bias"], y)


def start(n_chains: int) -> dict[str, jax.Array]:
    return {"weight": jnp.zeros((n_chains, 1, 3)), "bias": jnp.zeros((n_chains, 1))}


def run(posterior: Posterior, initial: object, **settings: object) -> Draws:
    settings = {"n_warmup": 50, "n_draws": 1500, "progress": False} | settings
    return samplers.sample(
        jax.random.key(9), posterior, initial, samplers.EllipticalSlice(), **settings
    )


@pytest.mark.parametrize(
    ("prior", "stds", "temperature"),
    [(priors.Normal(1.5), [1.5, 1.5, 1.5, 1.5], 1.0), (FAN_IN, [2 / 3**0.5] * 3 + [0.3], 0.5)],
)
def test_linear_regression_has_its_closed_form(
    prior: priors.Prior, stds: list[float], temperature: float
) -> None:
    design, variance = np.column_stack([X, np.ones(12)]), 1.2**2 * temperature
    covariance = np.linalg.inv(np.diag(1 / np.square(stds)) + design.T @ design / variance)
    mean = covariance @ design.T @ Y / variance
    posterior = Posterior(prior.log_prob, log_likelihood, DATA, temperature)
    draws = run(posterior, start(4), thin=6)
    values = np.concatenate([draws.params["weight"][:, :, 0], draws.params["bias"]], -1)
    centred = values.astype(np.float64) - mean
    for i, j in np.ndindex(4, 4):
        for x, exact in (
            (centred[..., i], 0),
            (centred[..., i] * centred[..., j], covariance[i, j]),
        ):
            assert az.ess(x) > 400
            within(x.mean(), exact, az.mcse(x))
    expected = jax.vmap(jax.vmap(posterior.log_density))(draws.params)
    np.testing.assert_allclose(draws.stats["lp"], expected, rtol=1e-5, atol=1e-4)
    assert (draws.stats["acceptance_rate"] == 1).all()
    assert draws.stats["n_steps"].mean() > 6


def test_mean_and_standard_deviations_of_the_prior_are_found() -> None:
    kernel = samplers.EllipticalSlice().kernel(Posterior(SHIFTED.log_prob, log_likelihood, DATA), 0)
    state = jax.jit(kernel.init)(jax.random.key(0), jax.tree.map(lambda a: a[0], start(1)))
    np.testing.assert_allclose(state.mean["weight"], np.full((1, 3), -30), rtol=1e-5)
    np.testing.assert_allclose(state.std["weight"], np.full((1, 3), 0.7), rtol=1e-5)
    np.testing.assert_allclose(state.mean["bias"], [4], rtol=1e-5)
    np.testing.assert_allclose(state.std["bias"], [0.05], rtol=1e-5)


def half_truncated(p: dict) -> jax.Array:
    inside = jnp.all(jnp.abs(p["weight"]) < 4)
    return priors.Normal().log_prob(p) + jnp.where(inside, 0, -jnp.inf)


def correlated(p: dict) -> jax.Array:
    return priors.Normal().log_prob(p) - 0.2 * p["weight"].sum() ** 2


@pytest.mark.parametrize(
    ("log_prior", "named"),
    [
        (priors.TorchDefault().log_prob, r"params\['bias'\], params\['weight'\]"),
        (lambda p: priors.Normal().log_prob(p) - jnp.abs(p["bias"]).sum(), r"in params\['bias'\];"),
        (lambda p: stats.t.logpdf(p["weight"], 30.0).sum() - (p["bias"] ** 2).sum(), "weight"),
        (correlated, r"in params\['weight'\];"),
        (half_truncated, "weight"),
    ],
)
def test_a_prior_that_is_no_independent_gaussian_is_refused(log_prior: object, named: str) -> None:
    posterior = Posterior(log_prior, log_likelihood, DATA)
    with pytest.raises(ValueError, match=f"independent Gaussian.*{named}"):
        run(posterior, start(2))


def test_a_plain_density_is_refused() -> None:
    with pytest.raises(
        ValueError, match="EllipticalSlice needs the prior and the likelihood apart"
    ):
        run(lambda x: -jnp.sum(x**2), jnp.ones((2, 3)))


def test_a_likelihood_that_is_nan_somewhere_is_zero_there() -> None:
    # prior N(0, 1), likelihood x for x > 0: Rayleigh's distribution
    posterior = Posterior(
        stats.norm.logpdf, lambda x, data: jnp.log(x) + 0 * data, jnp.zeros(1), temperature=1.0
    )
    x = run(posterior, jnp.ones(4), n_draws=2000).params.astype(np.float64)
    assert (x > 0).all()
    assert az.ess(x) > 1000
    within(x.mean(), (np.pi / 2) ** 0.5, az.mcse(x))
    within((x**2).mean(), 2, az.mcse(x**2))


def test_a_large_flat_likelihood_takes_every_first_proposal() -> None:
    # in float32 −1e4 + log(u) rounds to −1e4 once in two thousand times
    posterior = Posterior(stats.norm.logpdf, lambda x, data: 0 * x + data, jnp.full(1, -1e4))
    draws = run(posterior, jnp.zeros(8), n_draws=3000)
    assert (draws.stats["n_steps"] == 1).all()
    x = draws.params.astype(np.float64)
    within((x**2).mean(), 1, az.mcse(x**2))
