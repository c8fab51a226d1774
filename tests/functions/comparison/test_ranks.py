import numpy as np
import pytest
from scipy import stats

from bayes_vs_sgd.functions.comparison import Sampled, rank_correlations
from bayes_vs_sgd.functions.comparison.common import common_functions
from bayes_vs_sgd.functions.comparison.ranks import rank_statistic, spearman
from bayes_vs_sgd.functions.comparison.splits import Part
from tests.functions.comparison.laws import counted, covers, drawn, mean_is, zipf


def exactly(p: np.ndarray) -> Sampled:
    """Replicates that all are p itself."""
    return Sampled(np.tile(p, (4, 1)))


def test_without_noise_they_are_the_coefficients_of_the_laws() -> None:
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(60), size=2)
    found = rank_correlations(exactly(p), exactly(q), least_count=1e-9)
    assert found.spearman.value == pytest.approx(stats.spearmanr(p, q).statistic)
    assert found.kendall.value == pytest.approx(stats.kendalltau(p, q).statistic)
    assert found.n_functions == 60
    assert found.spearman.sem == pytest.approx(0, abs=1e-12)


def test_ties_have_the_mean_of_their_ranks() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 5, size=(2, 40)).astype(float)
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)
    assert np.isnan(spearman(x, np.ones(40)))


@pytest.mark.parametrize(("power", "sign"), [(3.0, 1), (-1.0, -1)])
def test_any_monotone_relation_has_a_correlation_of_one(power: float, sign: int) -> None:
    p = zipf(30)
    q = p**power / (p**power).sum()
    found = rank_correlations(exactly(p), exactly(q), least_count=1e-9)
    assert found.spearman.value == pytest.approx(sign)
    assert found.kendall.value == pytest.approx(sign)


def test_equal_counts_stay_tied_however_they_are_summed() -> None:
    """0.1 + 0.2 and 0.3 differ by rounding; ranked as different they would stand in the wrong order."""
    x, y = np.array([0.1 + 0.2, 0.3, 0.5]), np.array([0.1, 0.2, 0.3])
    part = Part(x, y, np.ones(4), np.ones(4))
    rho, tau, _ = rank_statistic((0, 0), "p")(part, part)
    assert tau == pytest.approx(stats.kendalltau([1, 1, 2], [1, 2, 3]).statistic)
    assert rho == pytest.approx(stats.spearmanr([1, 1, 2], [1, 2, 3]).statistic)


def test_functions_are_chosen_where_they_must_be_common() -> None:
    choose = Part(np.array([0.5, 0.0, 0.2]), np.array([0.1, 0.9, 0.0]), np.ones(4), np.ones(4))
    for side, expected in (("p", [1, 0, 1]), ("q", [0, 1, 0]), ("both", [0, 0, 0])):
        np.testing.assert_array_equal(common_functions(choose, (0.2, 0.5), side), expected)
    np.testing.assert_array_equal(common_functions(choose, (0, 0), "both"), [1, 0, 0])


def test_what_one_half_chooses_the_other_ranks() -> None:
    masks = np.ones(4, bool), np.ones(4, bool)
    choose = Part(np.array([0.3, 0.3, 0.3, 0.1]), np.full(4, 0.25), *masks)
    measure = Part(np.array([0.1, 0.2, 0.0, 0.7]), np.array([0.2, 0.3, 0.1, 0.4]), *masks)
    found = rank_statistic((0.2, 0.2), "p")(choose, measure)
    assert found == pytest.approx([1, 1, 3])


def test_common_is_what_half_of_the_replicates_draw_often_enough() -> None:
    """Of 4000 draws half are 2000, of which 10 make a function common."""
    rng = np.random.default_rng(0)
    p = np.array([0.9, 0.05, 0.03, 0.018, 0.0008, 0.0012])
    one = counted(rng, p, 8, 4000)
    assert rank_correlations(one, one, n_splits=2).n_functions == 4


def test_noise_lowers_them_and_they_are_compared_with_their_own_mean() -> None:
    """Intervals hold the expectation of the coefficient; of equal laws it is below 1."""
    rng, p = np.random.default_rng(0), zipf(60, 0.5)
    found = [
        rank_correlations(drawn(rng, p, 6, 300, 1000), counted(rng, p, 8, 3000), n_splits=2)
        for _ in range(60)
    ]
    for name in ("spearman", "kendall"):
        estimates = [getattr(one, name) for one in found]
        mean = np.mean([e.value for e in estimates])
        limits = np.array([e.interval() for e in estimates])
        assert 0.3 < mean < 0.95
        covers((limits[:, 0] <= mean) & (mean <= limits[:, 1]), 0.95)
        assert np.mean([e.sem for e in estimates]) < 2 * np.std([e.value for e in estimates])


def test_functions_that_are_equally_probable_have_none() -> None:
    rng, p = np.random.default_rng(0), np.full(80, 1 / 80)
    found = [
        rank_correlations(drawn(rng, p, 4, 300, 1e9), counted(rng, p, 4, 900), n_splits=1)
        for _ in range(60)
    ]
    mean_is([one.spearman.value for one in found], 0.0)


def test_fewer_than_three_functions_have_no_order() -> None:
    one = counted(np.random.default_rng(0), np.array([0.5, 0.5]), 4, 400)
    found = rank_correlations(one, one)
    assert np.isnan(found.spearman.value)
    assert np.isnan(found.spearman.interval()).all()
    assert found.n_functions == 2


def test_settings_that_are_none_are_refused() -> None:
    one = counted(np.random.default_rng(0), zipf(5), 4, 400)
    with pytest.raises(ValueError, match="side='x' is not known; pass one of p, q, both"):
        rank_correlations(one, one, side="x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="least_count=-1"):
        rank_correlations(one, one, least_count=-1)
