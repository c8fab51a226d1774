"""Laws that every sampler in the registry obeys."""

import dataclasses
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayes_vs_sgd import Draws, samplers
from tests.samplers.cases import (
    CASES,
    EVERY,
    LONG_ARE_SLOW,
    REGRESSION,
    Case,
    regression_start,
    those,
)


def run(name: str, seed: int = 3, **changes: object) -> Draws:
    case = CASES[name]
    settings = {"n_warmup": 40, "n_draws": 30, "progress": False} | changes
    initial = settings.pop("initial", regression_start(case))
    sampler = settings.pop("sampler", case.quick)
    return samplers.sample(jax.random.key(seed), REGRESSION, initial, sampler, **settings)


def has_settings(case: Case) -> bool:
    return bool(dataclasses.fields(case.quick))


@lru_cache
def once(name: str) -> Draws:
    return run(name)


def test_every_sampler_is_tested() -> None:
    assert {type(case.quick) for case in CASES.values()} == set(samplers.REGISTRY.values())


@pytest.mark.parametrize("name", LONG_ARE_SLOW)
def test_the_same_key_gives_the_same_draws_and_another_key_others(name: str) -> None:
    first, again, other = once(name), run(name), run(name, seed=4)
    assert (first.params["w"] == again.params["w"]).all()
    assert not (first.params["w"] == other.params["w"]).any()


@pytest.mark.parametrize("name", EVERY)
def test_shapes_and_statistics_have_the_axes_chain_and_draw(name: str) -> None:
    case, draws = CASES[name], once(name)
    expected = {n: (v.shape[0], 30, *v.shape[1:]) for n, v in regression_start(case).items()}
    assert {n: v.shape for n, v in draws.params.items()} == expected
    assert {"n_steps", "lp" if case.has_lp else "lp_estimate"} <= set(draws.stats)
    if case.is_hamiltonian:
        assert {"acceptance_rate", "diverging", "energy", "step_size"} <= set(draws.stats)
        assert (draws.stats["step_size"] == draws.stats["step_size"][:, :1]).all()
    assert {v.shape for v in draws.stats.values()} == {(case.n_chains, 30)}
    assert (draws.last["w"] == draws.params["w"][:, -1]).all()


@pytest.mark.parametrize("name", those(lambda case: case.has_lp))
def test_lp_is_the_log_density_of_the_draw(name: str) -> None:
    draws = once(name)
    expected = jax.vmap(jax.vmap(REGRESSION.log_density))(draws.params)
    np.testing.assert_allclose(draws.stats["lp"], expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", LONG_ARE_SLOW)
def test_a_chain_does_not_depend_on_the_chains_beside_it(name: str) -> None:
    start = regression_start(CASES[name])

    def chains(n_chains: int) -> np.ndarray:
        initial = jax.tree.map(lambda a: a[jnp.arange(n_chains) % len(a)], start)
        return run(name, initial=initial, n_warmup=0, n_draws=10).params["w"]

    # Of a sampler without communication, three run one after another and twelve are vectorised.
    one, three, twelve = chains(1), chains(3), chains(12)
    np.testing.assert_allclose(one, twelve[:1], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(three, twelve[:3], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", LONG_ARE_SLOW)
def test_compiled_and_eager_steps_agree(name: str) -> None:
    case = CASES[name]
    kernel = case.quick.kernel(REGRESSION, 0)
    one = jax.tree.map(lambda a: a[0], regression_start(case))
    state = kernel.init(jax.random.key(1), one)
    eager, _ = kernel.step(jax.random.key(0), state, jnp.asarray(0))
    compiled, _ = jax.jit(kernel.step)(jax.random.key(0), state, jnp.asarray(0))
    for a, b in zip(jax.tree.leaves(eager), jax.tree.leaves(compiled), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", those(lambda case: case.n_chains == 4))
def test_double_precision_stays_double(name: str, float64: None) -> None:
    initial = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), regression_start(CASES[name]))
    kernel = CASES[name].quick.kernel(REGRESSION, 20)
    one = jax.tree.map(lambda a: a[0], initial)
    state = jax.eval_shape(kernel.init, jax.random.key(1), one)
    after, stats = jax.eval_shape(kernel.step, jax.random.key(0), state, jnp.asarray(0))
    assert jax.tree.map(lambda a: a.dtype, after) == jax.tree.map(lambda a: a.dtype, state)
    names = {a.dtype.name for a in jax.tree.leaves((jax.eval_shape(kernel.params, after), stats))}
    assert "float64" in names
    assert "float32" not in names


@pytest.mark.parametrize(
    "name",
    ["hmc", "sgld", *(pytest.param(name, marks=pytest.mark.slow) for name in ("ghmc", "chees"))],
)
def test_draws_of_doubles_are_doubles(name: str, float64: None) -> None:
    initial = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), regression_start(CASES[name]))
    draws = run(name, initial=initial, n_warmup=20, n_draws=5)
    assert draws.params["w"].dtype == np.float64


@pytest.mark.parametrize("name", ["hmc", "sgld"])
def test_more_draws_begin_with_the_same_draws(name: str) -> None:
    many = run(name, n_draws=61)
    np.testing.assert_array_equal(once(name).params["w"], many.params["w"][:, :30])


@pytest.mark.parametrize("name", ["hmc", "sgld"])
def test_thinning_keeps_every_nth_draw_and_joins_the_statistics_between(name: str) -> None:
    whole, thinned = run(name, n_draws=60), run(name, n_draws=20, thin=3)
    np.testing.assert_array_equal(thinned.params["w"], whole.params["w"][:, 2::3])
    np.testing.assert_array_equal(
        thinned.stats["n_steps"], whole.stats["n_steps"].reshape(4, 20, 3).sum(-1)
    )
    if name == "hmc":
        means = whole.stats["acceptance_rate"].reshape(4, 20, 3).mean(-1)
        np.testing.assert_allclose(thinned.stats["acceptance_rate"], means, rtol=1e-5)
        np.testing.assert_array_equal(thinned.stats["lp"], whole.stats["lp"][:, 2::3])


@pytest.mark.parametrize("name", ["hmc", "sgld"])
def test_collect_is_kept_in_place_of_the_parameters(name: str) -> None:
    collected = run(name, collect=lambda p: p["w"].sum())
    assert collected.params.shape == (4, 30)
    np.testing.assert_allclose(
        collected.params, once(name).params["w"].sum(-1), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("name", ["hmc", "ghmc", "chees"])
def test_draws_start_another_run_where_they_ended(name: str) -> None:
    first = once(name)
    again = run(name, initial=first, n_warmup=0, n_draws=3)
    expected = run(name, initial=first.last, n_warmup=0, n_draws=3)
    np.testing.assert_array_equal(again.params["w"], expected.params["w"])


def test_a_rejected_proposal_repeats_the_state() -> None:
    rough = samplers.HMC(n_leapfrog=3, step_size=0.3, step_size_jitter=0)
    draws = run("hmc", sampler=rough, n_warmup=0, n_draws=400)
    repeated = (np.diff(draws.params["w"][..., 0], axis=1) == 0).mean()
    rejected = 1 - draws.stats["acceptance_rate"].mean()
    assert rejected > 0.05
    assert abs(repeated - rejected) < 5 * (rejected * (1 - rejected) / 1600) ** 0.5


@pytest.mark.parametrize("backend", ["blackjax", "numpyro"])
def test_the_energy_is_that_of_the_state_kept(backend: str) -> None:
    sampler = samplers.HMC(n_leapfrog=3, step_size=0.2, step_size_jitter=0, backend=backend)
    draws = run("hmc", sampler=sampler, n_warmup=0, n_draws=400)
    kinetic = np.asarray(draws.stats["energy"] + draws.stats["lp"], np.float64)
    d = sum(v[0, 0].size for v in draws.params.values())
    assert kinetic.min() > 0
    # a momentum of d independent standard normals; the energy is kept by the flow but for ΔH
    assert abs(kinetic.mean() - d / 2) < 5 * (d / 2) ** 0.5 / 20


@pytest.mark.parametrize("name", those(has_settings))
def test_settings_are_frozen_and_shown_in_full(name: str) -> None:
    sampler = CASES[name].quick
    assert isinstance(hash(sampler), int)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(sampler, dataclasses.fields(sampler)[0].name, 1)
    assert once(name).info["sampler"] == repr(sampler)
