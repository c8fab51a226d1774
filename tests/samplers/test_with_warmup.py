import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayes_vs_sgd import samplers


def log_density(params: dict) -> jax.Array:
    return -0.5 * jnp.sum(params["x"] ** 2 / jnp.array([1.0, 100.0]))


START = {"x": jnp.full((2, 2), 5.0)}


@pytest.mark.parametrize("sampler", [samplers.HMC(n_leapfrog=4), samplers.NUTS(), samplers.MCLMC()])
def test_the_draws_after_the_warmup_are_those_of_the_sampler_alone(sampler: object) -> None:
    key = jax.random.key(0)
    alone = samplers.sample(
        key, log_density, START, sampler, n_warmup=30, n_draws=20, progress=False
    )
    whole = samplers.sample(
        key,
        log_density,
        START,
        samplers.WithWarmup(sampler, 30),
        n_warmup=0,
        n_draws=50,
        progress=False,
    )
    np.testing.assert_allclose(whole.params["x"][:, 30:], alone.params["x"], rtol=1e-5)
    steps = np.asarray(whole.stats["step_size"])[0]
    assert np.unique(steps[:30]).size > 5
    assert np.unique(steps[30:]).size == 1


def test_a_second_warmup_is_refused() -> None:
    with pytest.raises(ValueError, match="n_warmup=10 would be a second warm-up beside n_adapt=30"):
        samplers.sample(
            jax.random.key(0), log_density, START, samplers.WithWarmup(samplers.HMC(), 30),
            n_warmup=10, n_draws=5, progress=False,
        )  # fmt: skip
