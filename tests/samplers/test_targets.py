"""Every sampler recovers what is known exactly, within its Monte Carlo error."""

from typing import ClassVar

import arviz as az
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayes_vs_sgd import Dataset, Draws, Posterior, likelihoods, priors, samplers
from tests.conftest import within
from tests.samplers.cases import CASES, LONG_ARE_SLOW, known_moments, start, target


def check_mean(draws: np.ndarray, truth: np.ndarray, least_ess: float = 400) -> None:
    """ESS first, then the mean within five Monte Carlo errors."""
    for i, exact in np.ndenumerate(truth):
        values = draws[(slice(None), slice(None), *i)]
        assert az.ess(values) > least_ess
        within(values.mean(), exact, az.mcse(values))


@pytest.mark.parametrize("name", LONG_ARE_SLOW)
def test_every_sampler_finds_the_moments_of_the_targets(name: str) -> None:
    case = CASES[name]
    draws = samplers.sample(
        jax.random.key(11),
        target(case),
        start(case),
        case.accurate or case.quick,
        n_warmup=case.n_warmup,
        n_draws=6000 // case.n_chains,
        thin=case.thin,
        progress=False,
    )
    for values, truth in known_moments(draws.params).values():
        check_mean(values, truth)


def test_the_distance_of_a_draw_to_the_truth_is_twice_that_of_the_posterior_mean() -> None:
    # any sampler, well-specified model: E‖draw − truth‖² = 2·E‖posterior mean − truth‖²
    rng = np.random.default_rng(6)
    n, truth = 200, rng.normal(size=200)
    observed = jnp.asarray(truth + rng.normal(size=n), jnp.float32)
    draws = samplers.sample(
        jax.random.key(11),
        lambda t: -0.5 * jnp.sum(t**2) - 0.5 * jnp.sum((observed - t) ** 2),
        jnp.zeros((4, n)),
        samplers.HMC(n_leapfrog=12),
        n_warmup=500,
        n_draws=1500,
        progress=False,
    ).params.astype(np.float64)
    mean = draws.mean((0, 1))
    ratio = ((draws - truth) ** 2).mean((0, 1)) / 2 - (mean - truth) ** 2
    within(ratio.mean(), 0, ratio.std(ddof=1) / n**0.5)


def test_a_network_and_its_plain_density_give_the_same_chain() -> None:
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(20, 2)).astype(np.float32), rng.normal(size=20).astype(np.float32)

    class Linear:
        shapes: ClassVar = {"w": (1, 2)}

        def apply(self, params: dict, x: jax.Array) -> jax.Array:
            return x @ params["w"][0]

    dataset = Dataset(x, y, x, y)
    posterior = Posterior.of(Linear(), dataset, likelihoods.Gaussian(1.0), priors.Normal(1.0))

    def plain(p: dict) -> jax.Array:
        return (
            priors.Normal(1.0).log_prob(p)
            + likelihoods.Gaussian(1.0).log_prob(x @ p["w"][0], y).sum()
        )

    start = {"w": jnp.zeros((2, 1, 2))}
    a, b = (
        samplers.sample(
            jax.random.key(0),
            t,
            start,
            samplers.HMC(n_leapfrog=5),
            n_warmup=20,
            n_draws=10,
            progress=False,
        )
        for t in (posterior, plain)
    )
    np.testing.assert_allclose(a.params["w"], b.params["w"], rtol=1e-3, atol=1e-3)


def test_numpy_data_of_double_precision_is_taken_in_the_precision_of_jax() -> None:
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(20, 2)), rng.integers(0, 2, 20)

    def log_likelihood(p: jax.Array, rows: tuple[jax.Array, jax.Array]) -> jax.Array:
        return jax.nn.log_sigmoid((2 * rows[1] - 1) * (rows[0] @ p))

    def draws(x: np.ndarray, y: np.ndarray) -> Draws:
        posterior = Posterior(lambda p: -(p**2).sum() / 2, log_likelihood, (x, y))
        return samplers.sample(
            jax.random.key(0),
            posterior,
            jnp.zeros((2, 2)),
            samplers.HMC(n_leapfrog=5),
            n_warmup=5,
            n_draws=5,
            progress=False,
        )

    double, single = draws(x, y), draws(x.astype(np.float32), y.astype(np.int32))
    assert double.params.dtype == np.float32
    np.testing.assert_array_equal(double.params, single.params)


@pytest.mark.parametrize("mutation", ["sign", "dropped rejections"])
def test_the_checks_turn_red_for_a_wrong_sampler(mutation: str) -> None:
    def log_density(x: jax.Array) -> jax.Array:
        return jnp.sum(3 * x - jnp.exp(x))

    rough = samplers.HMC(n_leapfrog=2, step_size=1.1, step_size_jitter=0)
    draws = samplers.sample(
        jax.random.key(1),
        log_density,
        jnp.ones((4, 1)),
        rough,
        n_warmup=0,
        n_draws=4000,
        progress=False,
    )
    x = draws.params[..., 0].astype(np.float64)
    check_mean(np.exp(x)[..., None], np.array([3]), least_ess=200)
    if mutation == "sign":
        wrong = -x
    else:
        moved = np.diff(x, axis=1, prepend=np.nan) != 0
        n = moved.sum(1).min()
        wrong = np.stack([chain[keep][:n] for chain, keep in zip(x, moved, strict=True)])
    with pytest.raises(AssertionError):
        check_mean(np.exp(wrong)[..., None], np.array([3]), least_ess=200)


def test_the_same_call_again_does_not_trace_the_target_again() -> None:
    traced = []

    def log_density(x: jax.Array) -> jax.Array:
        traced.append(x)
        return -(x**2).sum() / 2

    for n in (2, 3):
        for seed in (0, 1):
            if seed:
                traced.clear()
            samplers.sample(
                jax.random.key(seed),
                log_density,
                jnp.zeros((n, 2)),
                samplers.HMC(n_leapfrog=5),
                n_warmup=5,
                n_draws=5,
                progress=False,
            )
            assert bool(traced) == (seed == 0)
