import numpy as np
import pytest

from bayes_vs_sgd.functions.comparison import Sampled, deming, log_relation
from bayes_vs_sgd.functions.comparison.common import common_functions, least_frequencies
from bayes_vs_sgd.functions.comparison.splits import Part, cross_fitted_value, splits
from tests.functions.comparison.laws import counted, covers, drawn, mean_is, zipf

N_SIMULATIONS = 60


def least_squares(p: Sampled, q: Sampled, least_count: float) -> float:
    """The slope that takes the abscissa for free of noise, on the same functions and halves."""
    least = least_frequencies(p, q, least_count)

    def statistic(choose: Part, measure: Part) -> np.ndarray:
        among = common_functions(choose, least, "both") & (measure.p > 0) & (measure.q > 0)
        return np.polyfit(np.log(measure.p[among]), np.log(measure.q[among]), 1)

    over = splits(p.n_replicates, q.n_replicates, n_folds=2, n_splits=2, seed=0)
    found = cross_fitted_value(p, q, statistic, over)
    assert found is not None
    return float(found[0])


def test_a_line_without_noise_is_found() -> None:
    x = np.array([-9.0, -4.0, -3.5, -1.0])
    assert deming(x, 1.4 * x - 0.3, noise_x=0, noise_y=0) == pytest.approx((1.4, -0.3, 1))
    assert deming(x, -0.5 * x, noise_x=0, noise_y=0) == pytest.approx((-0.5, 0, -1))


def test_exchanging_the_sides_inverts_the_slope() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 50)) + np.arange(50) / 10
    forth = deming(x, y, noise_x=0.4, noise_y=0.7)
    back = deming(y, x, noise_x=0.7, noise_y=0.4)
    assert forth[0] == pytest.approx(1 / back[0])
    assert forth[2] == pytest.approx(back[2])


def test_noise_of_known_variance_does_not_flatten_the_line_as_it_does_least_squares() -> None:
    rng, slopes, plain, correlations = np.random.default_rng(0), [], [], []
    for _ in range(300):
        truth = rng.normal(size=200)
        scale = rng.uniform(0.2, 1.0, size=200)
        x = truth + scale * rng.normal(size=200)
        y = 1.3 * truth + 0.5 * rng.normal(size=200)
        found = deming(x, y, noise_x=(scale**2).mean(), noise_y=0.25)
        slopes.append(found[0])
        correlations.append(found[2])
        plain.append(np.polyfit(x, y, 1)[0])
    mean_is(slopes, 1.3)
    mean_is(correlations, 1.0)
    with pytest.raises(AssertionError):
        mean_is(plain, 1.3)
    assert np.mean(plain) < 1.1


def test_noise_as_large_as_the_spread_leaves_no_line() -> None:
    x = np.array([0.0, 1.0, 2.0])
    assert np.isnan(deming(x, x, noise_x=1.0, noise_y=0)).all()
    assert np.isnan(deming(x, np.array([1.0, 0.0, 1.0]), noise_x=0, noise_y=0)).all()


@pytest.mark.parametrize("power", [0.7, 1.3])
def test_the_slope_of_a_power_law_is_its_power_where_least_squares_misses_it(power: float) -> None:
    """Clustered replicates against independent draws; the interval holds the power as stated."""
    rng, p = np.random.default_rng(0), zipf(150, 0.6)
    q = p**power / (p**power).sum()
    found, plain = [], []
    for i in range(N_SIMULATIONS):
        a, b = drawn(rng, p, 6, 600, 3000), counted(rng, q, 8, 6000, i)
        found.append(log_relation(a, b, least_count=5, n_splits=2).slope)
        plain.append(least_squares(a, b, 5))
    mean_is([slope.value for slope in found], power)
    with pytest.raises(AssertionError):
        mean_is(plain, power)
    limits = np.array([slope.interval() for slope in found])
    covers((limits[:, 0] <= power) & (power <= limits[:, 1]), 0.95)


def test_noise_that_functions_share_is_removed_too() -> None:
    """Each replicate favours one group of functions, as chains that mix badly do."""
    rng, p = np.random.default_rng(0), zipf(100, 0.6)
    group = np.arange(100) % 2
    slopes = []
    for i in range(N_SIMULATIONS):
        factor = np.exp(0.3 * rng.normal(size=(8, 1)) * np.where(group, 1, -1))
        rows = p * factor
        rows /= rows.sum(axis=1, keepdims=True)
        a = Sampled(np.array([rng.multinomial(2000, row) / 2000 for row in rows]))
        b = counted(rng, p, 8, 20_000, i)
        slopes.append(log_relation(a, b, least_count=1, n_splits=2).slope.value)
    mean_is(slopes, 1.0)


def test_the_mean_log_ratio_of_equal_laws_is_zero() -> None:
    """It would be negative if functions were measured on the replicates that chose them."""
    rng, p, found = np.random.default_rng(0), zipf(200, 0.4), []
    for i in range(N_SIMULATIONS):
        a, b = drawn(rng, p, 4, 500, 1e9), counted(rng, p, 8, 20_000, i)
        found.append(log_relation(a, b, least_count=8, n_splits=1).log_ratio.value)
    mean_is(found, 0.0)


def test_intervals_of_the_mean_log_ratio_hold_its_expectation() -> None:
    """Of independent draws, whose number, and with it what is common, is not estimated."""
    rng, p = np.random.default_rng(0), zipf(80, 0.6)
    q, found = p**0.7 / (p**0.7).sum(), []
    for i in range(N_SIMULATIONS):
        a, b = counted(rng, p, 6, 5000, i), counted(rng, q, 6, 5000, i)
        found.append(log_relation(a, b, n_splits=3).log_ratio)
    mean = np.mean([one.value for one in found])
    limits = np.array([one.interval() for one in found])
    covers((limits[:, 0] <= mean) & (mean <= limits[:, 1]), 0.95)
    assert np.mean([one.sem for one in found]) < 1.6 * np.std([one.value for one in found])


def test_without_noise_the_log_ratio_is_that_of_the_laws() -> None:
    p, q = zipf(20), zipf(20, 1.5)
    counts = [np.rint(law * 1e9).astype(int) for law in (p, q)]
    a, b = (Sampled(np.tile(n / n.sum(), (4, 1)), np.full(4, n.sum())) for n in counts)
    found = log_relation(a, b, least_count=1)
    assert found.log_ratio.value == pytest.approx(-(p @ np.log(p / q)), rel=1e-6)
    assert found.slope.value == pytest.approx(1.5, rel=1e-6)
    assert found.intercept.value == pytest.approx(np.log(q[0]) - 1.5 * np.log(p[0]), rel=1e-6)
    assert (found.mass_p.value, found.mass_q.value) == pytest.approx((1, 1))
    assert found.n_functions == 20


def test_the_masses_say_how_much_the_line_speaks_of() -> None:
    p = np.array([0.5, 0.2, 0.2, 0.1, 0.0])
    q = np.array([0.3, 0.2, 0.1, 0.0, 0.4])
    a, b = (Sampled(np.tile(law, (4, 1)), np.full(4, 1000)) for law in (p, q))
    found = log_relation(a, b)
    assert found.n_functions == 3
    assert (found.mass_p.value, found.mass_q.value) == pytest.approx((0.9, 0.6))


def test_fewer_than_three_functions_have_no_line_but_masses() -> None:
    one = counted(np.random.default_rng(0), np.array([0.5, 0.5]), 4, 400)
    found = log_relation(one, one)
    assert np.isnan(found.slope.value)
    assert np.isnan(found.log_ratio.value)
    assert found.mass_p.value == pytest.approx(1)
