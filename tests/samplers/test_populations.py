"""Populations: evidence and moments against closed forms, error bars, failures, refusals."""

import dataclasses
from functools import lru_cache, partial
from types import SimpleNamespace
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import jax.scipy.stats as stats
import numpy as np
import pytest
import scipy

from bayes_vs_sgd import Draws, Estimate, Posterior, likelihoods, samplers
from bayes_vs_sgd.samplers.population import Harvest, Population
from tests.conftest import within

SMC = samplers.TemperedSMC(n_particles=300, sampler=samplers.HMC(n_leapfrog=6))
NESTED = samplers.NestedSampling(n_live=100)
SAMPLERS = {"smc": SMC, "nested": NESTED}
SLOW_NESTED = ["smc", pytest.param("nested", marks=pytest.mark.slow)]
N_RUNS = 16

RNG = np.random.default_rng(5)
X = RNG.normal(size=(20, 3)) * np.array([1, 3, 0.5])
Y = X @ np.array([1.0, -0.5, 1.0]) + 0.7 * RNG.normal(size=20)
STDS = {"a": np.array([1.5, 0.6]), "b": np.array([1.0])}
NOISE, TEMPERATURE = 0.7, 0.8


def log_prior(p: dict) -> jax.Array:
    return sum(stats.norm.logpdf(p[n], scale=STDS[n]).sum() for n in STDS)


def log_likelihood(p: dict, data: dict) -> jax.Array:
    w = jnp.concatenate([p["a"], p["b"]])
    value = likelihoods.Gaussian(NOISE).log_prob(data["x"] @ w, data["y"])
    return jnp.where(w[0] > data["least"], value, data["below"])


def draw_prior(key: jax.Array, n: int) -> dict:
    keys = dict(zip(STDS, jax.random.split(key), strict=True))
    return {m: s * jax.random.normal(keys[m], (n, len(s))) for m, s in STDS.items()}


def regression(
    x: np.ndarray = X, y: np.ndarray = Y, least: float = -np.inf, below: float = -np.inf
) -> Posterior:
    """A linear regression; where the first weight is not above ``least`` each row says ``below``."""
    rows = {"x": x, "y": y, "least": np.full(len(y), least), "below": np.full(len(y), below)}
    data = {name: jnp.asarray(value, jnp.float32) for name, value in rows.items()}
    return Posterior(log_prior, log_likelihood, data, TEMPERATURE, draw_prior)


def closed_form() -> tuple[float, np.ndarray, np.ndarray]:
    """Log evidence, mean and covariance; N(y; f, s²)^(1/T) is c·N(y; f, s²T) for every row."""
    n, variance, prior = (
        len(Y),
        NOISE**2 * TEMPERATURE,
        np.diag(np.concatenate([*STDS.values()]) ** 2),
    )
    log_c = n / 2 * (np.log(2 * np.pi * variance) - np.log(2 * np.pi * NOISE**2) / TEMPERATURE)
    marginal = scipy.stats.multivariate_normal(cov=X @ prior @ X.T + variance * np.eye(n))
    covariance = np.linalg.inv(np.linalg.inv(prior) + X.T @ X / variance)
    return log_c + marginal.logpdf(Y), covariance @ X.T @ Y / variance, covariance


LOG_EVIDENCE, MEAN, COVARIANCE = closed_form()


def run(
    name: str, posterior: Posterior | None = None, n_runs: int = N_RUNS, seed: int = 1
) -> Draws:
    posterior = regression() if posterior is None else posterior
    return samplers.sample_population(
        jax.random.key(seed), posterior, SAMPLERS[name], n_runs=n_runs, progress=False
    )


@lru_cache
def once(name: str) -> Draws:
    return run(name)


def joined(draws: Draws) -> np.ndarray:
    return np.concatenate([draws.params["a"], draws.params["b"]], -1).astype(np.float64)


def check_moments(draws: Draws) -> None:
    """Mean and covariance within five standard errors over runs, each of which must be small."""
    centred = joined(draws) - MEAN
    products = centred[..., :, None] * centred[..., None, :]
    scale = np.sqrt(np.diag(COVARIANCE))
    for values, exact, width in (
        (centred.mean(1), np.zeros(3), scale),
        (products.mean(1), COVARIANCE, np.outer(scale, scale)),
    ):
        sem = values.std(0, ddof=1) / len(values) ** 0.5
        # all runs together are worth at least 400 independent draws
        assert (sem < 1.5 * width / 400**0.5).all()
        within(values.mean(0), exact, sem)


@pytest.mark.parametrize("name", SLOW_NESTED)
def test_the_evidence_of_linear_regression_is_the_closed_form(name: str) -> None:
    draws = once(name)
    estimate = samplers.log_evidence(draws)
    assert estimate.sem < 0.15
    within(estimate.value, LOG_EVIDENCE, estimate.sem)
    # the error of one run: chi-squared over runs
    runs = np.array(draws.info["log_evidence"])
    claimed = np.mean(draws.info["log_evidence_sem"]) if name == "nested" else 4 * estimate.sem
    ratio = ((runs - LOG_EVIDENCE) ** 2).mean() / claimed**2
    assert abs(ratio - 1) < 5 * (2 / N_RUNS) ** 0.5
    assert ratio > 0.25


@pytest.mark.parametrize("name", SAMPLERS)
def test_linear_regression_has_its_moments(name: str) -> None:
    draws = once(name)
    check_moments(draws)
    expected = jax.vmap(jax.vmap(regression().log_density))(draws.params)
    np.testing.assert_allclose(draws.stats["lp"], expected, rtol=1e-5, atol=1e-4)
    with pytest.raises(AssertionError):
        check_moments(Draws(jax.tree.map(lambda a: 1.15 * a, draws.params)))


@pytest.mark.parametrize("name", SLOW_NESTED)
def test_runs_are_laid_out_as_chains_and_repeat_themselves(name: str) -> None:
    draws, again, other = once(name), run(name), run(name, seed=2)
    n = {"smc": 300, "nested": 1000}[name]
    assert {k: v.shape for k, v in draws.params.items()} == {
        "a": (N_RUNS, n, 2),
        "b": (N_RUNS, n, 1),
    }
    assert draws.stats["lp"].shape == (N_RUNS, n)
    assert draws.last["a"].shape == (N_RUNS, 2)
    assert (draws.params["a"] == again.params["a"]).all()
    assert draws.info["log_evidence"] == again.info["log_evidence"]
    assert not set(draws.info["log_evidence"]) & set(other.info["log_evidence"])
    assert len(set(draws.info["log_evidence"])) == N_RUNS
    assert {len(v) for v in draws.info.values() if isinstance(v, list)} == {N_RUNS}
    assert draws.running().n_chains == N_RUNS


def test_the_last_population_was_moved_and_its_temperatures_rise_to_one() -> None:
    draws = once("smc")
    for r in range(N_RUNS):
        betas = draws.info["inverse_temperatures"][r]
        assert betas[0] == 0
        assert betas[-1] == 1
        assert (np.diff(betas) > 0).all()
        n_steps = draws.info["n_steps"][r]
        assert len(betas) == n_steps + 1
        # every temperature but the last is chosen for this number
        np.testing.assert_allclose(draws.info["ess"][r][:-1], 0.7 * 300, rtol=0.01)
        assert len(draws.info["acceptance_rates"][r]) == n_steps
        assert len(np.unique(draws.params["a"][r], axis=0)) > 295
        assert draws.info["n_ancestors"][r] > 10
    acceptance = np.array([a[-1] for a in draws.info["acceptance_rates"]])
    assert np.abs(acceptance - 0.8).max() < 0.15


def test_a_likelihood_that_says_nothing_needs_one_step_and_has_the_exact_evidence() -> None:
    posterior = regression(x=np.zeros_like(X))
    draws = run("smc", posterior)
    assert draws.info["n_steps"] == [1] * N_RUNS
    exact = float(likelihoods.Gaussian(NOISE).log_prob(jnp.zeros(20), Y).sum()) / TEMPERATURE
    np.testing.assert_allclose(draws.info["log_evidence"], exact, rtol=1e-5)
    with pytest.raises(RuntimeError, match=r"one and the same likelihood.*plateau.*TemperedSMC"):
        run("nested", posterior)


def test_smc_takes_a_likelihood_that_is_zero_for_most_of_the_prior() -> None:
    # the evidence is that of the whole times the posterior probability of what is left
    draws = run("smc", regression(least=1.3))
    assert (draws.params["a"][..., 0] > 1.3).all()
    exact = LOG_EVIDENCE + scipy.stats.norm.logsf(1.3, MEAN[0], COVARIANCE[0, 0] ** 0.5)
    estimate = samplers.log_evidence(draws)
    within(estimate.value, exact, estimate.sem)
    with pytest.raises(ValueError, match=r"finite at \d+ of the 100 draws.*needs 100"):
        run("nested", regression(least=1.3))


def test_a_likelihood_that_is_nan_counts_as_zero_and_is_counted() -> None:
    zero, nan = (run("smc", regression(least=1.3, below=b)) for b in (-np.inf, np.nan))
    np.testing.assert_allclose(zero.info["log_evidence"], nan.info["log_evidence"], rtol=1e-3)
    with pytest.raises(ValueError, match="finite at 0 of the 300 draws of the prior that run 0"):
        run("smc", regression(least=np.nan))


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_run_does_not_depend_on_the_runs_beside_it(name: str) -> None:
    alone, beside = run(name, n_runs=1), once(name)
    if name == "nested":
        np.testing.assert_allclose(
            alone.info["log_evidence"][0], beside.info["log_evidence"][0], atol=0.01
        )
    # later temperatures differ: rounding decides between ancestors
    else:
        few, many = (d.info["inverse_temperatures"] for d in (alone, beside))
        np.testing.assert_allclose(few[0][:3], many[0][:3], rtol=1e-3)
        assert abs(few[0][1] / many[1][1] - 1) > 0.01


@pytest.mark.parametrize("name", SAMPLERS)
def test_double_precision_stays_double(name: str, float64: None) -> None:
    data = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), regression().data)
    draws = run(name, dataclasses.replace(regression(), data=data), n_runs=2)
    assert draws.params["a"].dtype == np.float64
    assert draws.stats["lp"].dtype == np.float64


def test_nuts_moves_particles_too() -> None:
    sampler = samplers.TemperedSMC(n_particles=300, sampler=samplers.NUTS(max_tree_depth=4))
    draws = samplers.sample_population(
        jax.random.key(0), regression(), sampler, n_runs=N_RUNS, progress=False
    )
    check_moments(draws)
    estimate = samplers.log_evidence(draws)
    within(estimate.value, LOG_EVIDENCE, estimate.sem)


def test_moves_that_fail_are_warned_of() -> None:
    names = ("ess", "acceptance_rate", "step_size", "divergences", "nan_likelihoods")
    records = {name: np.array([0.5, 0.5]) for name in names}
    records |= {
        "inverse_temperature": np.array([0.2, 1.0]),
        "acceptance_rate": np.array([0.8, 0.03]),
    }
    state = SimpleNamespace(params={}, log_densities=0, log_evidence=0, roots=np.arange(2))
    with pytest.warns(samplers.WarmupWarning, match=r"at β=1 a run accepted 0\.03 of its moves"):
        SMC.harvest(np.random.default_rng(0), state, records)


def with_evidence(runs: list[float], **info: object) -> Draws:
    return Draws({}, info={"log_evidence": runs, **info})


def test_the_error_of_the_log_evidence_is_that_of_independent_runs() -> None:
    # Ẑ of eight runs with E Ẑ = 1, a log-normal spread of 0.5, many times over
    spread = 0.5
    logs = np.random.default_rng(0).normal(-(spread**2) / 2, spread, (2000, 8))
    found = [samplers.log_evidence(with_evidence(list(runs))) for runs in logs]
    values, sems = (np.array([getattr(e, a) for e in found]) for a in ("value", "sem"))
    exact = np.sqrt(np.expm1(spread**2) / 8)
    # of Ẑ without bias the logarithm is low by half its variance, far less than that of one run
    within(values.mean(), -(exact**2) / 2, values.std() / 2000**0.5 + 0.002)
    assert abs((values**2).mean() / (sems**2).mean() - 1) < 0.1
    assert (np.abs(values / sems) < 5).mean() > 0.995


def test_one_run_has_the_error_it_knows_itself_or_none() -> None:
    assert np.isnan(samplers.log_evidence(with_evidence([-3.0])).sem)
    nested = with_evidence([-3.0], log_evidence_sem=[0.2])
    assert samplers.log_evidence(nested) == Estimate(-3.0, 0.2)
    with pytest.raises(ValueError, match="sample_population"):
        samplers.log_evidence(Draws({}))


@dataclasses.dataclass(frozen=True)
class Countdown:
    """Run r is done after its number of steps; it tells the numbers of its steps."""

    progress_name: ClassVar[str] = "height"
    patience: ClassVar[int] = 3
    when_stuck: ClassVar[str] = "push it."
    n_start: ClassVar[int] = 2
    least_finite: ClassVar[int] = 1

    max_steps: int = 100
    stands_at: float = 2.0

    def population(self, target: Any) -> Population:
        def step(key: jax.Array, state: dict) -> tuple:
            moved = state["height"] < self.stands_at
            height = state["height"] + jnp.where(moved, state["rise"], 0)
            return state | {"height": height}, {"height": height}, moved

        def init(params: dict) -> tuple:
            rise = 1 / (1 + jnp.round(jnp.abs(params["a"][0, 0]) * 10))
            return {"height": jnp.zeros(()), "rise": rise}, jnp.asarray(2)

        return Population(init, step, lambda state: state["height"])

    def harvest(self, rng: np.random.Generator, state: dict, records: dict) -> Harvest:
        info = {"heights": records["height"].tolist(), "random": rng.uniform()}
        return Harvest({"height": state["height"][None]}, {}, 0.0, info)


count = partial(samplers.sample_population, jax.random.key(3), regression(), progress=False)


def test_runs_that_are_done_wait_as_they_are_for_the_others() -> None:
    draws = count(Countdown(), n_runs=6)
    heights = draws.info["heights"]
    assert draws.info["n_steps"] == [len(h) for h in heights]
    assert len(set(draws.info["n_steps"])) > 2
    for h, last in zip(heights, draws.params["height"][:, 0], strict=True):
        assert h[-1] == last >= 1
        assert all(a < 1 for a in h[:-1])
    assert len(set(draws.info["random"])) == 6


def test_runs_that_stand_still_or_take_too_long_are_given_up_in_a_sentence() -> None:
    with pytest.raises(RuntimeError, match=r"run \d of Countdown stands still at height 0\.[4-9]"):
        count(Countdown(stands_at=0.4), n_runs=6)
    with pytest.raises(RuntimeError, match="after max_steps=2 steps; raise max_steps"):
        count(Countdown(max_steps=2), n_runs=6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: samplers.TemperedSMC(n_particles=1), "n_particles=1"),
        (lambda: samplers.TemperedSMC(target_ess=1.0), "target_ess=1.0"),
        (lambda: samplers.TemperedSMC(target_ess=0), "target_ess=0"),
        (lambda: samplers.TemperedSMC(n_moves=0), "n_moves=0"),
        (lambda: samplers.TemperedSMC(max_steps=0), "max_steps=0"),
        (lambda: samplers.TemperedSMC(sampler=samplers.ChEES()), "aims at no acceptance"),
        (lambda: samplers.NestedSampling(n_live=1), "n_live=1"),
        (lambda: samplers.NestedSampling(n_delete=0), "n_delete=0"),
        (lambda: samplers.NestedSampling(n_live=20, n_delete=11), "more than half"),
        (lambda: samplers.NestedSampling(n_moves=0), "n_moves=0"),
        (lambda: samplers.NestedSampling(n_draws=0), "n_draws=0"),
        (lambda: samplers.NestedSampling(precision=1), "precision=1"),
    ],
)
def test_settings_that_are_not_possible_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("posterior", "sampler", "n_runs", "message"),
    [
        (lambda x: -(x**2), SMC, 4, "TemperedSMC needs the prior and the likelihood apart"),
        (lambda x: -(x**2), NESTED, 4, "NestedSampling needs the prior and the likelihood apart"),
        (dataclasses.replace(regression(), sample_prior=None), SMC, 4, "pass sample_prior"),
        (regression(), SMC, 0, "n_runs=0"),
        (regression(), samplers.HMC(), 4, "moves chains, not a population"),
        (
            regression(),
            samplers.TemperedSMC(sampler=samplers.HMC(backend="numpyro")),
            2,
            "pass BlackJAX's HMC or NUTS",
        ),
        (regression(), samplers.NestedSampling(n_live=3), 2, "does not exceed the 3 parameters"),
    ],
)
def test_what_no_population_can_start_from_is_refused(
    posterior: object, sampler: object, n_runs: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        samplers.sample_population(
            jax.random.key(0), posterior, sampler, n_runs=n_runs, progress=False
        )
