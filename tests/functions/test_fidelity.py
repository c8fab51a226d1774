import numpy as np
import pytest

from bayes_vs_sgd import functions

P = np.log([[0.6, 0.4], [0.9, 0.1], [0.3, 0.7]])
Q = np.log([[0.5, 0.5], [0.2, 0.8], [0.3, 0.7]])


def test_equal_predictions_agree_and_have_no_distance() -> None:
    assert functions.agreement(P, P).value == 1
    assert functions.total_variation(P, P).value == 0


def test_agreement_and_total_variation_are_means_over_rows() -> None:
    assert functions.agreement(P, Q).value == pytest.approx(2 / 3)
    assert functions.total_variation(P, Q).value == pytest.approx((0.1 + 0.7 + 0) / 3)
    assert functions.total_variation(P, Q).sem == pytest.approx(
        np.std([0.1, 0.7, 0], ddof=1) / 3**0.5
    )


def test_members_are_averaged_over() -> None:
    both = np.stack([P, Q])
    assert functions.agreement(both, P).value == pytest.approx((1 + 2 / 3) / 2)
