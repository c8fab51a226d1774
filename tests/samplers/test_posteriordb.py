"""Reference posteriors of posteriordb, within five Monte Carlo errors of both sides."""

import json
from collections.abc import Callable
from pathlib import Path

import arviz as az
import jax
import jax.numpy as jnp
import jax.scipy.stats as stats
import numpy as np
import pytest

from bayes_vs_sgd import samplers
from tests.conftest import within

# Name → sampler, thinning, warm-up.
OTHERS = {
    "HMC": (samplers.HMC(n_leapfrog=20, target_acceptance=0.9), 1, 1000),
    "NUTS of NumPyro": (samplers.NUTS(target_acceptance=0.9, backend="numpyro"), 1, 1000),
    "AdjustedMCLMC": (samplers.AdjustedMCLMC(), 2, 1000),
    "MALA": (samplers.MALA(), 20, 1000),
    "MCLMC": (samplers.MCLMC(energy_variance=1e-6), 60, 3000),
}


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


def linear_regression(x: np.ndarray, y: np.ndarray, log_prior_sigma: Callable) -> tuple:
    """y ~ N(β₁ + β₂x, σ²), flat in β, sampled with x centred and scaled."""
    z = jnp.asarray((x - x.mean()) / x.std(), jnp.float32)
    y = jnp.asarray(y, jnp.float32)
    centre, width = float(y.mean()), float(y.std())

    def constrained(p: dict) -> dict:
        slope = p["b"][1] * width / x.std()
        level = centre + p["b"][0] * width
        beta = jnp.stack([level - slope * x.mean(), slope])
        return {"beta": beta, "sigma": width * jnp.exp(p["log_sigma"])}

    def log_density(p: dict) -> jax.Array:
        residual = (y - centre) / width - p["b"][0] - p["b"][1] * z
        likelihood = stats.norm.logpdf(residual, scale=jnp.exp(p["log_sigma"])).sum()
        return log_prior_sigma(width * jnp.exp(p["log_sigma"])) + p["log_sigma"] + likelihood

    return log_density, {"b": jnp.zeros((4, 2)), "log_sigma": jnp.zeros(4)}, constrained


def earnings(data: dict) -> tuple:
    return linear_regression(
        np.asarray(data["height"]), np.log(data["earn"]), lambda sigma: jnp.zeros(())
    )


def kid_scores(data: dict) -> tuple:
    return linear_regression(
        np.asarray(data["mom_iq"]),
        np.asarray(data["kid_score"]),
        lambda sigma: half_cauchy(sigma, 2.5),
    )


def gaussian_process(data: dict) -> tuple:
    x, y = (jnp.asarray(data[name], jnp.float32) for name in ("x", "y"))
    square = (x[:, None] - x) ** 2

    def constrained(p: dict) -> dict:
        return {name: jnp.exp(value) for name, value in p.items()}

    def log_density(p: dict) -> jax.Array:
        rho, alpha, sigma = (jnp.exp(p[name]) for name in ("rho", "alpha", "sigma"))
        prior = (
            stats.gamma.logpdf(rho, 25, scale=1 / 4)
            + stats.norm.logpdf(alpha, scale=2)
            + stats.norm.logpdf(sigma)
        )
        covariance = alpha**2 * jnp.exp(-square / (2 * rho**2)) + sigma * jnp.eye(len(x))
        likelihood = stats.multivariate_normal.logpdf(y, jnp.zeros(len(x)), covariance)
        return prior + sum(p.values()) + likelihood

    return log_density, {name: jnp.zeros(4) for name in ("rho", "alpha", "sigma")}, constrained


CASES = {
    "earnings-logearn_height": earnings,
    "eight_schools-eight_schools_noncentered": eight_schools,
    "gp_pois_regr-gp_regr": gaussian_process,
    "kidiq-kidscore_momiq": kid_scores,
    "sblri-blr": bayesian_linear_regression,
}


def check(
    name: str,
    sampler: samplers.Sampler,
    thin: int,
    n_warmup: int,
    folder: Path,
    *,
    from_mode: bool = False,
) -> None:
    data = json.loads((folder / f"{name}.json").read_text())
    data = data.get("data", data)
    reference = np.load(folder / f"{name}.npz")
    log_density, start, constrained = CASES[name](data)
    if from_mode:
        start = samplers.maximize(log_density, start).last
    draws = samplers.sample(
        jax.random.key(2),
        log_density,
        start,
        sampler,
        n_warmup=n_warmup,
        n_draws=2000,
        thin=thin,
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
            theirs = reference["draws"][:, :, column].astype(np.float64)
            for power in (1, 2):
                ours, exact = flat[..., k] ** power, theirs**power
                assert az.ess(ours) > 400
                error = np.hypot(az.mcse(ours), az.mcse(exact))
                within(ours.mean(), exact.mean(), error)


@pytest.mark.parametrize(
    "name",
    [
        name if name.startswith("eight") else pytest.param(name, marks=pytest.mark.slow)
        for name in CASES
    ],
)
def test_nuts_recovers_a_reference_posterior(name: str, shared_data: Path) -> None:
    check(name, samplers.NUTS(target_acceptance=0.9), 1, 1000, shared_data / "posteriordb")


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    "sampler",
    [
        name if name in ("HMC", "MALA") else pytest.param(name, marks=pytest.mark.slow)
        for name in OTHERS
    ],
)
def test_other_samplers_recover_it_from_its_mode(
    name: str, sampler: str, shared_data: Path
) -> None:
    check(name, *OTHERS[sampler], shared_data / "posteriordb", from_mode=True)
