"""The closed form of a quadratic loss, its limits, and its expansion in the step size."""

import numpy as np
import pytest

from bayes_vs_sgd.functions.learning_coefficient import (
    quadratic_learning_coefficient,
    step_size_bias,
)

H = np.array([0.0, 0.2, 1.0, 5.0])


def test_it_tends_to_half_the_number_of_curved_directions() -> None:
    found = quadratic_learning_coefficient(H, n_beta=1e9, localization=1.0)
    assert found == pytest.approx(1.5, abs=1e-7)
    assert quadratic_learning_coefficient(H, n_beta=7.0, localization=0.0) == 1.5


def test_it_is_the_mean_of_the_loss_under_the_law_of_the_chain() -> None:
    """½ nβ Σ h·E w², E w² the variance of w ← (1 − εa/2)·w + √ε·ξ by its recursion."""
    n_beta, gamma, step = 30.0, 2.0, 0.01
    for epsilon in (step, 1e-9):
        a = n_beta * H + gamma
        variance = epsilon / (1 - (1 - epsilon * a / 2) ** 2)
        found = quadratic_learning_coefficient(
            H, n_beta=n_beta, localization=gamma, step_size=epsilon
        )
        assert found == pytest.approx(0.5 * n_beta * (H * variance).sum(), rel=1e-6)


@pytest.mark.parametrize("localization", [0.0, 3.0])
def test_the_bias_is_its_slope_in_the_step_size(localization: float) -> None:
    settings = {"n_beta": 10.0, "localization": localization}
    base = quadratic_learning_coefficient(H, **settings)
    for step, tolerance in ((1e-3, 2e-2), (1e-5, 2e-4)):
        gain = quadratic_learning_coefficient(H, **settings, step_size=step) - base
        assert gain == pytest.approx(
            step_size_bias(H.sum(), n_beta=10.0, step_size=step), rel=tolerance
        )


def test_a_step_that_diverges_is_refused() -> None:
    with pytest.raises(ValueError, match=r"step_size=0.1 diverges: it must be below 0.08"):
        quadratic_learning_coefficient(H, n_beta=10.0, localization=0.0, step_size=0.1)
    with pytest.raises(ValueError, match="n_beta=0"):
        quadratic_learning_coefficient(H, n_beta=0, localization=0.0)
