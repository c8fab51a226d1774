"""The rank correlation against SciPy and against repeated experiments."""

import numpy as np
import pytest
from scipy import stats

from bayes_vs_sgd.functions.complexity import levin_envelope, rank_correlation
from tests.conftest import within


def test_it_is_spearmans_over_the_functions_seen_often_enough() -> None:
    rng = np.random.default_rng(0)
    counts, k = rng.integers(0, 60, 300), rng.integers(3, 12, 300)
    kept = counts >= 10
    found = rank_correlation(counts, 10**5, k, n_bootstrap=2)
    exact = stats.spearmanr(np.log2(counts[kept] / 10**5), k[kept]).statistic
    assert found.estimate.value == pytest.approx(exact, abs=1e-12)
    assert found.n_functions == kept.sum()


def test_a_perfect_order_is_minus_one_and_its_interval_reaches_it() -> None:
    k = np.arange(1, 9)
    clear = rank_correlation(4 ** (12 - k), 4**12, k)
    assert clear.estimate.value == pytest.approx(-1)
    assert (clear.low, clear.high) == (pytest.approx(-1), pytest.approx(-1))
    blurred = rank_correlation(60 - 4 * k, 1000, k)
    assert blurred.low == pytest.approx(-1)
    assert blurred.high > -0.9


@pytest.mark.parametrize("sign", [1, -1])
def test_the_interval_reaches_as_far_to_the_stronger_as_to_the_weaker_side(sign: int) -> None:
    """On Fisher's scale; the resamples alone lie to the weaker side."""
    rng = np.random.default_rng(5)
    k = np.arange(40)
    counts = np.maximum(10, 100 + 2 * k + rng.normal(scale=15, size=40)).astype(int)
    found = rank_correlation(counts, 10**5, sign * k)
    low, value, high = np.arctanh([found.low, found.estimate.value, found.high])
    assert sign * value > 0.5
    assert high - value == pytest.approx(value - low)
    assert 1.5 * found.estimate.sem < found.estimate.value - found.low < 4 * found.estimate.sem


def repeated(n_repeats: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Estimates, standard errors and intervals of experiments on 40 functions, and the true ρ."""
    rng = np.random.default_rng(1)
    k = rng.integers(2, 10, 40)
    p = np.exp(-0.25 * k + rng.normal(scale=0.5, size=40))
    p /= 2 * p.sum()
    n_total = 30_000
    found = [
        rank_correlation(
            rng.multinomial(n_total, np.append(p, 0.5))[:-1], n_total, k, n_bootstrap=150, seed=seed
        )
        for seed in range(n_repeats)
    ]
    return (
        np.array([f.estimate.value for f in found]),
        np.array([f.estimate.sem for f in found]),
        np.array([(f.low, f.high) for f in found]),
        float(stats.spearmanr(p, k).statistic),
    )


def test_error_and_interval_are_those_of_repeated_experiments() -> None:
    values, sems, intervals, truth = repeated(100)
    spread = values.std(ddof=1)
    assert np.sqrt((sems**2).mean()) == pytest.approx(spread, rel=4 / (2 * 100) ** 0.5)
    covered = ((intervals[:, 0] <= truth) & (truth <= intervals[:, 1])).mean()
    # At least its level, within four standard errors; and not by being infinitely wide.
    assert covered > 0.95 - 4 * (0.95 * 0.05 / 100) ** 0.5
    assert np.diff(intervals, axis=1).mean() < 6 * spread
    within(values.mean(), truth, spread, k=1)


def test_a_tight_bound_may_go_with_no_rank_correlation() -> None:
    """What the theory bounds is the maximum; all other functions may have any P below."""
    k = np.repeat(np.arange(1, 9), 50)
    counts = np.full(400, 2**10)
    counts[::50] = 2 ** (28 - 2 * np.arange(1, 9))
    assert abs(rank_correlation(counts, 2**28, k, n_bootstrap=2).estimate.value) < 0.05
    envelope = levin_envelope(counts, 2**28, k, n_bootstrap=2)
    assert (envelope.slope.value, envelope.mean_excess) == pytest.approx((2, 0))


@pytest.mark.parametrize(
    ("counts", "level", "message"),
    [
        ([50, 50, 50], 0.95, "were seen equally often"),
        ([50, 40, 30], 1.0, "level=1.0"),
        ([50, 4, 3], 0.95, "have 1 distinct complexities"),
    ],
)
def test_what_has_no_order_is_refused(counts: list[int], level: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rank_correlation(np.array(counts), 1000, np.array([1, 2, 3]), level=level)
