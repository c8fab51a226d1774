"""NumPyro's kernels as a backend, NumPyro's models as targets, and sub-sampling with a correction."""

import dataclasses
import itertools
from typing import ClassVar

import arviz as az
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest
import scipy.stats as stats
from numpyro import distributions, infer

from bayes_vs_sgd import (
    Dataset,
    Draws,
    Posterior,
    averaging,
    diagnostics,
    likelihoods,
    priors,
    samplers,
)
from bayes_vs_sgd.samplers import hmcecs
from bayes_vs_sgd.samplers.hmcecs import HMCECS
from bayes_vs_sgd.samplers.numpyro_target import from_numpyro
from tests.conftest import within
from tests.samplers.test_targets import check_mean

SAMPLERS = {
    "hmc": samplers.HMC(n_leapfrog=3, backend="numpyro"),
    "nuts": samplers.NUTS(backend="numpyro"),
}
HMC = SAMPLERS["hmc"]
COVARIANCE = np.array([[2.0, 0.9, 0.0], [0.9, 1.0, -0.3], [0.0, -0.3, 0.5]])
PRECISION = jnp.asarray(np.linalg.inv(COVARIANCE), jnp.float32)
MEAN = np.array([1.0, -2.0, 0.5])


def log_density(x: jax.Array) -> jax.Array:
    """A correlated Gaussian, and beside it the log of a Gamma(3) variable."""
    centred, skewed = x[:3] - MEAN, x[3]
    return -0.5 * centred @ PRECISION @ centred + 3 * skewed - jnp.exp(skewed)


def run(sampler: samplers.Sampler, key: int = 11, **changes: object) -> Draws:
    settings = {"initial": jnp.zeros((4, 4)), "n_warmup": 500, "n_draws": 2500} | changes
    return samplers.sample(
        jax.random.key(key), log_density, sampler=sampler, progress=False, **settings
    )


@pytest.fixture(scope="module", params=SAMPLERS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def draws(name: str) -> Draws:
    return run(SAMPLERS[name])


def test_a_correlated_and_a_skewed_density_have_their_moments(draws: Draws) -> None:
    x = draws.params.astype(np.float64)
    check_mean(x[..., :3], MEAN)
    centred = x[..., :3] - MEAN
    check_mean(centred[..., :, None] * centred[..., None, :], COVARIANCE)
    # E exp(y) = 3, E exp(2y) = 12, E y = digamma(3)
    y = x[..., 3]
    check_mean(np.stack([np.exp(y), np.exp(2 * y), y], -1), np.array([3, 12, 0.9227843351]))


def test_draws_depend_on_key_and_iteration_alone(name: str, draws: Draws) -> None:
    neighbours = jnp.zeros((4, 4)).at[1:].set(1.0)
    more = run(SAMPLERS[name], initial=neighbours, n_draws=2510)
    np.testing.assert_array_equal(draws.params[0], more.params[0, :2500])
    assert not (draws.params[1] == more.params[1, :2500]).all(-1).any()
    other = run(SAMPLERS[name], key=12)
    assert not (draws.params == other.params).all(-1).any()


def test_statistics_mean_what_they_mean_elsewhere(name: str, draws: Draws) -> None:
    stats = draws.stats
    names = {"acceptance_rate", "diverging", "energy", "lp", "n_steps", "step_size"}
    of_trees = {"tree_depth", "reached_max_treedepth"} if name == "nuts" else set()
    assert set(stats) == names | of_trees
    expected = jax.vmap(jax.vmap(log_density))(draws.params)
    np.testing.assert_allclose(stats["lp"], expected, rtol=1e-4, atol=1e-4)
    kinetic = np.asarray(stats["energy"] + stats["lp"], np.float64)
    assert kinetic.min() > -1e-3
    # At the state that is kept the momentum is N(0, M) again: d/2 on average, d = 4.
    within(kinetic.mean(), 2.0, az.mcse(kinetic))
    assert (stats["step_size"] == stats["step_size"][:, :1]).all()
    assert not stats["diverging"].any()
    if name == "nuts":
        assert (2 ** (stats["tree_depth"] - 1) <= stats["n_steps"]).all()
        assert (stats["n_steps"] < 2 ** stats["tree_depth"]).all()
        assert stats["tree_depth"].max() > 1
        assert not stats["reached_max_treedepth"].any()
    else:
        assert (stats["n_steps"] == 3).all()


@pytest.mark.parametrize("backend", ["blackjax", "numpyro"])
def test_trees_that_are_cut_off_are_counted(backend: str) -> None:
    sampler = samplers.NUTS(max_tree_depth=2, step_size=1e-3, backend=backend)
    draws = run(sampler, n_warmup=0, n_draws=20)
    assert (draws.stats["tree_depth"] == 2).all()
    assert diagnostics.sampler_summary(draws.stats)["n_at_max_tree_depth"] == 80


def test_a_thinned_draw_counts_a_tree_cut_off_on_its_way() -> None:
    sampler = samplers.NUTS(max_tree_depth=2, step_size=0.5)
    whole, thinned = (
        run(sampler, n_warmup=0, n_draws=n, thin=60 // n).stats["reached_max_treedepth"]
        for n in (60, 20)
    )
    on_the_way = whole.reshape(4, 20, 3)
    assert (on_the_way.any(-1) != on_the_way[..., -1]).any()
    np.testing.assert_array_equal(thinned, on_the_way.any(-1))


def test_without_warm_up_the_given_step_size_and_the_identity_are_used() -> None:
    sampler = samplers.HMC(n_leapfrog=2, step_size=0.3, backend="numpyro")
    kernel = sampler.kernel(samplers.Density(log_density), 0)

    @jax.jit
    def run(key: jax.Array) -> tuple:
        def body(i: int, state: object) -> object:
            return kernel.step(jax.random.fold_in(key, i), state, i)[0]

        state = jax.lax.fori_loop(0, 5, body, kernel.init(key, jnp.zeros(4)))
        return state, kernel.step(key, state, jnp.asarray(5))[1]

    state, seen = run(jax.random.key(0))
    assert state.adaptation.step_size == seen["step_size"] == jnp.float32(0.3)
    assert (state.adaptation.inverse_mass_matrix == 1).all()
    assert (state.position != 0).all()


def test_the_warm_up_finds_scales_and_then_stays() -> None:
    scales = jnp.array([0.1, 1.0, 10.0])
    kernel = samplers.HMC(n_leapfrog=10, backend="numpyro").kernel(
        samplers.Density(lambda x: -0.5 * jnp.sum((x / scales) ** 2)), 400
    )

    @jax.jit
    def run(key: jax.Array, state: object, start: int, stop: int) -> object:
        def body(i: int, state: object) -> object:
            return kernel.step(jax.random.fold_in(key, i), state, i)[0]

        return jax.lax.fori_loop(start, stop, body, state)

    key = jax.random.key(0)
    warm = run(key, jax.jit(kernel.init)(key, jnp.zeros(3)), 0, 400)
    found = np.asarray(warm.adaptation.inverse_mass_matrix) / scales**2
    assert (found > 1 / 3).all()
    assert (found < 3).all()
    after = run(key, warm, 400, 410)
    assert (after.position != warm.position).all()
    for a, b in zip(
        jax.tree.leaves(after.adaptation), jax.tree.leaves(warm.adaptation), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_the_step_size_of_a_transition_is_jittered() -> None:
    # on a flat density one leapfrog step moves by ε'·p: mean square ε²(1 + jitter²/3)
    draws = samplers.sample(
        jax.random.key(0),
        lambda x: 0.0 * x,
        jnp.zeros(4),
        samplers.HMC(n_leapfrog=1, step_size=0.5, step_size_jitter=0.9, backend="numpyro"),
        n_warmup=0,
        n_draws=5000,
        progress=False,
    )
    squares = np.diff(draws.params.astype(np.float64), axis=1) ** 2
    within(squares.mean(), 0.25 * (1 + 0.9**2 / 3), squares.std() / squares.size**0.5)
    assert (draws.stats["step_size"] == np.float32(0.5)).all()


class Network:
    """One hidden layer of two tanh units."""

    shapes: ClassVar = {"in.weight": (2, 1), "in.bias": (2,), "out.weight": (1, 2)}

    def apply(self, params: dict, x: jax.Array) -> jax.Array:
        return jnp.tanh(x @ params["in.weight"].T + params["in.bias"]) @ params["out.weight"].T


def functions(sampler: samplers.Sampler) -> np.ndarray:
    rng = np.random.default_rng(3)
    x = rng.uniform(-2, 2, size=(20, 1)).astype(np.float32)
    y = (np.sin(x) + 0.3 * rng.normal(size=x.shape)).astype(np.float32)
    likelihood = likelihoods.Gaussian(0.3)
    posterior = Posterior.of(Network(), Dataset(x, y, x, y), likelihood, priors.FanIn(1.5))
    draws = samplers.sample(
        jax.random.key(8),
        posterior,
        posterior.draw_prior(jax.random.key(9), 4),
        sampler,
        n_warmup=400,
        n_draws=1500,
        progress=False,
    )
    grid = np.linspace(-3, 3, 5, dtype=np.float32)[:, None]
    return averaging.predict(Network(), draws, grid, likelihood)[..., 0].astype(np.float64)


@pytest.mark.parametrize(
    "sampler",
    [
        samplers.HMC(n_leapfrog=8, target_acceptance=0.9),
        pytest.param(samplers.NUTS(target_acceptance=0.9), marks=pytest.mark.slow),
    ],
)
def test_both_libraries_find_the_same_functions(sampler: samplers.Sampler) -> None:
    ours = functions(sampler)
    theirs = functions(dataclasses.replace(sampler, backend="numpyro"))
    for i in range(5):
        for power in (1, 2):
            a, b = ours[..., i] ** power, theirs[..., i] ** power
            assert az.ess(a) > 400
            assert az.ess(b) > 400
            within(a.mean(), b.mean(), np.hypot(az.mcse(a), az.mcse(b)))


def test_trees_of_both_libraries_are_equally_deep_and_accept_alike() -> None:
    ours, theirs = (
        run(samplers.NUTS(step_size=0.4, backend=backend), n_warmup=0).stats
        for backend in ("blackjax", "numpyro")
    )
    for name in ("n_steps", "tree_depth", "acceptance_rate", "energy", "lp"):
        a, b = np.asarray(ours[name], np.float64), np.asarray(theirs[name], np.float64)
        within(a.mean(), b.mean(), np.hypot(az.mcse(a), az.mcse(b)))


def test_a_numpyro_model_is_a_target_on_its_unconstrained_variables() -> None:
    y = np.array([0.3, -0.8, 1.1])

    def model(y: np.ndarray) -> None:
        sigma = numpyro.sample("sigma", distributions.HalfNormal(1.0))
        rate = numpyro.sample("rate", distributions.Uniform(0.0, 2.0))
        numpyro.deterministic("ratio", sigma / rate)
        with numpyro.plate("rows", len(y)):
            numpyro.sample("y", distributions.Normal(rate, sigma), obs=y)

    target = from_numpyro(model, (y,))
    start = target.draw_prior(jax.random.key(0), 4)
    assert {name: value.shape for name, value in start.items()} == {"sigma": (4,), "rate": (4,)}
    one = {"sigma": jnp.asarray(-0.4), "rate": jnp.asarray(0.7)}
    sigma, rate = np.exp(-0.4), 2 / (1 + np.exp(-0.7))
    expected = stats.halfnorm.logpdf(sigma) + np.log(1 / 2)
    expected += stats.norm.logpdf(y, rate, sigma).sum() - 0.4 + np.log(rate * (2 - rate) / 2)
    assert float(target.log_density(one)) == pytest.approx(expected, rel=1e-5)

    draws = samplers.sample(
        jax.random.key(1),
        target,
        start,
        HMC,
        n_warmup=5,
        n_draws=3,
        collect=target.params,
        progress=False,
    ).params
    assert set(draws) == {"sigma", "rate", "ratio"}
    np.testing.assert_allclose(draws["ratio"], draws["sigma"] / draws["rate"], rtol=1e-5)
    assert (draws["sigma"] > 0).all()


def test_models_without_a_density_to_differentiate_are_refused() -> None:
    def discrete() -> None:
        side = numpyro.sample("side", distributions.Bernoulli(0.5))
        numpyro.sample("y", distributions.Normal(side, 1.0), obs=0.3)

    with pytest.raises(ValueError, match="'side' is discrete"):
        from_numpyro(discrete)
    with pytest.raises(ValueError, match="'data' takes 8 of its 30 rows"):
        from_numpyro(as_model(logistic(30)[0]), (8,))


def logistic(n: int, temperature: float = 1.0) -> tuple[Posterior, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(12)
    x = rng.normal(size=(n, 2))
    y = (rng.uniform(size=n) < 1 / (1 + np.exp(-x @ np.array([1.0, -0.5])))).astype(int)
    posterior = Posterior(
        log_prior=lambda w: priors.Normal(1.0).log_prob({"w": w}),
        log_likelihood=lambda w, d: likelihoods.Bernoulli().log_prob((d[0] @ w)[:, None], d[1]),
        data=(jnp.asarray(x), jnp.asarray(y)),
        temperature=temperature,
    )
    return posterior, x, y


def test_the_subsampled_density_is_that_of_numpyros_hmcecs(float64: None) -> None:
    posterior, _, _ = logistic(30, temperature=0.6)
    reference, point = {"w": jnp.array([0.7, -0.2])}, {"w": jnp.array([1.1, -0.5])}

    @jax.jit
    def both(key: jax.Array) -> tuple:
        kernel = infer.HMCECS(
            infer.NUTS(as_model(posterior)),
            num_blocks=2,
            proxy=infer.HMCECS.taylor_proxy(reference),
        )
        state = kernel.init(key, 5, reference, (), {"batch_size": 8})
        rows = {"data": state.z["data"]}
        settings = kernel._inner_kwargs({"batch_size": 8}, rows, state.gibbs_state)
        theirs = -kernel.inner_kernel.get_potential_fn((), settings)(point)
        expansion = hmcecs._expand(posterior, reference["w"])
        return theirs, *hmcecs._estimate(posterior, point["w"], rows["data"], expansion)

    theirs, ours, variance = both(jax.random.key(1))
    assert float(ours) == pytest.approx(float(theirs), rel=1e-12)
    assert variance > 1e-4
    assert abs(float(ours) - float(posterior.log_density(point["w"]))) > 1e-3


def as_model(posterior: Posterior) -> object:
    def model(batch_size: int | None = None) -> None:
        w = numpyro.sample("w", distributions.Normal(0, 1).expand([2]).to_event(1))
        with numpyro.plate("data", posterior.n_rows, batch_size) as rows:
            batch = jax.tree.map(lambda a: a[rows], posterior.data)
            numpyro.factor("rows", posterior.log_likelihood(w, batch) / posterior.temperature)

    return model


def test_hmcecs_draws_from_linear_regression_in_closed_form() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(80, 3)) * np.array([1, 3, 0.3])
    y = x @ np.array([1.0, -0.5, 2.0]) + 0.7 * rng.normal(size=80)
    posterior = Posterior(
        log_prior=lambda p: priors.Normal(1.5).log_prob({"w": p}),
        log_likelihood=lambda p, d: likelihoods.Gaussian(0.7).log_prob(d[0] @ p, d[1]),
        data=(jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32)),
        temperature=0.5,
    )
    covariance = np.linalg.inv(np.eye(3) / 1.5**2 + x.T @ x / 0.7**2 / 0.5)
    mean = covariance @ x.T @ y / 0.7**2 / 0.5
    start = jnp.asarray(np.tile(mean, (4, 1)) + 0.05 * rng.normal(size=(4, 3)), jnp.float32)
    draws = samplers.sample(
        jax.random.key(11),
        posterior,
        start,
        HMCECS(batch_size=10, n_blocks=5, inner=HMC),
        n_warmup=400,
        n_draws=1500,
        progress=False,
    )
    centred = draws.params.astype(np.float64) - mean
    check_mean(centred, np.zeros(3))
    check_mean(centred[..., :, None] * centred[..., None, :], covariance)
    assert "lp" not in draws.stats


def test_hmcecs_draws_from_logistic_regression_as_quadrature_has_it() -> None:
    posterior, x, y = logistic(200)
    axis = np.linspace(-1.5, 3, 181)
    grid = np.stack(np.meshgrid(axis, axis - 1, indexing="ij"), -1).reshape(-1, 2)
    margin = grid @ (x * (2 * y - 1)[:, None]).T
    log_density = -0.5 * (grid**2).sum(1) - np.logaddexp(0, -margin).sum(1)
    weight = np.exp(log_density - log_density.max())
    weight /= weight.sum()
    mean = weight @ grid
    second = weight @ (grid**2)
    highest = samplers.maximize(posterior, jnp.zeros((4, 2)))
    draws = samplers.sample(
        jax.random.key(11),
        posterior,
        highest,
        HMCECS(batch_size=20, n_blocks=5, inner=HMC),
        n_warmup=400,
        n_draws=2000,
        progress=False,
    )
    w = draws.params.astype(np.float64)
    check_mean(np.concatenate([w, w**2], -1), np.concatenate([mean, second]))
    assert draws.stats["estimate_variance"].mean() < 0.1
    assert draws.stats["row_acceptance_rate"].mean() > 0.9


def test_rows_and_parameters_have_their_joint_distribution() -> None:
    # Five rows, batches of three: all 125 choices of rows can be summed over.
    y = np.array([0.6, 0.8, 1.2, 1.5, 0.9])
    axis = np.linspace(-6, 5, 4001)
    row_log_likelihood = axis - y[:, None] * np.exp(axis)
    weight = np.zeros(len(axis))
    for rows in itertools.product(range(5), repeat=3):
        chosen = row_log_likelihood[list(rows)]
        weight += np.exp(5 * chosen.mean(0) - 0.5 * 25 / 3 * chosen.var(0))
    weight *= stats.norm.pdf(axis)
    exact = np.array([weight @ axis**k for k in (1, 2, 3)]) / weight.sum()
    posterior = Posterior(
        log_prior=lambda t: -0.5 * t**2,
        log_likelihood=lambda t, y: t - y * jnp.exp(t),
        data=jnp.asarray(y, jnp.float32),
    )
    draws = samplers.sample(
        jax.random.key(2),
        posterior,
        jnp.zeros(8),
        HMCECS(batch_size=3, n_blocks=3, inner=HMC, proxy=None),
        n_warmup=300,
        n_draws=4000,
        progress=False,
    )
    t = draws.params.astype(np.float64)
    check_mean(np.stack([t, t**2, t**3], -1), exact, least_ess=4000)
    assert 0.05 < draws.stats["row_acceptance_rate"].mean() < 0.95


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: samplers.HMC(backend="stan"), "backend='stan'"),
        (lambda: samplers.NUTS(backend="stan"), "backend='stan'"),
        (lambda: HMCECS(batch_size=1), "batch_size=1"),
        (lambda: HMCECS(batch_size=5), "n_blocks=10 exceeds the 5"),
        (lambda: HMCECS(batch_size=50, proxy="svi"), "proxy='svi'"),
        (lambda: HMCECS(batch_size=50, inner=samplers.NUTS()), r"pass NUTS\(backend='numpyro'\)"),
        (lambda: run(HMCECS(batch_size=10)), "HMCECS needs the prior and the likelihood"),
        (
            lambda: HMCECS(batch_size=50).kernel(logistic(30)[0], 10),
            "batch_size=50 exceeds the 30 training rows",
        ),
    ],
)
def test_settings_that_are_not_possible_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
