"""Orthant probabilities against those that are known, and their errors against their spread."""

import math
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from bayes_vs_sgd import Estimate
from bayes_vs_sgd.functions.gaussian_process import (
    Orthant,
    expectation_propagation,
    orthant_probability,
)
from bayes_vs_sgd.functions.gaussian_process.normal_tail import normal_tail
from bayes_vs_sgd.functions.gaussian_process.ordering import ordered
from bayes_vs_sgd.functions.gaussian_process.orthants import _cut_off, _summary, weighted_draws
from bayes_vs_sgd.functions.gaussian_process.tilting import Tilt, minimax_tilt
from bayes_vs_sgd.functions.kernels import FullyConnected, kernel_matrices
from tests.conftest import within

from .exact import (
    equicorrelated,
    one_factor,
    one_factor_log_probability,
    random_correlation,
    random_signs,
)

KEY = jax.random.key(0)
# Compiled once for all tests of one size.
cut_off = jax.jit(_cut_off)
weigh = jax.jit(lambda slopes, tilt: weighted_draws(KEY, slopes, tilt, 50_000)[1])


@jax.jit
def prepare(correlation: jax.Array) -> tuple[jax.Array, Tilt]:
    slopes = ordered(correlation).slopes
    return slopes, minimax_tilt(slopes)


def check(found: Orthant, exact: float | np.ndarray) -> None:
    assert found.trusted.all()
    within(found.log_probability.value, exact, found.log_probability.sem + 1e-12)


def signed(correlation: np.ndarray, signs: np.ndarray) -> jax.Array:
    return jnp.asarray(correlation * signs * signs[:, None])


@pytest.mark.parametrize("correlation", [-0.99, -0.5, 0.0, 0.3, 0.999])
def test_two_inputs_have_a_quarter_and_the_arc_sine(correlation: float) -> None:
    exact = math.log(0.25 + math.asin(correlation) / (2 * math.pi))
    check(orthant_probability(KEY, equicorrelated(2, correlation), np.ones(2, dtype=int)), exact)


@pytest.mark.parametrize("n", [8, 100])
def test_equicorrelated_inputs_have_one_in_n_plus_one(n: int) -> None:
    check(orthant_probability(KEY, equicorrelated(n), np.ones(n, dtype=int)), -math.log(n + 1))


def test_three_inputs_have_the_three_arc_sines_and_others_one_half_each() -> None:
    correlation, signs = np.eye(8), np.array([1, -1, -1, 1, 1, -1, 1, 1])
    correlation[:3, :3] = random_correlation(3, seed=1)
    angles = np.arcsin(np.asarray(signed(correlation, signs))[np.triu_indices(3, 1)])
    exact = math.log(1 / 8 + angles.sum() / (4 * math.pi)) - 5 * math.log(2)
    check(orthant_probability(KEY, correlation, signs), exact)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_forty_inputs_with_one_factor_have_the_integral_over_it(seed: int) -> None:
    loadings, signs = np.random.default_rng(seed).uniform(0, 0.95, 40), random_signs(40, seed=seed)
    found = orthant_probability(KEY, one_factor(loadings), signs)
    check(found, one_factor_log_probability(loadings, signs))


def test_the_error_is_the_spread_of_repetitions() -> None:
    """With 120 keys the z² of the estimates has the mean 1 of a χ² of one degree of freedom."""
    loadings, signs = np.linspace(0.3, 0.9, 8), random_signs(8, seed=3)
    kernel, exact = one_factor(loadings), one_factor_log_probability(loadings, signs)
    z = []
    for key in jax.random.split(KEY, 120):
        found = orthant_probability(key, kernel, signs).log_probability
        z.append((found.value - exact) / found.sem)
    within(np.mean(np.square(z)), 1.0, np.std(np.square(z), ddof=1) / 120**0.5, k=4)
    within(np.mean(z), 0.0, 1 / 120**0.5, k=4)


@pytest.mark.usefixtures("float64")
def test_any_shift_gives_the_same_probability_and_the_best_one_keeps_its_bound() -> None:
    loadings, signs = np.linspace(0.1, 0.9, 8), random_signs(8, seed=4)
    slopes, tilt = prepare(signed(one_factor(loadings), signs))
    assert weigh(slopes, tilt).max() <= tilt.log_bound + 1e-9
    exact = one_factor_log_probability(loadings, signs)
    for shift in (np.zeros(8), np.linspace(-0.5, 0.8, 8), np.linspace(0.7, -0.7, 8)):
        value, sem, effective = _summary(weigh(slopes, Tilt(jnp.asarray(shift), jnp.zeros(()))))
        assert effective > 1000
        within(value, exact, sem)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("seed", range(4))
def test_no_weight_exceeds_the_bound_and_the_shift_spreads_them_less(seed: int) -> None:
    correlation, signs = (
        random_correlation(30, seed=seed, n_features=40),
        random_signs(30, seed=seed),
    )
    slopes, tilt = prepare(signed(correlation, signs))
    assert tilt.log_bound < 0
    tilted, plain = weigh(slopes, tilt), weigh(slopes, Tilt(jnp.zeros(30), jnp.zeros(())))
    assert tilted.max() <= tilt.log_bound + 1e-9
    assert _summary(tilted)[2] > 2 * _summary(plain)[2]


@pytest.mark.usefixtures("float64")
def test_the_shift_is_at_the_saddle_of_the_log_weight() -> None:
    """The log weight as it is written, differentiated by JAX: greatest in the variables, least in μ."""
    slopes, tilt = prepare(jnp.asarray(random_correlation(8, seed=5)))

    def log_weight(drawn: jax.Array, shift: jax.Array) -> jax.Array:
        mass = jax.scipy.special.log_ndtr(slopes @ drawn + shift)
        return (mass + 0.5 * shift**2 - shift * drawn).sum()

    # e = μ + h(t) and t = −Ae − μ, solved one variable after another.
    drawn = jnp.zeros(8)
    for k in range(8):
        z = slopes[k] @ drawn + tilt.shift[k]
        drawn = drawn.at[k].set(tilt.shift[k] + normal_tail(z).hazard)
    value, (by_drawn, by_shift) = jax.value_and_grad(log_weight, argnums=(0, 1))(drawn, tilt.shift)
    np.testing.assert_allclose(value, tilt.log_bound, rtol=1e-8)
    np.testing.assert_allclose(by_drawn, 0, atol=1e-7)
    np.testing.assert_allclose(by_shift, 0, atol=1e-7)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("lower", [-9.0, -1.0, 0.0, 5.99, 6.01, 30.0])
def test_cut_off_draws_have_the_mass_and_the_mean_of_the_tail(lower: float) -> None:
    """Over a grid of the uniform numbers, which is a quadrature."""
    uniform = (jnp.arange(200_000) + 0.5) / 200_000
    drawn, log_weight = cut_off(uniform, jnp.full(200_000, lower))
    assert drawn.min() >= lower
    weights = np.exp(np.asarray(log_weight) - stats.norm.logsf(lower))
    np.testing.assert_allclose(weights.mean(), 1, rtol=2e-5)
    mean = np.exp(stats.norm.logpdf(lower) - stats.norm.logsf(lower))
    np.testing.assert_allclose((weights * np.asarray(drawn)).mean(), mean, rtol=2e-5, atol=2e-5)


def test_a_repeated_input_changes_nothing() -> None:
    loadings, signs = np.linspace(0.2, 0.9, 6), random_signs(6, seed=6)
    rows = [0, 1, 2, 3, 4, 5, 2, 0]
    found = orthant_probability(KEY, one_factor(loadings)[rows][:, rows], signs[rows])
    check(found, one_factor_log_probability(loadings, signs))


def test_lines_through_the_plane_cut_it_into_their_angles() -> None:
    """f(x) = w·x with w in the plane: a covariance of rank 2, and the share of a sector."""
    angles = np.array([0.1, 0.4, 0.7, 1.2, 1.5, 2.0, 2.4, 2.9])
    x = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    edges = np.sort(np.concatenate([angles + math.pi / 2, angles - math.pi / 2]))
    n_trusted = 0
    for low, high in pairwise(edges):
        middle = (low + high) / 2
        signs = np.sign(x @ [math.cos(middle), math.sin(middle)]).astype(int)
        found = orthant_probability(KEY, x @ x.T, signs)
        n_trusted += bool(found.trusted)
        if found.trusted:
            exact = math.log((high - low) / (2 * math.pi))
            within(found.log_probability.value, exact, found.log_probability.sem)
    assert n_trusted > 0


def test_expectation_propagation_is_off_by_more_than_the_error_on_boolean_inputs() -> None:
    """All 128 inputs of 7 bits, the labels 0011…, and a network of two hidden layers."""
    bits = (np.arange(128)[:, None] >> np.arange(6, -1, -1)) & 1
    signs = np.tile([-1, -1, 1, 1], 32)
    kernel = kernel_matrices(FullyConnected(2), bits).nngp
    found = orthant_probability(KEY, kernel, signs, n_draws=50_000)
    assert found.trusted
    off = expectation_propagation(kernel, signs).log_evidence - found.log_probability.value
    assert -1 < off < -5 * found.log_probability.sem


@pytest.mark.parametrize("gap", [1e-4, 1e-8])
def test_labels_that_nearly_contradict_the_covariance_have_their_small_probability(
    gap: float,
) -> None:
    exact = math.log(math.acos(1 - gap) / (2 * math.pi))
    found = orthant_probability(KEY, equicorrelated(2, 1 - gap), np.array([1, -1]))
    assert found.trusted
    within(found.log_probability.value, exact, found.log_probability.sem + 1e-6)


def test_what_cannot_be_trusted_is_told() -> None:
    few = Orthant(Estimate(-2.0, 0.1), np.float64(150.0), np.float64(0.0), n_draws=1000)
    assert not few.trusted
    assert few.statement().startswith("0 of 1")
    assert "cannot be trusted" in few.statement()
    two = Estimate(np.zeros(2), np.ones(2))
    some = Orthant(two, np.array([199.0, 900.0]), np.zeros(2), n_draws=1000)
    assert some.statement().startswith("1 of 2")
    assert "cannot" not in Orthant(two, np.full(2, 201.0), np.zeros(2), n_draws=1000).statement()


def test_no_error_exceeds_the_worst_that_the_bound_allows() -> None:
    for seed in range(4):
        signs = random_signs(8, seed=seed)
        found = orthant_probability(KEY, random_correlation(8, seed=8), signs)
        assert found.log_probability.sem < 1.1 * found.worst_sem
    exact = Orthant(Estimate(-2.0, 0.1), np.float64(500.0), np.float64(-1.0), n_draws=100)
    assert exact.worst_sem == pytest.approx(math.sqrt((math.e - 1) / 100))


def test_scale_does_not_matter_and_keys_do() -> None:
    correlation, signs = random_correlation(8, seed=9), random_signs(8, seed=9)
    scales = np.geomspace(0.01, 30, 8)
    first = orthant_probability(KEY, correlation, signs)
    scaled = orthant_probability(KEY, correlation * scales * scales[:, None], signs)
    other = orthant_probability(jax.random.key(1), correlation, signs)
    np.testing.assert_allclose(first.log_probability.value, scaled.log_probability.value, rtol=1e-8)
    assert first.log_probability.value != other.log_probability.value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"signs": np.array([0, 1, 1])}, "holds 0"),
        ({"signs": np.ones((2, 4), dtype=int)}, r"shape \(2, 4\)"),
        ({"covariance": np.zeros((0, 0))}, r"shape \(0, 0\)"),
        ({"covariance": equicorrelated(3, -0.9)}, "eigenvalue"),
        ({"n_draws": 1}, "n_draws=1"),
    ],
)
def test_what_has_no_orthant_is_refused(change: dict[str, Any], message: str) -> None:
    given = {"covariance": equicorrelated(3), "signs": np.array([1, -1, 1])} | change
    with pytest.raises(ValueError, match=message):
        orthant_probability(KEY, given.pop("covariance"), given.pop("signs"), **given)
