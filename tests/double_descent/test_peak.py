import numpy as np
import pytest

from bayes_vs_sgd import double_descent

RISING = np.array([2.0, 1.5, 2.5, 4.0, 3.0, 1.0, 0.5])
FALLING = np.array([2.0, 1.5, 1.2, 1.0, 0.9, 0.85, 0.8])


def noisy(
    curve: np.ndarray, n: int, std: float, rng: np.random.Generator | None = None
) -> np.ndarray:
    rng = rng or np.random.default_rng(0)
    return curve + std * rng.normal(size=(n, len(curve)))


def test_the_height_is_the_lesser_of_rise_and_descent() -> None:
    found = double_descent.peak(
        RISING, noisy(RISING, 8, 1e-6), margin=0.1, complexity=[1, 2, 4, 8, 16, 32, 64]
    )
    assert found.height == pytest.approx(2.5)
    assert found.complexity == 8
    assert found.interval.lower == pytest.approx(2.5, abs=1e-4)
    assert found.interval.upper == pytest.approx(2.5, abs=1e-4)
    assert found.verdict == "present"


def test_a_rise_without_a_later_descent_is_no_second_descent() -> None:
    curve = np.array([2.0, 1.0, 1.5, 3.0, 4.0])
    assert double_descent.peak(curve, noisy(curve, 8, 1e-6), margin=0.1).height == 0


@pytest.mark.parametrize("n", [4, 16])
def test_a_falling_curve_measured_well_has_none(n: int) -> None:
    replicates = noisy(FALLING, n, 0.01)
    found = double_descent.peak(replicates.mean(0), replicates, margin=0.1)
    assert found.verdict == "absent"


@pytest.mark.parametrize("curve", [RISING, FALLING])
def test_wide_intervals_never_say_absent(curve: np.ndarray) -> None:
    replicates = noisy(curve, 4, 3.0, np.random.default_rng(5))
    found = double_descent.peak(replicates.mean(0), replicates, margin=0.1)
    assert found.verdict == "undecided"
    assert found.interval.upper > 0.1


def test_unconverged_draws_are_said_first() -> None:
    found = double_descent.peak(FALLING, noisy(FALLING, 8, 0.001), margin=0.1, converged=False)
    assert found.statement.startswith("On draws that have not converged:")


def test_a_curve_that_is_not_finite_is_undecided_and_says_where() -> None:
    curve = RISING.copy()
    curve[3] = np.inf
    found = double_descent.peak(
        curve, noisy(curve, 4, 0.1), margin=0.1, complexity=[1, 2, 4, 8, 16, 32, 64]
    )
    assert found.verdict == "undecided"
    assert "not finite at 8" in found.statement


SHAPES = {
    "flat": np.zeros(9),
    "falling": np.linspace(1, 0, 9),
    "plateau": np.array([1, 0.5, 0.2, 0, 0, 0, 0, 0, 0]),
    "peak": np.array([0.5, 0.3, 0.3, 0.6, 1, 0.7, 0.3, 0.1, 0]),
    "small peak": np.array([0.5, 0.3, 0.3, 0.3, 0.4, 0.3, 0.2, 0.1, 0]),
}
HEIGHTS = {"flat": 0, "falling": 0, "plateau": 0, "peak": 0.7, "small peak": 0.1}


@pytest.mark.parametrize("n_replicates", [4, 12])
@pytest.mark.parametrize("name", SHAPES)
def test_the_interval_covers_as_often_as_it_says(name: str, n_replicates: int) -> None:
    rng, n_sweeps, covered = np.random.default_rng(1), 150, 0
    for i in range(n_sweeps):
        replicates = noisy(SHAPES[name], n_replicates, 0.05, rng)
        found = double_descent.peak(
            replicates.mean(0), replicates, margin=0.1, n_bootstrap=500, seed=i
        )
        covered += found.interval.lower <= HEIGHTS[name] + 1e-12 <= found.interval.upper + 2e-12
    # one-sided: covering more often than promised is no fault
    assert covered / n_sweeps > 0.95 - 3 * (0.95 * 0.05 / n_sweeps) ** 0.5


@pytest.mark.parametrize(("n_replicates", "n_complexities"), [(4, 8), (4, 17), (5, 17), (16, 8)])
def test_noise_alone_is_called_a_rise_no_more_often_than_the_level_allows(
    n_replicates: int, n_complexities: int
) -> None:
    rng, n_sweeps, present = np.random.default_rng(6), 300, 0
    for i in range(n_sweeps):
        replicates = noisy(np.zeros(n_complexities), n_replicates, 3.0, rng)
        found = double_descent.peak(
            replicates.mean(0), replicates, margin=0.1, n_bootstrap=500, seed=i
        )
        present += found.verdict == "present"
    assert present / n_sweeps < 0.025 + 3 * (0.025 * 0.975 / n_sweeps) ** 0.5


def test_common_noise_of_test_points_is_covered_and_does_not_hide_a_difference() -> None:
    """Noise that all widths share cancels in a height; noise of their own does not."""
    rng = np.random.default_rng(2)
    shared = 3 * rng.normal(size=400)
    replicates = RISING[None, :, None] + shared + 0.1 * rng.normal(size=(6, 7, 400))
    found = double_descent.peak(replicates.mean((0, 2)), replicates, margin=0.1)
    assert found.interval.upper - found.interval.lower < 0.2
    assert found.interval.lower < 2.5 < found.interval.upper
    own = (
        RISING[None, :, None]
        + 3 * rng.normal(size=(1, 7, 400))
        + 0.01 * rng.normal(size=(6, 7, 400))
    )
    wider = double_descent.peak(own.mean((0, 2)), own, margin=0.1)
    assert wider.interval.upper - wider.interval.lower > 0.6


def test_several_splits_are_resampled_with_all_that_is_in_them() -> None:
    rng = np.random.default_rng(3)
    by_split = noisy(RISING, 6, 0.3, rng)
    replicates = by_split[:, None, :, None] + 0.001 * rng.normal(size=(6, 4, 7, 20))
    moved = double_descent.resample(replicates).deviations(None)
    np.testing.assert_allclose(moved.std(0), by_split.std(0, ddof=1) / 6**0.5, rtol=0.1)


def test_one_split_with_its_axis_is_the_same_as_without() -> None:
    replicates = np.random.default_rng(0).normal(size=(1, 4, 7, 20))
    np.testing.assert_array_equal(
        double_descent.resample(replicates).deviations(0.95),
        double_descent.resample(replicates[0]).deviations(0.95),
    )


def test_without_widening_the_deviations_have_the_standard_error() -> None:
    replicates = np.random.default_rng(0).normal(size=(5, 7))
    moved = double_descent.resample(replicates, n_bootstrap=40_000).deviations(None)
    np.testing.assert_allclose(moved.std(0), replicates.std(0, ddof=1) / 5**0.5, rtol=0.03)


def test_the_reduction_between_arms_is_paired_over_test_points() -> None:
    rng = np.random.default_rng(4)
    own = rng.normal(size=(1, 7, 200))
    high = RISING[None, :, None] + own + 0.01 * rng.normal(size=(4, 7, 200))
    low = 0.5 * RISING[None, :, None] + own + 0.01 * rng.normal(size=(4, 7, 200))
    peaks = [double_descent.peak(r.mean((0, 2)), r, margin=0.1) for r in (high, low)]
    value, interval = double_descent.reduction(*peaks)
    assert interval.lower < 1.25 < interval.upper
    unpaired = np.hypot(*(p.bootstrap.std() for p in peaks))
    assert (interval.upper - interval.lower) / 2 / 1.96 < unpaired / 2
    assert value == pytest.approx(peaks[0].height - peaks[1].height)


def test_the_interval_of_the_reduction_covers_with_few_replicates() -> None:
    rng, n_sweeps, covered = np.random.default_rng(7), 400, 0
    for i in range(n_sweeps):
        high, low = noisy(RISING, 4, 0.1, rng), noisy(0.5 * RISING, 4, 0.001, rng)
        peaks = [
            double_descent.peak(r.mean(0), r, margin=0.1, n_bootstrap=500, seed=i)
            for r in (high, low)
        ]
        _, interval = double_descent.reduction(*peaks)
        covered += interval.lower < 1.25 < interval.upper
    assert covered / n_sweeps > 0.95 - 3 * (0.95 * 0.05 / n_sweeps) ** 0.5


def test_peaks_of_other_resamples_cannot_be_paired() -> None:
    peaks = [
        double_descent.peak(RISING, noisy(RISING, 4, 0.1), margin=0.1, n_bootstrap=n)
        for n in (100, 200)
    ]
    with pytest.raises(ValueError, match="100 and 200 resamples"):
        double_descent.reduction(*peaks)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"curve": RISING[:2], "replicates": noisy(RISING[:2], 4, 1)}, "at least 3 complexities"),
        ({"replicates": RISING[None]}, "1 replicates; an interval needs at least 2"),
        ({"replicates": np.zeros((4, 5))}, "must agree"),
        ({"complexity": [1, 2, 3, 4, 5, 7, 6]}, "not increasing"),
        ({"margin": 0}, "margin=0"),
        ({"level": 95}, "level=95"),
    ],
)
def test_what_is_no_sweep_is_refused(changes: dict, message: str) -> None:
    settings = {"curve": RISING, "replicates": noisy(RISING, 4, 0.1), "margin": 0.1} | changes
    curve, replicates = settings.pop("curve"), settings.pop("replicates")
    with pytest.raises(ValueError, match=message):
        double_descent.peak(curve, replicates, **settings)


def test_a_rise_counts_whatever_comes_later() -> None:
    curve = np.array([2.0, 1.0, 1.5, 3.0, 4.0])
    found = double_descent.peak(curve, noisy(curve, 8, 1e-6), margin=0.1, kind="rise")
    assert found.height == pytest.approx(3)
    assert found.complexity == 4
    assert found.verdict == "present"
    assert found.statement.startswith("A rise of 3")


@pytest.mark.parametrize("kind", ["peak", "rise"])
def test_noise_alone_is_no_rise_and_a_falling_curve_has_none(kind: str) -> None:
    rng, present, absent = np.random.default_rng(8), 0, 0
    for i in range(150):
        flat, falling = noisy(np.zeros(6), 6, 3.0, rng), noisy(FALLING, 6, 0.01, rng)
        found = [
            double_descent.peak(r.mean(0), r, margin=0.1, kind=kind, n_bootstrap=500, seed=i)
            for r in (flat, falling)
        ]
        present += found[0].verdict == "present"
        absent += found[1].verdict == "absent"
    assert present / 150 < 0.025 + 3 * (0.025 * 0.975 / 150) ** 0.5
    assert absent == 150


def test_a_curve_of_medians_has_intervals_of_medians() -> None:
    """Cauchy noise has no mean; the median of 40 is as certain as π/2/√40 says."""
    rng, n = np.random.default_rng(9), 40
    spreads = []
    for _ in range(60):
        replicates = rng.standard_cauchy(size=(n, 3))
        moved = double_descent.resample(replicates, n_bootstrap=500, center="median")
        spreads.append(moved.deviations(None).std(0))
    assert np.median(spreads) == pytest.approx(np.pi / 2 / n**0.5, rel=0.2)


def test_a_second_rise_of_medians_is_found_under_wild_noise() -> None:
    rng = np.random.default_rng(10)
    replicates = RISING + 0.1 * rng.standard_cauchy(size=(60, 7))
    found = double_descent.peak(
        np.median(replicates, axis=0), replicates, margin=0.1, center="median"
    )
    assert found.verdict == "present"
    assert found.interval.lower < 2.5 < found.interval.upper


def test_one_rise_judged_at_two_levels_is_wider_at_the_higher() -> None:
    measured = double_descent.Rise.of(RISING, noisy(RISING, 6, 0.3))
    low, high = measured.at(0.9, 0.1).interval, measured.at(0.999, 0.1).interval
    assert high.lower < low.lower < low.upper < high.upper
