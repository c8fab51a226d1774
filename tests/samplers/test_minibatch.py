"""Samplers on mini-batches: against the exact laws of their own discretisation, batch noise included."""

import dataclasses
from collections.abc import Callable
from functools import cache

import arviz as az
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import solve_discrete_lyapunov
from scipy.optimize import brentq
from scipy.special import erfinv

from bayes_vs_sgd import Draws, Posterior, samplers
from bayes_vs_sgd.samplers import minibatch
from bayes_vs_sgd.samplers.noise import normal_like
from tests.conftest import within

N_ROWS, BATCH, D, TEMPERATURE = 12, 4, 16, 2.0
N_BATCHES = N_ROWS // BATCH
# The mean of a normal: rows N(θ, 1), prior N(0, 1), every component alike and independent.
PRECISION = 1 + N_ROWS / TEMPERATURE
# Variance of one component of a gradient: batches of BATCH rows out of N_ROWS with variance 1.
GRADIENT_NOISE = (N_ROWS / TEMPERATURE) ** 2 * (N_ROWS - BATCH) / (N_ROWS - 1) / BATCH
ALL = [
    samplers.SGLD(batch_size=BATCH),
    samplers.SGLD(batch_size=BATCH, control_variates=True),
    samplers.SGLD(samplers.CosineCycles(0.01, 10, exploration=0.5), batch_size=BATCH),
    samplers.PreconditionedSGLD(batch_size=BATCH),
    samplers.SGHMC(batch_size=BATCH, preconditioner=samplers.RMSprop()),
    samplers.SGNHT(batch_size=BATCH),
]


def rows() -> np.ndarray:
    y = np.random.default_rng(0).normal(size=(N_ROWS, D))
    return (y - y.mean(0)) / y.std(0) + 0.5


def log_likelihood(theta: jax.Array, y: jax.Array) -> jax.Array:
    return -0.5 * jnp.sum((y - theta) ** 2, axis=-1)


def log_prior(theta: jax.Array) -> jax.Array:
    return -0.5 * jnp.sum(theta**2)


def model(dtype: type = np.float32) -> Posterior:
    return Posterior(log_prior, log_likelihood, jnp.asarray(rows(), dtype), TEMPERATURE)


MEAN = 0.5 * (1 - 1 / PRECISION)


@cache
def run(sampler: samplers.Sampler, n_draws: int = 600, **changes: int) -> Draws:
    settings = {"n_warmup": 60, "progress": False} | changes
    start = jnp.full((32, D), MEAN, jnp.float32)
    return samplers.sample(jax.random.key(1), model(), start, sampler, n_draws=n_draws, **settings)


def check_variance(draws: np.ndarray, law: float) -> float:
    """ESS first, then the variance around the mean within five Monte Carlo errors, which it returns."""
    squares = ((draws.astype(np.float64) - MEAN) ** 2).mean(-1)
    assert az.ess(squares) > 400
    within(squares.mean(), law, az.mcse(squares))
    return float(az.mcse(squares))


def epoch_law(
    F: np.ndarray, Q: np.ndarray, h: np.ndarray, noise: float = GRADIENT_NOISE
) -> np.ndarray:
    """The covariance of z ← F z + h e + N(0, Q), averaged over an epoch of batches.

    The errors e of the batches of one epoch sum to 0, and epochs are independent.
    """
    F, Q, h = np.atleast_2d(F), np.atleast_2d(Q), np.atleast_1d(h)
    E = noise * (np.eye(N_BATCHES) * N_BATCHES - 1) / (N_BATCHES - 1)

    def after(S: np.ndarray, k: int) -> np.ndarray:
        powers = [np.linalg.matrix_power(F, k - 1 - i) for i in range(k)]
        H = np.stack([p @ h for p in powers], axis=1)
        S = np.linalg.matrix_power(F, k) @ S @ np.linalg.matrix_power(F, k).T
        return S + sum(p @ Q @ p.T for p in powers) + H @ E[:k, :k] @ H.T

    at_start = solve_discrete_lyapunov(
        np.linalg.matrix_power(F, N_BATCHES), after(np.zeros_like(F), N_BATCHES)
    )
    return np.mean([after(at_start, k + 1) for k in range(N_BATCHES)], axis=0)


def sgld_law(step: float, noise: float = GRADIENT_NOISE) -> float:
    return float(epoch_law(1 - step * PRECISION / 2, step, step / 2, noise)[0, 0])


def baoa_law(step: float, friction: float, spread: float) -> tuple[float, float]:
    """Variance of θ and mean of p² before and after the friction step."""
    c = np.exp(-friction * step)
    F = np.array(
        [
            [1 - step**2 / 2 * PRECISION * (1 + c), step / 2 * (1 + c)],
            [-c * step * PRECISION, c],
        ]
    )
    kick = np.array([step**2 / 2 * (1 + c), c * step])
    noise = np.array([step / 2, 1]) * spread
    S = epoch_law(F, np.outer(noise, noise), kick)
    before = (S[1, 1] - spread**2) / c**2
    return S[0, 0], (before + S[1, 1]) / 2


def euler_variance(step: float, friction: float) -> float:
    """Of θ ← θ + ε p, p ← (1 − γε) p − ε a θ + √(2γε) ξ, as SGHMC is mostly coded."""
    F = np.array([[1, step], [-step * PRECISION, 1 - friction * step]])
    return solve_discrete_lyapunov(F, np.diag([0, 2 * friction * step]))[0, 0]


def test_sgld_follows_the_law_of_its_own_discretisation() -> None:
    step = 1 / PRECISION
    draws = run(samplers.SGLD(step, batch_size=N_ROWS))
    error = check_variance(draws.params, 1 / (PRECISION * (1 - step * PRECISION / 4)))
    squares = ((draws.params - MEAN) ** 2).mean()
    assert squares - 1 / PRECISION > 10 * error
    expected = jax.vmap(jax.vmap(model().log_density))(draws.params)
    np.testing.assert_allclose(draws.stats["lp_estimate"][:, 1:], expected[:, :-1], rtol=1e-5)


def test_sgld_on_batches_follows_the_law_that_includes_their_noise() -> None:
    step = 1 / PRECISION
    draws = run(samplers.SGLD(step, batch_size=BATCH))
    error = check_variance(draws.params, sgld_law(step))
    # Batches drawn anew each time, or gradients of full batches, would be seen.
    damping = 1 - step * PRECISION / 4
    independent = (1 + step / 4 * GRADIENT_NOISE) / (PRECISION * damping)
    assert independent - sgld_law(step) > 10 * error
    assert sgld_law(step) - 1 / (PRECISION * damping) > 10 * error


def test_sghmc_has_the_posterior_where_explicit_euler_has_not() -> None:
    step, friction = 0.5 / PRECISION**0.5, 2.0
    draws = run(samplers.SGHMC(step, friction, batch_size=N_ROWS))
    error = check_variance(draws.params, 1 / PRECISION)
    assert abs(euler_variance(step, friction) - 1 / PRECISION) > 10 * error
    temperature = draws.stats["kinetic_temperature"]
    within(temperature.mean(), 1, az.mcse(temperature))


@pytest.mark.parametrize("gradient_noise", [0.0, 10.0])
def test_sghmc_on_batches_follows_the_law_that_includes_their_noise(gradient_noise: float) -> None:
    step, friction = 0.5 / PRECISION**0.5, 2.0
    draws = run(samplers.SGHMC(step, friction, BATCH, gradient_noise=gradient_noise))
    c = np.exp(-friction * step)
    variance, heat = baoa_law(step, friction, (1 - c**2 - (c * step) ** 2 * gradient_noise) ** 0.5)
    error = check_variance(draws.params, variance)
    assert abs(variance - 1 / PRECISION) > 10 * error
    temperature = draws.stats["kinetic_temperature"]
    within(temperature.mean(), heat, az.mcse(temperature))


def test_sgnht_finds_the_friction_that_takes_off_the_noise_of_batches() -> None:
    # In high dimension ζ hardly fluctuates, and the law is that of SGHMC with this friction.
    step, A = 0.5 / PRECISION**0.5, 1.0

    def law(friction: float) -> tuple[float, float]:
        c = np.exp(-friction * step)
        return baoa_law(step, friction, (A * (1 - c**2) / friction) ** 0.5)

    friction = brentq(lambda z: law(z)[1] - 1, A, 10)
    draws = run(samplers.SGNHT(step, A, batch_size=BATCH), n_warmup=300, n_draws=1200)
    thermostat = draws.stats["thermostat"].astype(np.float64)
    assert az.ess(thermostat) > 400
    error = check_variance(draws.params, law(friction)[0])
    within(thermostat.mean(), friction, az.mcse(thermostat))
    assert law(A)[0] - 1 / PRECISION > 10 * error


def test_an_sgnht_step_is_that_of_its_docstring() -> None:
    step, A, mass = 0.1, 0.7, 0.3
    kernel = samplers.SGNHT(step, A, thermostat_mass=mass, batch_size=N_ROWS).kernel(model(), 0)
    key = jax.random.key(2)
    start = kernel.init(key, jnp.full(D, 0.3, jnp.float32))
    state, _ = jax.jit(kernel.step)(key, start, jnp.asarray(0))
    xi = np.asarray(normal_like(jax.random.split(key)[1], start.position), np.float64)
    q, (p, z) = np.asarray(start.position, np.float64), map(np.asarray, start.auxiliary)
    assert z == np.float32(A)
    p = p - step * (q + (q - rows()).sum(0) / TEMPERATURE)
    q = q + step / 2 * p
    z = z + step / (2 * mass) * ((p**2).mean() - 1)
    p = np.exp(-z * step) * p + np.sqrt(A * (1 - np.exp(-2 * z * step)) / z) * xi
    z = z + step / (2 * mass) * ((p**2).mean() - 1)
    q = q + step / 2 * p
    np.testing.assert_allclose(state.position, q, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(state.auxiliary[0], p, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(state.auxiliary[1], z, rtol=1e-4)


def test_preconditioned_sgld_follows_the_law_of_its_frozen_scales() -> None:
    precision, n, n_chains, n_warmup, n_draws = jnp.array([1.0, 1e2, 1e4]), 10, 16, 1500, 800
    target = Posterior(
        log_prior=lambda t: jnp.zeros(()),
        log_likelihood=lambda t, d: -0.5 * jnp.sum(precision / n * (t - d) ** 2, axis=-1),
        data=jnp.zeros((n, 3)),
    )
    kernel = samplers.PreconditionedSGLD(0.02, batch_size=n).kernel(target, n_warmup)

    def chain(key: jax.Array) -> tuple:
        def body(state: object, i: jax.Array) -> tuple:
            state, _ = kernel.step(jax.random.fold_in(key, i), state, i)
            return state, (state.position, state.auxiliary.scale)

        state = kernel.init(key, jnp.full(3, 0.1))
        return jax.lax.scan(body, state, jnp.arange(n_warmup + n_draws))[1]

    position, scale = jax.jit(jax.vmap(chain))(jax.random.split(jax.random.key(0), n_chains))
    frozen = np.asarray(scale[:, n_warmup - 1], np.float64)
    assert (np.asarray(scale[:, n_warmup:]) == scale[:, n_warmup - 1 : n_warmup]).all()
    # |gradient| is about √precision, so G is about n/√precision: the condition number's root.
    assert frozen.mean(0)[0] > 2 * frozen.mean(0)[1] > 4 * frozen.mean(0)[2]
    law = 1 / (precision * (1 - 0.02 * frozen**2 * precision / 4))
    ratios = (np.asarray(position[:, n_warmup:], np.float64) ** 2 / np.asarray(law)[:, None]).mean(
        1
    )
    within(ratios.mean(0), 1, ratios.std(0, ddof=1) / n_chains**0.5)
    # Plain SGLD at the largest step that the steep direction allows would not move in the flat one.
    assert az.ess(np.asarray(position[:, n_warmup:, 0])) > 50


def test_gradients_of_one_epoch_average_to_the_full_gradient(float64: None) -> None:
    target, theta = model(np.float64), jnp.linspace(-1, 1, D)
    order, gradients, used = jnp.zeros(N_ROWS, jnp.int32), [], []
    for i in range(N_BATCHES):
        order, chosen = minibatch.next_batch(jax.random.key(i), order, jnp.asarray(i), BATCH)
        batch = target.data[chosen]
        gradients.append(minibatch.estimate_gradient(target, batch, theta, None)[1])
        used.append(chosen)
    assert sorted(np.concatenate(used)) == list(range(N_ROWS))
    full = jax.grad(target.log_density)(theta)
    np.testing.assert_allclose(np.mean(gradients, axis=0), full, rtol=1e-12)
    assert np.abs(gradients[0] - full).max() > 0.1


def test_every_row_is_equally_often_left_out() -> None:
    n, batch, n_epochs = 11, 4, 4000

    def left_out(key: jax.Array) -> jax.Array:
        order = jnp.arange(n, dtype=jnp.int32)
        order, first = minibatch.next_batch(key, order, jnp.asarray(0), batch)
        _, second = minibatch.next_batch(key, order, jnp.asarray(1), batch)
        return jnp.ones(n).at[first].set(0).at[second].set(0)

    counts = np.asarray(
        jax.jit(jax.vmap(left_out))(jax.random.split(jax.random.key(0), n_epochs)).sum(0)
    )
    share = 1 - 2 * batch / n
    assert counts.sum() == 3 * n_epochs
    within(counts / n_epochs, share, np.full(n, (share * (1 - share) / n_epochs) ** 0.5))


def test_orders_change_between_epochs_alone_and_differ_between_chains() -> None:
    kernel = samplers.SGLD(batch_size=5).kernel(model(), 0)

    def chain(key: jax.Array) -> jax.Array:
        def body(state: object, i: jax.Array) -> tuple:
            state, _ = kernel.step(jax.random.fold_in(key, i), state, i)
            return state, state.order

        return jax.lax.scan(body, kernel.init(key, jnp.zeros(D)), jnp.arange(6))[1]

    orders = np.asarray(jax.jit(jax.vmap(chain))(jax.random.split(jax.random.key(0), 3)))
    assert (np.sort(orders, axis=-1) == np.arange(N_ROWS)).all()
    assert (orders[:, ::2] == orders[:, 1::2]).all()
    distinct = {tuple(order) for order in orders[:, ::2].reshape(-1, N_ROWS)}
    assert len(distinct) == 9


def test_control_variates_are_exact_at_the_centre_and_better_near_it(float64: None) -> None:
    rng = np.random.default_rng(3)
    x, y = jnp.asarray(rng.normal(size=(40, 3))), jnp.asarray(rng.integers(0, 2, 40))
    target = Posterior(
        log_prior=log_prior,
        log_likelihood=lambda t, d: -jax.nn.softplus((1 - 2 * d[1]) * (d[0] @ t)),
        data=(x, y),
        micro_batch=7,
    )
    start = jnp.array([0.3, -0.2, 0.1])
    kernel = samplers.SGLD(batch_size=5, control_variates=True).kernel(target, 0)
    centre = kernel.init(jax.random.key(0), start).centre
    full = jax.grad(target.log_density)

    def estimates(position: jax.Array, centre: minibatch.Centre | None) -> np.ndarray:
        batches = [jax.tree.map(lambda a, i=i: a[i : i + 5], target.data) for i in range(0, 40, 5)]
        one = jax.jit(lambda b: minibatch.estimate_gradient(target, b, position, centre)[1])
        return np.stack([one(batch) for batch in batches])

    assert (estimates(start, centre) == centre.gradient).all()
    np.testing.assert_allclose(centre.gradient, full(start), rtol=1e-12)
    near = start + 0.1
    with_centre, without = estimates(near, centre), estimates(near, None)
    np.testing.assert_allclose(with_centre.mean(0), full(near), rtol=1e-12)
    np.testing.assert_allclose(without.mean(0), full(near), rtol=1e-12)
    assert (with_centre.std(0) < 0.2 * without.std(0)).all()


def test_schedules_are_their_formulas() -> None:
    k = np.arange(50)
    np.testing.assert_allclose(samplers.Constant(0.3)(k), 0.3)
    np.testing.assert_allclose(
        samplers.Polynomial(0.3, 7.0, 0.55)(k), 0.3 * (7 + k) ** -0.55, rtol=1e-5
    )
    cycles = samplers.CosineCycles(0.3, 20, exploration=0.35)
    np.testing.assert_allclose(
        cycles(k), 0.15 * (np.cos(np.pi * (k % 20) / 20) + 1), rtol=1e-4, atol=1e-7
    )
    assert (cycles.is_sampling(k) == (k % 20 >= 7)).all()
    for schedule in (samplers.Constant(0.3), samplers.Polynomial(0.3, 7.0, 0.55), cycles):
        assert hash(schedule) == hash(dataclasses.replace(schedule))
        np.testing.assert_allclose(schedule.largest, np.max(schedule(k)), rtol=1e-6)
    # 0.28·100 lies a rounding above 28.
    assert samplers.CosineCycles(1, 100, 0.28).n_exploration == 28


CYCLES = samplers.CosineCycles(0.05, 10, exploration=0.6)


def test_cycles_have_their_step_sizes_and_stages() -> None:
    # A draw is of the stage of the last iteration of the three that it takes.
    draws = run(samplers.SGLD(CYCLES, batch_size=BATCH), n_warmup=5, n_draws=12, thin=3)
    last = 5 + 3 * np.arange(12) + 2
    np.testing.assert_allclose(draws.stats["step_size"][0], CYCLES(last), rtol=1e-5)
    kept = samplers.sampling_stage(draws)
    np.testing.assert_array_equal(kept.params, draws.params[:, last % 10 >= 6])
    assert kept.stats["step_size"].shape == (32, (last % 10 >= 6).sum())


@pytest.mark.parametrize(
    "kind", [samplers.SGLD, samplers.PreconditionedSGLD, samplers.SGHMC], ids=lambda k: k.__name__
)
def test_exploration_has_no_noise_and_sampling_has(kind: type) -> None:
    kernel = kind(CYCLES, batch_size=N_ROWS).kernel(model(), 0)
    state = kernel.init(jax.random.key(0), jnp.zeros(D))
    step = jax.jit(kernel.step)
    for k, is_one in ((0, True), (5, True), (6, False), (9, False), (10, True)):
        first, second = (step(jax.random.key(i), state, jnp.asarray(k))[0] for i in (1, 2))
        assert (first.position == second.position).all() == is_one
        assert not (first.position == state.position).any()


@pytest.mark.parametrize("mutation", ["noise", "sign"])
def test_the_checks_turn_red_for_a_wrong_sampler(
    mutation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def twice(key: jax.Array, tree: object, when: object) -> object:
        return jax.tree.map(lambda z: 2**0.5 * z, normal_like(key, tree, when))

    def downhill(*args: object) -> tuple:
        value, gradient = estimate_gradient(*args)
        return value, -0.1 * gradient

    estimate_gradient = minibatch.estimate_gradient
    if mutation == "noise":
        monkeypatch.setattr("bayes_vs_sgd.samplers.sgld.normal_like", twice)
    else:
        monkeypatch.setattr(minibatch, "estimate_gradient", downhill)
    # Settings of its own, so that no right program is found again.
    step = {"noise": 0.9, "sign": 0.8}[mutation] / PRECISION
    draws = run(samplers.SGLD(step, batch_size=BATCH), n_draws=300)
    with pytest.raises(AssertionError):
        check_variance(draws.params, sgld_law(step))


def test_the_same_key_gives_the_same_draws() -> None:
    sampler = samplers.SGHMC(batch_size=BATCH, preconditioner=samplers.RMSprop())
    first, again = (run.__wrapped__(sampler, n_draws=10) for _ in range(2))
    assert (first.params == again.params).all()
    assert not (first.params[0] == first.params[1]).any()
    assert (first.last == first.params[:, -1]).all()


@pytest.mark.parametrize("sampler", ALL, ids=lambda s: type(s).__name__)
def test_there_is_an_estimate_of_lp_and_no_acceptance(sampler: samplers.Sampler) -> None:
    kernel = sampler.kernel(model(), 5)
    state = jax.eval_shape(kernel.init, jax.random.key(0), jnp.zeros(D))
    new, stats = jax.eval_shape(kernel.step, jax.random.key(0), state, jnp.asarray(0))
    assert new == state
    own = {
        samplers.SGHMC: {"kinetic_temperature"},
        samplers.SGNHT: {"kinetic_temperature", "thermostat"},
    }.get(type(sampler), set())
    if isinstance(sampler.step_size, samplers.CosineCycles):
        own = {"sampling_stage"}
    assert set(stats) == {"diverging", "lp_estimate", "n_steps", "step_size"} | own
    assert {value.shape for value in stats.values()} == {()}


def test_double_precision_stays_double(float64: None) -> None:
    for sampler in ALL:
        kernel = sampler.kernel(model(np.float64), 5)
        state = kernel.init(jax.random.key(0), jnp.zeros(D))
        state, stats = jax.eval_shape(kernel.step, jax.random.key(0), state, jnp.asarray(0))
        assert {a.dtype for a in jax.tree.leaves((state.position, state.auxiliary))} == {
            np.dtype("float64")
        }
        assert stats["step_size"].dtype == np.float64


def test_a_chain_that_blows_up_is_stopped_and_named() -> None:
    target = Posterior(
        log_prior=lambda t: -jnp.sum(t**4),
        log_likelihood=lambda t, d: -0.5 * jnp.sum((d - t) ** 2, axis=-1),
        data=jnp.zeros((N_ROWS, 2)),
    )
    start = jnp.array([[0.1, 0.1], [30.0, 0.1], [0.2, 0.0]])
    with pytest.warns(samplers.StoppedChainWarning, match=r"chains 1\)"):
        draws = samplers.sample(
            jax.random.key(0),
            target,
            start,
            samplers.SGLD(1e-2, batch_size=BATCH),
            n_warmup=0,
            n_draws=30,
            progress=False,
        )
    assert draws.info["stopped_chains"] == "1"
    assert draws.stats["diverging"][1].any()
    assert not draws.stats["diverging"][[0, 2]].any()
    assert np.isfinite(draws.running().params).all()


def test_devices_that_share_the_rows_draw_a_batch_together() -> None:
    step, n_pairs, n_chosen = 1 / PRECISION, N_ROWS // 2, BATCH // 2
    draws = run(samplers.SGLD(step, batch_size=BATCH), n_data_shards=2)
    # Both take the same places of their rows: batches of pairs, without replacement.
    pairs = rows()[:n_pairs] + rows()[n_pairs:]
    noise = (n_pairs / TEMPERATURE) ** 2 * pairs.var(0).mean()
    noise *= (n_pairs - n_chosen) / (n_pairs - 1) / n_chosen
    error = check_variance(draws.params, sgld_law(step, noise))
    assert abs(sgld_law(step, noise) - sgld_law(step)) > 5 * error
    with pytest.raises(ValueError, match="batch_size=3 is no multiple of n_data_shards=2"):
        run(samplers.SGLD(0.05, batch_size=3), n_data_shards=2)


def test_the_noise_is_that_of_jax() -> None:
    key, n = jax.random.key(5), 300_001
    ours = jax.jit(normal_like)(key, jnp.zeros(n))
    assert np.abs(ours).max() > 4.5
    np.testing.assert_allclose(ours, jax.random.normal(key, (n,)), rtol=1e-5, atol=1e-7)
    uniform = jax.random.uniform(key, (n,), minval=np.nextafter(np.float32(-1), np.float32(0)))
    exact = 2**0.5 * erfinv(np.asarray(uniform, np.float64))
    np.testing.assert_allclose(ours, exact, rtol=4e-7, atol=1e-9)
    exact = jax.random.normal(key, (7,), jnp.bfloat16)
    np.testing.assert_array_equal(normal_like(key, jnp.zeros(7, jnp.bfloat16)), exact)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: samplers.SGLD(0), "step_size=0"),
        (lambda: samplers.SGLD("fast"), "neither a number nor a Schedule"),
        (lambda: samplers.SGLD(lambda k: 0.1), "neither a number nor a Schedule"),
        (lambda: samplers.SGHMC(batch_size=0), "batch_size=0"),
        (lambda: samplers.SGHMC(friction=-1), "friction=-1"),
        (lambda: samplers.SGHMC(0.1, 1.0, gradient_noise=21), r"2·friction/step_size = 20"),
        (
            lambda: samplers.SGHMC(gradient_noise=1, preconditioner=samplers.RMSprop()),
            "leave one of the two out",
        ),
        (lambda: samplers.SGNHT(thermostat_mass=0), "thermostat_mass=0"),
        (lambda: samplers.SGNHT(samplers.CosineCycles(0.1, 10)), "exploration=0.8"),
        (lambda: samplers.RMSprop(decay=1), "decay=1"),
        (lambda: samplers.RMSprop(damping=0), "damping=0"),
        (lambda: samplers.Polynomial(1.0, power=1.5), "power=1.5"),
        (lambda: samplers.CosineCycles(0.1, 5, exploration=0.9), "exploration=0.9"),
        (lambda: samplers.CosineCycles(0.1, 0), "cycle_length=0"),
        (
            lambda: samplers.SGLD(batch_size=13).kernel(model(), 0),
            r"batch_size=13 exceeds the 12 training rows; pass at most 12\.",
        ),
        (
            lambda: samplers.SGNHT().kernel(samplers.Density(lambda t: -jnp.sum(t**2)), 0),
            "SGNHT needs the prior and the likelihood apart",
        ),
        (lambda: samplers.sampling_stage(_draws({})), "no sampling stages"),
        (
            lambda: samplers.sampling_stage(_draws({"sampling_stage": np.zeros((2, 3), bool)})),
            "none of the 3 draws",
        ),
    ],
)
def test_what_is_not_possible_is_refused_in_a_sentence(make: Callable, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def _draws(stats: dict) -> Draws:
    return Draws(params=np.zeros((2, 3)), stats=stats)
