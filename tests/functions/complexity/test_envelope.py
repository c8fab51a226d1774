"""The envelope against data that obey a bound, a linear programme, and repeated experiments."""

import numpy as np
import pytest
from scipy import optimize

from bayes_vs_sgd.functions.complexity import Envelope, levin_envelope
from bayes_vs_sgd.functions.complexity.envelope import lowest_line
from tests.conftest import within

N_TOTAL = 2**40


def bounded() -> tuple[np.ndarray, np.ndarray]:
    """Counts and complexities with log₂ P ≤ −0.5·K − 2, equal at K = 2 and 10, far below elsewhere."""
    complexities = np.repeat([2, 4, 6, 8, 10, 12], 8)
    below = np.concatenate([shift + np.arange(8) for shift in (0, 9, 2, 12, 0, 5)])
    log2 = -(complexities // 2) - 2 - below
    return 2 ** (40 + log2), complexities


def fit(*, n_bootstrap: int = 2, **changes: object) -> Envelope:
    counts, complexities = bounded()
    given = {"counts": counts, "n_total": N_TOTAL, "complexities": complexities, **changes}
    return levin_envelope(**given, n_bootstrap=n_bootstrap)  # type: ignore[arg-type]


def test_the_bound_that_data_obey_is_found_exactly() -> None:
    found = fit()
    assert (found.slope.value, found.intercept.value) == pytest.approx((0.5, 2.0), rel=1e-12)
    assert found.mean_excess == pytest.approx((9 + 2 + 12 + 5) / 6)
    assert found.complexities.tolist() == [2, 4, 6, 8, 10, 12]
    assert found.n_functions == 48


def test_neither_regression_would_find_it() -> None:
    """The data tell an envelope from least squares, through the maxima or through all functions."""
    counts, complexities = bounded()
    found = fit()
    for k, height in (
        (found.complexities, found.log2_maxima),
        (complexities, np.log2(counts / N_TOTAL)),
    ):
        slope, intercept = np.polyfit(k, height, 1)
        assert abs(-slope - 0.5) > 0.05
        assert abs(-intercept - 2) > 1


def test_functions_far_below_the_bound_do_not_move_it() -> None:
    counts, complexities = bounded()
    more = fit(
        counts=np.append(counts, [1000] * 500), complexities=np.append(complexities, [6] * 500)
    )
    assert more.slope.value == pytest.approx(fit().slope.value, rel=1e-12)
    fewer = np.flatnonzero(complexities != 4)[::2]
    assert fewer[0] == 0
    rest = fit(counts=counts[fewer], complexities=complexities[fewer])
    assert rest.slope.value == pytest.approx(0.5, rel=1e-12)


def test_a_function_seen_too_few_times_does_not_count() -> None:
    counts, complexities = bounded()
    lucky = {"counts": np.append(counts, 9), "complexities": np.append(complexities, 1000)}
    assert fit(**lucky).slope.value == pytest.approx(0.5, rel=1e-12)
    assert fit(**lucky, least_count=9).slope.value < 0.1


def test_functions_that_cannot_come_to_count_are_left_out_of_the_resamples() -> None:
    counts, complexities = bounded()
    rare = {
        "counts": np.append(counts, [2] * 50),
        "complexities": np.append(complexities, [7] * 50),
    }
    np.testing.assert_array_equal(
        fit(**rare, n_bootstrap=20).resampled, fit(n_bootstrap=20).resampled
    )


def test_functions_just_below_the_least_count_enter_some_resamples() -> None:
    counts, complexities = bounded()
    near = {"counts": np.append(counts, [9]), "complexities": np.append(complexities, [1000])}
    slopes = fit(**near, n_bootstrap=50).resampled[:, 0]
    assert 0.2 < (slopes < 0.1).mean() < 0.8


def test_the_unit_and_the_origin_of_complexity_are_free() -> None:
    _, complexities = bounded()
    one, other = fit(n_bootstrap=20), fit(n_bootstrap=20, complexities=3 * complexities + 7)
    assert other.slope.value == pytest.approx(one.slope.value / 3)
    assert other.slope.sem == pytest.approx(one.slope.sem / 3, rel=1e-6)
    assert other.intercept.value == pytest.approx(one.intercept.value - 7 * 0.5 / 3)


@pytest.mark.parametrize("seed", range(40))
def test_the_line_is_the_solution_of_the_linear_programme(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = rng.integers(2, 12)
    # Integers, so that the mean is often at a corner of the hull, where the solution is not unique.
    k = np.sort(rng.choice(12, n, replace=False)).astype(float)
    heights = rng.integers(-8, 0, n) - rng.choice([0.0, 0.4]) * k
    above = np.column_stack([k, np.ones(n)])
    bounds = [(0, None), (None, None)]
    mean = -above.mean(axis=0)
    lowest = optimize.linprog(mean, A_ub=above, b_ub=-heights, bounds=bounds)
    flattest = optimize.linprog(
        [1, 0],
        A_ub=np.vstack([above, mean]),
        b_ub=np.append(-heights, lowest.fun + 1e-9),
        bounds=bounds,
    )
    a, b = lowest_line(k, heights)
    assert (above @ [a, b] <= -heights + 1e-9).all()
    assert mean @ [a, b] == pytest.approx(lowest.fun, abs=1e-8)
    assert a == pytest.approx(flattest.fun, abs=1e-6)


def test_of_several_lowest_lines_the_flattest_is_taken() -> None:
    """The mean complexity, 1, is at a corner: slopes between −1 and −3 are all lowest there."""
    assert lowest_line(np.array([0.0, 1.0, 2.0]), np.array([-1.0, -2.0, -5.0])) == (1.0, 1.0)
    assert lowest_line(np.array([0.1, 0.2, 0.3]), np.array([-1.0, -1.1, -3.0])) == (
        pytest.approx(1.0),
        pytest.approx(0.9),
    )


def test_a_bound_that_would_rise_is_flat() -> None:
    assert lowest_line(np.array([0.0, 1.0, 2.0]), np.array([-5.0, -4.0, -1.0])) == (0.0, 1.0)


def decaying(*, gap: float) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of 60 functions under 2^(−0.4·K − 1)/3: at K = 4 and 11 up to it, elsewhere up to
    ``gap`` bits below.
    """
    rng = np.random.default_rng(3)
    k = np.repeat(np.arange(2, 14), 5)
    below = np.tile([0.0, 1.0, 2.0, 3.0, 4.0], 12) * rng.uniform(0.5, 1.5, 60)
    below += gap * ~np.isin(k, [4, 11])
    return 2.0 ** (-0.4 * k - 1 - below) / 3, k


@pytest.mark.parametrize(("gap", "least", "most"), [(1.5, 0.8, 1.2), (0.0, 0.95, 1.55)])
def test_the_standard_errors_are_the_spread_of_repeated_experiments(
    gap: float, least: float, most: float
) -> None:
    """Equal within four of its 5 % where one edge is the lowest; too large where 12 points are on a line."""
    p, k = decaying(gap=gap)
    n_total, n_repeats = 100_000, 200
    rng = np.random.default_rng(0)
    found = []
    for seed in range(n_repeats):
        counts = rng.multinomial(n_total, np.append(p, 1 - p.sum()))[:-1]
        found.append(levin_envelope(counts, n_total, k, n_bootstrap=60, seed=seed))
    points = np.array([(e.slope.value, e.intercept.value) for e in found])
    sems = np.array([(e.slope.sem, e.intercept.sem) for e in found])
    spread = points.std(axis=0, ddof=1)
    ratio = np.sqrt((sems**2).mean(axis=0)) / spread
    assert (least < ratio).all()
    assert (ratio < most).all()
    truth = np.array([0.4, 1 + np.log2(3)])
    within(points.mean(axis=0), truth, spread, k=1)
    within(points[0], truth, sems[0], k=4)


def test_the_error_of_the_bound_takes_slope_and_intercept_together() -> None:
    p, k = decaying(gap=0.0)
    counts = np.round(p * 100_000).astype(int)
    found = levin_envelope(counts, 100_000, k, n_bootstrap=400)
    at = np.array([0.0, 5.0, 40.0])
    bound = found.log2_bound(at)
    np.testing.assert_allclose(bound.value, -found.slope.value * at - found.intercept.value)
    covariance = np.cov(found.resampled.T)
    variance = covariance[1, 1] + 2 * at * covariance[0, 1] + at**2 * covariance[0, 0]
    np.testing.assert_allclose(bound.sem, np.sqrt(variance), rtol=1e-9)
    # Far from the data the two errors are one; amid them they cancel.
    assert bound.sem[1] < 0.5 * np.hypot(found.intercept.sem, 5 * found.slope.sem)


def test_noise_in_many_rare_functions_lifts_the_line_and_the_bias_says_so() -> None:
    """At K = 10 there are 3000 functions of the same P = 20/n: the largest count is about 36."""
    n_total = 10**6
    p = np.append(0.5, np.full(3000, 20 / n_total))
    k = np.append(0, np.full(3000, 10))
    counts = np.random.default_rng(0).multinomial(n_total, np.append(p, 1 - p.sum()))[:-1]
    found = levin_envelope(counts, n_total, k, n_bootstrap=100)
    exact = -np.log2(20 / n_total / 0.5) / 10
    assert found.slope.value < exact - 5 * found.slope.sem
    assert found.bias[0] < -found.slope.sem
    assert abs(found.bias[1]) < found.intercept.sem


def test_resamples_that_give_no_line_are_counted() -> None:
    """The second complexity was seen just often enough, and every other resample loses it."""
    found = levin_envelope(np.array([900, 10]), 1000, np.array([1, 2]), n_bootstrap=400)
    within(np.array(found.n_failed / 400), np.array(0.458), np.array((0.25 / 400) ** 0.5))
    assert len(found.resampled) == 400 - found.n_failed


def test_too_few_resamples_for_an_error_are_refused() -> None:
    with pytest.raises(ValueError, match=r"of n_bootstrap=2 resamples [01] have enough"):
        levin_envelope(np.array([10, 10]), 1000, np.array([1, 2]), n_bootstrap=2)


def test_counts_of_a_narrow_type_are_the_same_counts() -> None:
    counts, k = np.array([200, 150, 64, 90]), np.arange(4)
    wide, narrow = (levin_envelope(c, 1000, k) for c in (counts, counts.astype(np.uint8)))
    np.testing.assert_array_equal(narrow.resampled, wide.resampled)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"counts": np.array([1, 2])}, r"counts has the shape \(2,\) and complexities \(48,\)"),
        ({"counts": bounded()[0] - 2**39}, "negative entry"),
        ({"counts": bounded()[0] / 2}, "float64; pass integers"),
        ({"n_total": 1000}, "n_total=1000 is less than the sum"),
        ({"n_total": 0}, "n_total=0"),
        ({"least_count": 0}, "least_count=0"),
        ({"least_count": 2**38}, "have 0 distinct complexities"),
        ({"complexities": np.full(48, 3.0)}, "have 1 distinct complexities"),
        ({"complexities": np.full(48, np.nan)}, "NaN or infinite"),
        ({"n_bootstrap": 1}, "n_bootstrap=1"),
    ],
)
def test_counts_that_have_no_envelope_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit(**changes)  # type: ignore[arg-type]
