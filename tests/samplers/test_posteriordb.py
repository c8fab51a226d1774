"""Reference posteriors of posteriordb, within five Monte Carlo errors of both sides."""

import json
from pathlib import Path

import arviz as az
import jax
import jax.numpy as jnp
import jax.scipy.stats as stats
import numpy as np
import pytest

from bayes_vs_sgd import samplers
from tests.conftest import within

SAMPLERS = [
    samplers.HMC(n_leapfrog=20, target_acceptance=0.9),
    samplers.NUTS(target_acceptance=0.9),
]


def half_cauchy(x: jax.Array, scale: float) -> jax.Array:
    return jnp.log(2.0) + stats.cauchy.logpdf(x, scale=scale)


def eight_schools(data: dict) -> tuple:
    y, sigma = jnp.asarray(data["y"], jnp.float32), jnp.asarray(data["sigma"], jnp.float32)

    def constrained(p: dict) -> dict:
        return {"mu": p["mu"], "tau": jnp.exp(p["log_tau"])}

    def log_density(p: dict) -> jax.Array:
        tau = jnp.exp(p["log_tau"])
        theta = p["mu"] + tau * p["theta"]
        prior = stats.norm.logpdf(p["mu"], scale=5) + half_cauchy(tau, 5) + p["log_tau"]
        return (
            prior + stats.norm.logpdf(p["theta"]).sum() + stats.norm.logpdf(y, theta, sigma).sum()
        )

    start = {"mu": jnp.zeros(4), "log_tau": jnp.zeros(4), "theta": jnp.zeros((4, 8))}
    return log_density, start, constrained


def bayesian_linear_regression(data: dict) -> tuple:
    x, y = jnp.asarray(data["X"], jnp.float32), jnp.asarray(data["y"], jnp.float32)

    def constrained(p: dict) -> dict:
        return {"beta": p["beta"], "sigma": jnp.exp(p["log_sigma"])}

    def log_density(p: dict) -> jax.Array:
        sigma = jnp.exp(p["log_sigma"])
        prior = stats.norm.logpdf(p["beta"], scale=10).sum() + stats.norm.logpdf(sigma, scale=10)
        return prior + p["log_sigma"] + stats.norm.logpdf(y, x @ p["beta"], sigma).sum()

    return log_density, {"beta": jnp.zeros((4, x.shape[1])), "log_sigma": jnp.zeros(4)}, constrained


CASES = {
    "eight_schools-eight_schools_noncentered": eight_schools,
    "sblri-blr": bayesian_linear_regression,
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_reference_posterior_is_recovered(
    name: str, sampler: samplers.Sampler, shared_data: Path
) -> None:
    folder = shared_data / "posteriordb"
    data = json.loads((folder / f"{name}.json").read_text())
    data = data.get("data", data)
    reference = np.load(folder / f"{name}.npz")
    log_density, start, constrained = CASES[name](data)
    draws = samplers.sample(
        jax.random.key(2),
        log_density,
        start,
        sampler,
        n_warmup=1000,
        n_draws=2000,
        collect=constrained,
        progress=False,
    ).params
    names = [str(n) for n in reference["names"]]
    for parameter, values in draws.items():
        flat = np.asarray(values, np.float64).reshape(4, 2000, -1)
        columns = [
            i for i, n in enumerate(names) if n == parameter or n.startswith(f"{parameter}[")
        ]
        assert len(columns) == flat.shape[-1]
        for k, column in enumerate(columns):
            theirs = reference["draws"][:, :, column]
            for power in (1, 2):
                ours, exact = flat[..., k] ** power, theirs**power
                assert az.ess(ours) > 400
                error = np.hypot(az.mcse(ours), az.mcse(exact))
                within(ours.mean(), exact.mean(), error)
