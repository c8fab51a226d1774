import numpy as np
import pytest
from scipy import stats

from bayes_vs_sgd.functions.comparison import Sampled, clopper_pearson, function_table
from tests.functions.comparison.laws import counted, covers, drawn, zipf


@pytest.mark.parametrize("n", [1, 7, 40])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_exact_interval_is_that_of_the_binomial_test(n: int, level: float) -> None:
    found = np.array(clopper_pearson(np.arange(n + 1), n, level=level)).T
    for k in range(n + 1):
        exact = stats.binomtest(k, n).proportion_ci(level, method="exact")
        np.testing.assert_allclose(found[k], [exact.low, exact.high], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("p", [1e-3, 0.03, 0.2, 0.5, 0.97])
def test_the_exact_interval_holds_at_least_as_often_as_it_says(p: float) -> None:
    lower, upper = clopper_pearson(np.arange(61), 60)
    held = stats.binom.pmf(np.arange(61), 60, p)[(lower <= p) & (p <= upper)].sum()
    assert held >= 0.95


def test_functions_are_sorted_by_who_found_them() -> None:
    p = Sampled(np.array([[0.5, 0.5, 0, 0], [0.4, 0.6, 0, 0]]))
    q = Sampled(np.array([[0.5, 0, 0.5, 0], [0.5, 0, 0.5, 0]]), np.array([4, 4]))
    table = function_table(p, q)
    np.testing.assert_array_equal(table.both, [True, False, False, False])
    np.testing.assert_array_equal(table.only_p, [False, True, False, False])
    np.testing.assert_array_equal(table.only_q, [False, False, True, False])


@pytest.mark.parametrize("independent", [True, False])
def test_a_function_that_was_not_found_has_an_upper_limit_alone(independent: bool) -> None:
    rng = np.random.default_rng(0)
    p = np.append(zipf(6), 0)
    one = counted(rng, p, 8, 400) if independent else drawn(rng, p + 1e-300, 8, 50, 20)
    axis = function_table(one, one).p
    assert axis.lower[-1] == 0
    assert np.isneginf(axis.log_lower[-1])
    assert np.isnan(axis.log_probability[-1])
    assert np.isnan(axis.log_errors[:, -1]).all()
    assert axis.upper[-1] == pytest.approx(1 - 0.025 ** (1 / one.n_effective))
    assert np.isfinite(axis.log_upper).all()


def test_error_bars_reach_the_limits() -> None:
    axis = function_table(*(counted(np.random.default_rng(s), zipf(9), 4, 999) for s in (0, 1))).q
    below, above = axis.log_errors
    np.testing.assert_allclose(axis.log_probability - below, np.log(axis.lower))
    np.testing.assert_allclose(axis.log_probability + above, np.log(axis.upper))
    assert (axis.log_errors > 0).all()


def test_equal_counts_by_chance_are_not_taken_for_certainty() -> None:
    rows = np.array([[1, 60, 39], [1, 50, 49], [1, 55, 44], [1, 40, 59]]) / 100
    axis = function_table(Sampled(rows), Sampled(rows)).p
    assert axis.upper[0] / axis.lower[0] > 4


def test_over_replicates_the_larger_error_makes_the_interval() -> None:
    """The two rare functions scatter against one another far more than common ones do."""
    rows = np.array([[0.5, 0.45, 0.04, 0.01], [0.49, 0.46, 0.0, 0.05], [0.51, 0.44, 0.05, 0.0]])
    one = Sampled(rows)
    axis, mean = function_table(one, one, level=0.9).p, rows.mean(axis=0)
    over_replicates = rows.std(axis=0, ddof=1) / 3**0.5
    of_draws = np.sqrt(mean * (1 - mean) / one.n_effective)
    assert list(over_replicates > of_draws) == [False, False, True, True]
    reach = stats.t.ppf(0.95, 2) * np.maximum(over_replicates, of_draws) / mean
    np.testing.assert_allclose(axis.lower, mean * np.exp(-reach))
    np.testing.assert_allclose(axis.upper, np.minimum(mean * np.exp(reach), 1))


@pytest.mark.parametrize("concentration", [20, 1e6])
def test_intervals_over_replicates_hold_for_functions_that_all_of_them_found(
    concentration: float,
) -> None:
    rng, p = np.random.default_rng(0), zipf(12)
    hits = []
    for _ in range(150):
        one = drawn(rng, p, 6, 300, concentration)
        axis = function_table(one, one).p
        hits.append(((axis.lower <= p) & (p <= axis.upper))[:4])
    # Four functions of one simulation are not independent: their errors count as one's.
    covers(np.mean(hits, axis=1), 0.95)


def test_the_level_is_refused_where_it_is_none() -> None:
    one = counted(np.random.default_rng(0), zipf(5), 4, 100)
    with pytest.raises(ValueError, match="level=95"):
        function_table(one, one, level=95)
