"""Every sampler of the registry with settings for the laws and for the targets, and the targets."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayes_vs_sgd import Posterior, likelihoods, priors, samplers


@dataclass(frozen=True)
class Case:
    """A sampler in the tests.

    Attributes:
        quick: Settings for the laws.
        accurate: Settings for the targets; those of the laws by default.
        n_chains: How many chains it needs.
        n_warmup: Iterations that settle it on the targets.
        thin: Iterations between two draws on the targets.
        has_lp: Whether it knows the log density of a draw.
        is_hamiltonian: Whether it reports acceptance and energy.
        gaussian_prior: Whether it takes no other prior.
        slow: Whether it is tested among what takes longer.
    """

    quick: samplers.Sampler
    accurate: samplers.Sampler | None = None
    n_chains: int = 4
    n_warmup: int = 500
    thin: int = 1
    has_lp: bool = True
    is_hamiltonian: bool = False
    gaussian_prior: bool = False
    slow: bool = False


CASES: dict[str, Case] = {
    "adjusted_mclmc": Case(samplers.AdjustedMCLMC(), thin=2),
    "chees": Case(samplers.ChEES(), n_chains=16),
    "elliptical_slice": Case(samplers.EllipticalSlice(), thin=8, gaussian_prior=True),
    "ghmc": Case(samplers.GHMC(n_folds=2), n_chains=16, thin=15, n_warmup=1500),
    "hmc": Case(samplers.HMC(n_leapfrog=5), samplers.HMC(n_leapfrog=12), is_hamiltonian=True),
    "hmc of numpyro": Case(
        samplers.HMC(n_leapfrog=5, backend="numpyro"),
        samplers.HMC(n_leapfrog=12, backend="numpyro"),
        is_hamiltonian=True,
        slow=True,
    ),
    "hmcecs": Case(
        samplers.HMCECS(batch_size=6, n_blocks=3),
        samplers.HMCECS(batch_size=8, n_blocks=4),
        has_lp=False,
        slow=True,
    ),
    "mala": Case(samplers.MALA(), thin=20),
    "mclmc": Case(
        samplers.MCLMC(),
        samplers.MCLMC(energy_variance=1e-6),
        thin=80,
        n_warmup=3000,
        slow=True,
    ),
    "nuts": Case(samplers.NUTS(), is_hamiltonian=True),
    "nuts of numpyro": Case(samplers.NUTS(backend="numpyro"), is_hamiltonian=True, slow=True),
    "parallel_tempering": Case(
        samplers.ParallelTempering(samplers.HMC(n_leapfrog=5), n_rungs=3),
        samplers.ParallelTempering(samplers.HMC(n_leapfrog=12), n_rungs=3),
    ),
    "preconditioned_sgld": Case(
        samplers.PreconditionedSGLD(batch_size=4, step_size=1e-3),
        samplers.PreconditionedSGLD(batch_size=12, step_size=1e-3),
        thin=400,
        n_warmup=4000,
        has_lp=False,
        slow=True,
    ),
    "sghmc": Case(
        samplers.SGHMC(batch_size=4),
        samplers.SGHMC(batch_size=12, step_size=0.1, friction=1.0),
        thin=40,
        n_warmup=2000,
        has_lp=False,
        slow=True,
    ),
    "sgld": Case(
        samplers.SGLD(batch_size=4),
        samplers.SGLD(batch_size=12, step_size=5e-3),
        thin=400,
        n_warmup=4000,
        has_lp=False,
    ),
    "sgnht": Case(
        samplers.SGNHT(batch_size=4),
        samplers.SGNHT(batch_size=12, step_size=0.1),
        thin=40,
        n_warmup=2000,
        has_lp=False,
        slow=True,
    ),
}


def those(wanted: Callable[[Case], bool]) -> list[Any]:
    """The names of the cases that are wanted, as parameters of tests."""
    return [
        pytest.param(name, marks=pytest.mark.slow) if case.slow else name
        for name, case in CASES.items()
        if wanted(case)
    ]


EVERY = those(lambda case: True)

# Compiling these takes longest: where a law is told of samplers one by one, they are slow.
LONG = {"adjusted_mclmc", "parallel_tempering", "chees", "ghmc"}
LONG_ARE_SLOW = [
    pytest.param(name, marks=[pytest.mark.slow] * (name in LONG or case.slow))
    for name, case in CASES.items()
]

Params = dict[str, jax.Array]

COVARIANCE = np.array([[2.0, 0.9, 0.0], [0.9, 1.0, -0.3], [0.0, -0.3, 0.5]])
PRECISION = jnp.asarray(np.linalg.inv(COVARIANCE), jnp.float32)
MEAN = np.array([1.0, -2.0, 0.5])

_RNG = np.random.default_rng(5)
X = _RNG.normal(size=(12, 4)) * np.array([1, 1.5, 0.7, 1])
Y = X @ np.array([1.0, -0.5, 2.0, 0.0]) + 1.2 * _RNG.normal(size=12)
TEMPERATURE = 0.8
W_COVARIANCE = np.linalg.inv(np.eye(4) / 1.5**2 + X.T @ X / 1.2**2 / TEMPERATURE)
W_MEAN = W_COVARIANCE @ X.T @ Y / 1.2**2 / TEMPERATURE


def _log_likelihood(p: Params, data: tuple[jax.Array, jax.Array]) -> jax.Array:
    return likelihoods.Gaussian(1.2).log_prob(data[0] @ p["w"], data[1])


def _gaussian_prior(p: Params) -> jax.Array:
    return priors.Normal(1.5).log_prob({"w": p["w"]})


def _log_prior(p: Params) -> jax.Array:
    centred = p["gauss"] - jnp.asarray(MEAN, jnp.float32)
    return (
        _gaussian_prior(p)
        - 0.5 * centred @ PRECISION @ centred
        + jnp.sum(3 * p["skew"] - jnp.exp(p["skew"]))
        - 0.5 * jnp.sum(p["funnel"] ** 2)
    )


_DATA = (jnp.asarray(X, jnp.float32), jnp.asarray(Y, jnp.float32))
REGRESSION = Posterior(_gaussian_prior, _log_likelihood, _DATA, TEMPERATURE)
TARGETS = Posterior(_log_prior, _log_likelihood, _DATA, TEMPERATURE)
"""Four targets side by side, independent of each other: a linear regression with a closed form, a
correlated Gaussian, the log of a Gamma(3) variable, and a funnel in its non-centred coordinates."""


def regression_start(case: Case) -> Params:
    """Starting points of the regression."""
    return {"w": jax.random.normal(jax.random.key(8), (case.n_chains, 4))}


def start(case: Case) -> Params:
    """Starting points of the targets."""
    if case.gaussian_prior:
        return regression_start(case)
    shapes = {"gauss": (3,), "skew": (1,), "funnel": (2,)}
    keys = dict(zip(shapes, jax.random.split(jax.random.key(9), 3), strict=True))
    return regression_start(case) | {
        name: jax.random.normal(keys[name], (case.n_chains, *shape))
        for name, shape in shapes.items()
    }


def target(case: Case) -> Posterior:
    """The targets that a sampler takes."""
    return REGRESSION if case.gaussian_prior else TARGETS


def known_moments(draws: dict[str, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Name → (values of every draw, what their mean is)."""
    draws = {name: np.asarray(value, np.float64) for name, value in draws.items()}
    w = draws["w"]
    moments = {
        "regression, mean": (w, W_MEAN),
        "regression, covariance": (_outer(w - W_MEAN), W_COVARIANCE),
    }
    if "gauss" not in draws:
        return moments
    gauss, x = draws["gauss"], draws["skew"][..., 0]
    v, z = np.moveaxis(draws["funnel"], -1, 0)
    return moments | {
        "Gaussian, mean": (gauss, MEAN),
        "Gaussian, covariance": (_outer(gauss - MEAN), COVARIANCE),
        # E exp(x) = 3, E exp(2x) = 12, E x = digamma(3)
        "skewed": (np.stack([np.exp(x), np.exp(2 * x), x], -1), np.array([3, 12, 0.9227843351])),
        # z exp(v/2) with v and z standard normal: E |·| = √(2/π) exp(1/8)
        "funnel": (np.abs(z) * np.exp(v / 2), np.array((2 / np.pi) ** 0.5 * np.exp(1 / 8))),
    }


def _outer(values: np.ndarray) -> np.ndarray:
    return values[..., :, None] * values[..., None, :]
