import numpy as np
import pytest

from bayes_vs_sgd import Dataset, Draws, Estimate

X, Y = np.zeros((4, 2), np.float32), np.array([0, 1, 2, 1])


def test_nan_in_the_inputs_is_refused_with_their_number() -> None:
    bad = X.copy()
    bad[1, 0] = np.nan
    with pytest.raises(ValueError, match="x_train holds 1 values that are NaN"):
        Dataset(bad, Y, X, Y, n_classes=3)


def test_labels_outside_the_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="outside the classes 0…1"):
        Dataset(X, Y, X, Y, n_classes=2)


def test_labels_that_are_no_integers_are_refused() -> None:
    with pytest.raises(ValueError, match="must be integers"):
        Dataset(X, Y.astype(float), X, Y.astype(float), n_classes=3)


@pytest.mark.parametrize("rows", [0, 3])
def test_rows_unequal_in_number_or_absent_are_refused(rows: int) -> None:
    with pytest.raises(ValueError, match=r"x_train has"):
        Dataset(X[:rows], Y, X, Y, n_classes=3)


def test_draws_count_chains_and_draws_of_any_nest() -> None:
    draws = Draws({"a": {"b": np.zeros((3, 7, 2))}})
    assert (draws.n_chains, draws.n_draws) == (3, 7)


def test_an_estimate_prints_its_error() -> None:
    assert str(Estimate(0.12345, 0.01)) == "0.1235 ± 0.01"
    assert str(Estimate(np.array([1, 2]), np.array([0, 1]))) == "[1 2] ± [0 1]"
