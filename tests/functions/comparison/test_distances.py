import numpy as np
import pytest
from scipy import stats

from bayes_vs_sgd.functions.comparison import Distances, Sampled, distances, plug_in_distances
from bayes_vs_sgd.functions.comparison.student import StudentEstimate, jackknife
from tests.functions.comparison.laws import counted, covers, drawn, mean_is, shifted, zipf

P = zipf(30)
Q = shifted(P, 0.15)
TOTAL_VARIATION, JENSEN_SHANNON = plug_in_distances(P, Q)


@pytest.fixture(scope="module")
def simulated() -> list[Distances]:
    """Clustered replicates of P against independent draws of Q."""
    rng = np.random.default_rng(0)
    return [
        distances(drawn(rng, P, 6, 200, 300), counted(rng, Q, 8, 4000), n_splits=2)
        for _ in range(120)
    ]


def test_equal_laws_have_no_distance_and_disjoint_ones_the_largest() -> None:
    a, b = np.array([0.5, 0.5, 0, 0]), np.array([0, 0, 0.1, 0.9])
    np.testing.assert_allclose(plug_in_distances(a, a), 0, atol=1e-15)
    np.testing.assert_allclose(plug_in_distances(a, b), [1, np.log(2)])


def test_the_distances_are_their_definitions() -> None:
    middle = (P + Q) / 2
    divergence = stats.entropy(P, middle) / 2 + stats.entropy(Q, middle) / 2
    np.testing.assert_allclose(plug_in_distances(P, Q), [0.5 * np.abs(P - Q).sum(), divergence])
    assert pytest.approx(0.15) == TOTAL_VARIATION


def test_the_plug_in_of_equal_laws_has_the_bias_of_the_binomial() -> None:
    """½ Σ E|X_f/n − Y_f/m|, by the binomial laws of X_f and Y_f."""
    p, n, m = zipf(8), 60, 90
    x, y = np.arange(n + 1), np.arange(m + 1)
    gap = np.abs(x[:, None] / n - y[None, :] / m)
    exact = sum(stats.binom.pmf(x, n, f) @ gap @ stats.binom.pmf(y, m, f) for f in p) / 2
    rng, found = np.random.default_rng(0), []
    for _ in range(1000):
        a, b = rng.multinomial(n, p) / n, rng.multinomial(m, p) / m
        found.append(plug_in_distances(a, b)[0])
    mean_is(found, exact)
    assert exact > 0.05


def test_the_plug_in_is_too_large_on_average(simulated: list[Distances]) -> None:
    for name, truth in (("total_variation", TOTAL_VARIATION), ("jensen_shannon", JENSEN_SHANNON)):
        values = np.array([getattr(d, name).plug_in.value for d in simulated])
        assert values.mean() - truth > 5 * values.std() / len(values) ** 0.5


def test_intervals_of_the_plug_in_hold_its_own_expectation(simulated: list[Distances]) -> None:
    for name in ("total_variation", "jensen_shannon"):
        found = [getattr(d, name).plug_in for d in simulated]
        mean = np.mean([estimate.value for estimate in found])
        limits = np.array([estimate.interval() for estimate in found])
        covers((limits[:, 0] <= mean) & (mean <= limits[:, 1]), 0.95)
        # They are not held by being wide.
        sem = np.mean([estimate.sem for estimate in found])
        assert sem < 1.5 * np.std([estimate.value for estimate in found])


def test_the_truth_lies_in_the_bracket(simulated: list[Distances]) -> None:
    for name, truth in (("total_variation", TOTAL_VARIATION), ("jensen_shannon", JENSEN_SHANNON)):
        limits = np.array([getattr(d, name).bracket() for d in simulated])
        covers(limits[:, 0] <= truth, 0.975)
        covers(limits[:, 1] >= truth, 0.975)


def test_the_jackknife_frees_the_divergence_of_its_bias_at_frequent_functions() -> None:
    p, q = zipf(20, 0.5), shifted(zipf(20, 0.5), 0.2)
    truth, rng, plain, corrected = plug_in_distances(p, q)[1], np.random.default_rng(0), [], []
    for _ in range(200):
        a, b = counted(rng, p, 4, 1000), counted(rng, q, 4, 1500)
        left_out = jackknife(a, b, plug_in_distances)
        plain.append(left_out.estimates()[1].value)
        corrected.append(left_out.corrected()[1].value)
    mean_is(corrected, truth)
    assert np.mean(plain) - truth > 5 * np.std(plain) / len(plain) ** 0.5


def test_the_jackknife_frees_total_variation_of_half_the_bias_of_equal_laws() -> None:
    p, rng, plain, corrected = zipf(20, 0.5), np.random.default_rng(0), [], []
    for _ in range(200):
        left_out = jackknife(counted(rng, p, 8, 2000), counted(rng, p, 8, 2000), plug_in_distances)
        plain.append(left_out.estimates()[0].value)
        corrected.append(left_out.corrected()[0].value)
    assert 0.35 < np.mean(corrected) / np.mean(plain) < 0.65


def test_of_a_linear_statistic_the_jackknife_gives_welchs_error_and_no_bias() -> None:
    rng = np.random.default_rng(0)
    p, q = drawn(rng, P, 5, 50, 100), drawn(rng, P, 7, 20, 100)
    weights = rng.normal(size=len(P))
    left_out = jackknife(p, q, lambda a, b: np.array([weights @ (a - b)]))
    x, y = p.weights @ weights, q.weights @ weights
    welch = stats.ttest_ind(x, y, equal_var=False)
    (found,), (corrected,) = left_out.estimates(), left_out.corrected()
    assert found.value == pytest.approx(x.mean() - y.mean())
    assert found.value / found.sem == pytest.approx(welch.statistic)
    assert found.degrees_of_freedom == pytest.approx(welch.df)
    assert corrected.value == pytest.approx(found.value)
    np.testing.assert_allclose(found.interval(0.9), welch.confidence_interval(0.9))


def test_an_error_that_is_certain_has_normal_limits() -> None:
    lower, upper = StudentEstimate(1.0, 0.5, np.inf).interval(0.95)
    assert (lower, upper) == pytest.approx((1 - 0.98, 1 + 0.98), abs=1e-4)


def test_without_any_spread_the_error_is_zero() -> None:
    one = Sampled(np.tile([0.25, 0.75], (4, 1)))
    found = distances(one, one).total_variation
    assert (found.plug_in.value, found.plug_in.sem) == (0, 0)
    assert found.bracket() == (0, 0)


def test_too_few_replicates_and_other_tables_are_refused() -> None:
    rng = np.random.default_rng(0)
    one = counted(rng, P, 4, 100)
    with pytest.raises(ValueError, match="q has 3 replicates, too few"):
        distances(one, counted(rng, P, 3, 100))
    with pytest.raises(ValueError, match="p has 30 functions and q 9"):
        distances(one, counted(rng, zipf(9), 4, 100))
    with pytest.raises(ValueError, match="n_folds=1"):
        distances(one, one, n_folds=1)
    with pytest.raises(ValueError, match="n_splits=0"):
        distances(one, one, n_splits=0)
    with pytest.raises(ValueError, match="level=2"):
        distances(one, one, n_splits=1).total_variation.bracket(2)
