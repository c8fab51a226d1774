"""Laws that every sampler in the registry obeys."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayes_vs_sgd import samplers

SAMPLERS = list(samplers.REGISTRY.values())
START = {"a": jnp.ones((4, 3)), "b": jnp.zeros((4,))}


def log_density(p: dict[str, jax.Array]) -> jax.Array:
    return -0.5 * jnp.sum(p["a"] ** 2) - 0.5 * (p["b"] - 1) ** 2


def run(sampler: samplers.Sampler, **changes: object) -> object:
    settings = {"n_warmup": 40, "n_draws": 30, "progress": False} | changes
    return samplers.sample(jax.random.key(3), log_density, START, sampler, **settings)


@pytest.mark.parametrize("kind", SAMPLERS)
def test_the_same_key_gives_the_same_draws_and_another_key_others(kind: type) -> None:
    first, again = run(kind()), run(kind())
    other = samplers.sample(
        jax.random.key(4), log_density, START, kind(), n_warmup=40, n_draws=30, progress=False
    )
    assert (first.params["a"] == again.params["a"]).all()
    assert not (first.params["a"] == other.params["a"]).any()


@pytest.mark.parametrize("kind", SAMPLERS)
def test_shapes_and_statistics_have_the_axes_chain_and_draw(kind: type) -> None:
    draws = run(kind())
    assert {n: v.shape for n, v in draws.params.items()} == {"a": (4, 30, 3), "b": (4, 30)}
    assert {"acceptance_rate", "diverging", "energy", "lp", "n_steps", "step_size"} <= set(
        draws.stats
    )
    assert {v.shape for v in draws.stats.values()} == {(4, 30)}
    assert (draws.last["a"] == draws.params["a"][:, -1]).all()
    assert (draws.stats["step_size"] == draws.stats["step_size"][:, :1]).all()


@pytest.mark.parametrize("kind", SAMPLERS)
def test_lp_is_the_log_density_of_the_draw(kind: type) -> None:
    draws = run(kind())
    expected = jax.vmap(jax.vmap(log_density))(draws.params)
    np.testing.assert_allclose(draws.stats["lp"], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", SAMPLERS)
def test_more_draws_begin_with_the_same_draws(kind: type) -> None:
    few, many = run(kind()), run(kind(), n_draws=61)
    np.testing.assert_array_equal(few.params["a"], many.params["a"][:, :30])


@pytest.mark.parametrize("kind", SAMPLERS)
def test_a_chain_does_not_depend_on_the_chains_beside_it(kind: type) -> None:
    alone = samplers.sample(
        jax.random.key(3),
        log_density,
        {"a": START["a"][:1], "b": START["b"][:1]},
        dataclasses.replace(kind(), step_size=0.3),
        n_warmup=0,
        n_draws=10,
        progress=False,
    )
    beside = run(dataclasses.replace(kind(), step_size=0.3), n_warmup=0, n_draws=10)
    np.testing.assert_allclose(alone.params["a"][0], beside.params["a"][0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", SAMPLERS)
def test_collect_is_kept_in_place_of_the_parameters(kind: type) -> None:
    whole, collected = run(kind()), run(kind(), collect=lambda p: p["a"].sum())
    assert collected.params.shape == (4, 30)
    np.testing.assert_allclose(collected.params, whole.params["a"].sum(-1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", SAMPLERS)
def test_compiled_and_eager_steps_agree(kind: type) -> None:
    kernel = kind().kernel(samplers.Density(log_density), 5)
    one = jax.tree.map(lambda a: a[0], START)
    state = kernel.init(jax.random.key(1), one)
    eager, _ = kernel.step(jax.random.key(0), state, jnp.asarray(0))
    compiled, _ = jax.jit(kernel.step)(jax.random.key(0), state, jnp.asarray(0))
    for a, b in zip(jax.tree.leaves(eager), jax.tree.leaves(compiled), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", SAMPLERS)
def test_double_precision_stays_double(kind: type, float64: None) -> None:
    start = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), START)
    draws = samplers.sample(
        jax.random.key(3), log_density, start, kind(), n_warmup=20, n_draws=5, progress=False
    )
    assert draws.params["a"].dtype == np.float64


def test_a_rejected_proposal_repeats_the_state() -> None:
    draws = run(
        samplers.HMC(n_leapfrog=3, step_size=1.9, step_size_jitter=0), n_warmup=0, n_draws=200
    )
    repeated = (np.diff(draws.params["b"], axis=1) == 0).mean()
    rejected = 1 - draws.stats["acceptance_rate"].mean()
    assert rejected > 0.05
    assert abs(repeated - rejected) < 5 * (rejected * (1 - rejected) / 800) ** 0.5
