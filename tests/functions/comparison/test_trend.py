import numpy as np
import pytest

from bayes_vs_sgd.functions.comparison import StudentEstimate, trend

X = [1.0, 2.0, 4.0, 5.0, 9.0]
SEM = np.array([0.1, 0.3, 0.2, 0.4, 0.1])


def estimates(
    y: np.ndarray, sem: np.ndarray = SEM, degrees: float = np.inf
) -> list[StudentEstimate]:
    return [StudentEstimate(v, s, degrees) for v, s in zip(y, sem, strict=True)]


def test_the_slope_and_its_error_are_those_of_weighted_least_squares() -> None:
    y = np.array([0.2, 0.1, 0.9, 0.8, 2.1])
    found = trend(X, estimates(y))
    line, covariance = np.polyfit(X, y, 1, w=1 / SEM, cov="unscaled")
    assert found.on_a_line
    assert found.slope.value == pytest.approx(line[0])
    assert found.slope.sem == pytest.approx(covariance[0, 0] ** 0.5)
    assert found.slope.degrees_of_freedom == np.inf
    residuals = (y - np.polyval(line, X)) / SEM
    assert found.chi_squared == pytest.approx(residuals @ residuals)


def test_of_a_curve_the_error_is_that_of_the_scatter_about_the_line() -> None:
    y = np.array([0.0, 2.0, 3.0, 2.0, 0.0])
    found = trend(X, estimates(y))
    line, covariance = np.polyfit(X, y, 1, w=1 / SEM, cov=True)
    assert not found.on_a_line
    assert found.p_value < 1e-10
    assert found.slope.value == pytest.approx(line[0])
    assert found.slope.sem == pytest.approx(covariance[0, 0] ** 0.5)
    assert found.slope.degrees_of_freedom == 3


def test_two_numbers_make_a_line_with_the_errors_of_both() -> None:
    found = trend([0, 2], [StudentEstimate(1.0, 0.3, 4.0), StudentEstimate(2.0, 0.4, 4.0)])
    assert found.slope.value == pytest.approx(0.5)
    assert found.slope.sem == pytest.approx(0.25)
    # Welch's: (.09 + .16)²/((.09² + .16²)/4).
    assert found.slope.degrees_of_freedom == pytest.approx(0.25**2 / ((0.09**2 + 0.16**2) / 4))
    assert np.isnan(found.p_value)
    assert found.on_a_line


def test_intervals_cover_the_slope_of_a_line_at_their_level() -> None:
    rng = np.random.default_rng(0)
    n, covered, given_up = 2000, 0, 0
    for _ in range(n):
        y = 0.3 - 0.7 * np.array(X) + SEM * rng.standard_normal(5)
        found = trend(X, estimates(y), level=0.9)
        low, high = found.slope.interval(0.9)
        covered += low <= -0.7 <= high
        given_up += not found.on_a_line
    error = (0.9 * 0.1 / n) ** 0.5
    assert abs(given_up / n - 0.1) < 5 * error
    # Where a line is given up by chance the interval is a wide one.
    assert 0.9 - 5 * error < covered / n < 0.9 + 0.1 * 0.1 + 5 * error


@pytest.mark.parametrize(
    ("x", "y", "sem", "sentence"),
    [
        ([1, 1], [0, 1], [0.1, 0.1], "make no line"),
        ([1], [0], [0.1], "make no line"),
        ([1, 2], [0, 1], [0.1, 0.0], "must be positive"),
        ([1, 2], [0, np.nan], [0.1, 0.1], "must be positive and the estimates finite"),
    ],
)
def test_what_makes_no_line_is_refused(x: list, y: list, sem: list, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        trend(x, estimates(np.array(y, float), np.array(sem)))
