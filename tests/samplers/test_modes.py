"""Two modes far apart: parallel tempering and tempered SMC weigh them, a single chain cannot."""

from functools import lru_cache
from typing import Any

import arviz as az
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.stats import norm

from bayes_vs_sgd import Draws, Posterior, samplers
from tests.conftest import within

# Prior N(0, 2²) in four dimensions; the likelihood is 0.3·N(θ; 2, 0.3²) + 0.7·N(θ; −2, 0.3²). By
# symmetry the modes keep these weights; they are 27 of their standard deviations apart.
PRIOR_STD, WIDTH, SHARES = 2.0, 0.3, np.array([0.3, 0.7])
CENTRES = np.array([[2.0] * 4, [-2.0] * 4])
SHRINKAGE = PRIOR_STD**2 / (PRIOR_STD**2 + WIDTH**2)
VARIANCE = WIDTH**2 * SHRINKAGE
LOG_EVIDENCE = float(norm.logpdf(CENTRES[0], scale=np.hypot(PRIOR_STD, WIDTH)).sum())


def log_prior(x: jax.Array) -> jax.Array:
    return norm.logpdf(x, scale=PRIOR_STD).sum()


def log_likelihood(x: jax.Array, centres: jax.Array) -> jax.Array:
    heights = norm.logpdf(x, centres, WIDTH).sum(-1) + jnp.log(SHARES)
    return jax.nn.logsumexp(heights)[None] / len(centres) * jnp.ones(len(centres))


def draw_prior(key: jax.Array, n: int) -> jax.Array:
    return PRIOR_STD * jax.random.normal(key, (n, 4))


TWO_MODES = Posterior(
    log_prior, log_likelihood, jnp.asarray(CENTRES, jnp.float32), sample_prior=draw_prior
)
IN_FIRST = jnp.full((8, 4), 2.0)
IN_BOTH = jnp.asarray(np.repeat(CENTRES, 4, axis=0), jnp.float32)


@lru_cache
def tempered(**settings: object) -> Draws:
    sampler = samplers.ParallelTempering(samplers.HMC(n_leapfrog=8), **settings)
    return samplers.sample(
        jax.random.key(1), TWO_MODES, IN_FIRST, sampler, n_warmup=400, n_draws=1500, progress=False
    )


def first(draws: Draws) -> np.ndarray:
    """1 for every draw in the first mode."""
    return (draws.params.mean(-1) > 0).astype(np.float64)


def check_modes(draws: Draws) -> None:
    """The weights of the modes, and the moments within them."""
    share = first(draws)
    assert az.ess(share) > 100
    within(share.mean(), SHARES[0], az.mcse(share))
    x = draws.params - np.where(share[..., None], *(SHRINKAGE * CENTRES))
    for i in range(4):
        assert az.ess(x[..., i]) > 400
        within(x[..., i].mean(), 0, az.mcse(x[..., i]))
        within((x[..., i] ** 2).mean(), VARIANCE, az.mcse(x[..., i] ** 2))


def test_parallel_tempering_weighs_both_modes() -> None:
    draws = tempered()
    check_modes(draws)
    expected = jax.vmap(jax.vmap(TWO_MODES.log_density))(draws.params)
    np.testing.assert_allclose(draws.stats["lp"], expected, rtol=1e-5, atol=1e-4)
    # eight rungs of eight gradients, and one a rung for the swaps
    assert (draws.stats["n_steps"] == 72).all()


def test_chains_at_one_temperature_stay_in_their_modes() -> None:
    draws = samplers.sample(
        jax.random.key(1),
        TWO_MODES,
        IN_BOTH,
        samplers.HMC(n_leapfrog=8),
        n_warmup=400,
        n_draws=1500,
        progress=False,
    )
    assert (first(draws) == np.repeat([[1], [0]], 4, axis=0)).all()
    with pytest.raises(AssertionError):
        check_modes(draws)


@pytest.mark.parametrize(
    "settings",
    [{"inverse_temperatures": (1.0, 0.3, 0.1, 0.03, 0.01, 0.0)}, {"swap_every": 2}, {"n_rungs": 6}],
)
def test_ladders_of_other_kinds_weigh_both_modes(settings: dict) -> None:
    check_modes(tempered(**settings))


def ladder_after(n_warmup: int, n_steps: int, **settings: object) -> Any:
    sampler = samplers.ParallelTempering(samplers.HMC(n_leapfrog=4), **settings)
    kernel = sampler.kernel(TWO_MODES, n_warmup)

    @jax.jit
    def run(key: jax.Array) -> object:
        def step(i: jax.Array, state: object) -> object:
            return kernel.step(jax.random.fold_in(key, i), state, i)[0]

        return jax.lax.fori_loop(0, n_steps, step, kernel.init(key, IN_FIRST[0]))

    return run(jax.random.key(5))


def test_after_swaps_and_a_new_ladder_every_rung_knows_its_own_log_density() -> None:
    state = ladder_after(200, 200, n_rungs=6)
    betas = state.inverse_temperatures
    geometric = np.geomspace(1, 0.01, 6)
    assert betas[0] == 1
    np.testing.assert_allclose(betas[-1], 0.01, rtol=1e-6)
    assert (np.diff(betas) < 0).all()
    assert np.abs(betas[1:-1] / geometric[1:-1] - 1).max() > 0.05

    def log_density(x: jax.Array, beta: jax.Array) -> jax.Array:
        return log_prior(x) + beta * TWO_MODES.total_log_likelihood(x)

    chain = state.rungs.chain
    values, slopes = jax.vmap(jax.value_and_grad(log_density))(chain.position, betas)
    np.testing.assert_allclose(chain.logdensity, values, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(chain.logdensity_grad, slopes, rtol=1e-4, atol=1e-3)
    # each rung has settings of its own: the hot ones take larger steps in wider spaces
    width = state.rungs.step_size * np.sqrt(state.rungs.mass.inverse_mass_matrix).mean(-1)
    assert width[-1] > 2 * width[0]


def test_the_adapted_ladder_rejects_evenly() -> None:
    state = ladder_after(800, 2400, n_rungs=6)
    spaced = 1 - state.swaps.total / state.swaps.n_tried
    plain = ladder_after(800, 2400, inverse_temperatures=tuple(np.geomspace(1, 0.01, 6).tolist()))
    geometric = 1 - plain.swaps.total / plain.swaps.n_tried
    assert spaced.max() - spaced.min() < 0.15 < geometric.max() - geometric.min()


def test_smc_weighs_both_modes() -> None:
    draws = samplers.sample_population(
        jax.random.key(2), TWO_MODES, samplers.TemperedSMC(), n_runs=8, progress=False
    )
    shares = first(draws).mean(1)
    within(shares.mean(), SHARES[0], shares.std(ddof=1) / 8**0.5)
    # 8000 particles are worth at least 400 independent draws
    assert shares.std(ddof=1) / 8**0.5 < (0.3 * 0.7 / 400) ** 0.5
    evidence = samplers.log_evidence(draws)
    within(evidence.value, LOG_EVIDENCE, evidence.sem)


def test_nested_sampling_weighs_both_modes() -> None:
    draws = samplers.sample_population(
        jax.random.key(2), TWO_MODES, samplers.NestedSampling(), n_runs=8, progress=False
    )
    shares = first(draws).mean(1)
    within(shares.mean(), SHARES[0], shares.std(ddof=1) / 8**0.5)
    evidence = samplers.log_evidence(draws)
    within(evidence.value, LOG_EVIDENCE, evidence.sem)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: samplers.ParallelTempering(n_rungs=1), "n_rungs=1"),
        (lambda: samplers.ParallelTempering(swap_every=0), "swap_every=0"),
        (lambda: samplers.ParallelTempering(least_inverse_temperature=1.0), "not below 1"),
        (lambda: samplers.ParallelTempering(least_inverse_temperature=0), "positive number"),
        (lambda: samplers.ParallelTempering(inverse_temperatures=(1.0, 0.2, 0.5)), "no ladder"),
        (lambda: samplers.ParallelTempering(inverse_temperatures=(0.9, 0.2)), "no ladder"),
        (lambda: samplers.ParallelTempering(inverse_temperatures=(1.0,)), "no ladder"),
        (lambda: samplers.ParallelTempering(inverse_temperatures=(1.0, -0.1)), "no ladder"),
    ],
)
def test_ladders_that_are_not_possible_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        (samplers.ParallelTempering(inverse_temperatures=(1.0, 0.0)), "leaves nothing to sample"),
        (samplers.ParallelTempering(samplers.ChEES()), "cannot move the rungs"),
        (samplers.ParallelTempering(samplers.EllipticalSlice()), "prior and the likelihood apart"),
    ],
)
def test_what_cannot_be_tempered_is_refused(sampler: samplers.Sampler, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        samplers.sample(
            jax.random.key(0),
            lambda x: -jnp.sum(x**2),
            jnp.ones((2, 3)),
            sampler,
            n_warmup=0,
            n_draws=1,
            progress=False,
        )
