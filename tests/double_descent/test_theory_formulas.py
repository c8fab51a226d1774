"""The exact risks against one another, against known numbers, and against simulation."""

import math

import numpy as np
import pytest
from scipy.special import comb

from bayes_vs_sgd import data
from bayes_vs_sgd.double_descent import theory
from tests.conftest import within

EPOCHWISE = {
    "scales": (1.0, 0.15),
    "coefficients": (0.45, 3.0),
    "noise_std": 1.0,
    "n": 10,
    "lr": 0.1,
}


def test_the_risk_of_minimum_norm_is_infinite_around_the_threshold_alone() -> None:
    risks = [theory.minimum_norm_risk(p, 30, 80) for p in range(81)]
    assert [p for p, risk in enumerate(risks) if math.isinf(risk)] == [29, 30, 31]


def test_no_feature_leaves_signal_and_noise() -> None:
    assert theory.minimum_norm_risk(0, 30, 80, signal=2.0, noise_std=0.5) == pytest.approx(4.25)
    assert theory.minimum_norm_train_loss(0, 30, 80, signal=2.0) == pytest.approx(4.25)


def test_misspecification_alone_gives_the_second_descent() -> None:
    """Without noise the whole model has no more than (1 − n/D) of the signal to lose."""
    risk = {p: theory.minimum_norm_risk(p, 40, 100, noise_std=0.0) for p in (30, 38, 42, 100)}
    assert risk[38] > risk[30]
    assert risk[42] > 1 > risk[100]
    assert risk[100] == pytest.approx(1 - 40 / 100)


@pytest.mark.parametrize("p", [5, 20, 28, 32, 50, 80])
def test_minimum_norm_has_the_risk_and_the_training_loss_of_the_theorem(p: int) -> None:
    """By NumPy alone; the tails are heavy at 28 and 32, so the error there is wide."""
    risks, losses = [], []
    for seed in range(300):
        found = data.isotropic(30, n_features=80, n_test=1, seed=seed)
        x = found.x_train[:, :p].astype(float)
        weights = np.linalg.pinv(x) @ found.y_train
        risks.append(data.isotropic_risk(weights, n_features=80))
        losses.append(((found.y_train - x @ weights) ** 2).mean())
    within(np.mean(risks), theory.minimum_norm_risk(p, 30, 80), np.std(risks) / 300**0.5)
    exact = theory.minimum_norm_train_loss(p, 30, 80)
    within(np.mean(losses), exact, np.std(losses) / 300**0.5 + 1e-12)


@pytest.mark.parametrize("gamma", [0.3, 0.9, 1.1, 4.0])
def test_finite_samples_tend_to_the_ridgeless_limit(gamma: float) -> None:
    limit = theory.ridgeless_excess_risk(gamma, signal=1.3, noise_std=0.7)
    gaps = [
        abs(theory.minimum_norm_risk(p, n, p, signal=1.3, noise_std=0.7) - 0.49 - limit)
        for n in (1000, 10_000)
        for p in [round(gamma * n)]
    ]
    assert gaps[1] < 0.11 * gaps[0]


@pytest.mark.parametrize("gamma", [0.3, 0.9, 1.1, 4.0])
def test_ridge_tends_to_ridgeless_as_the_penalty_vanishes(gamma: float) -> None:
    found = theory.ridge_excess_risk(gamma, penalty=1e-7, signal=1.3, noise_std=0.7)
    assert found == pytest.approx(
        theory.ridgeless_excess_risk(gamma, signal=1.3, noise_std=0.7), rel=1e-4
    )


def test_a_large_penalty_leaves_the_whole_signal() -> None:
    assert theory.ridge_excess_risk(2.0, penalty=1e6, signal=1.3) == pytest.approx(1.69, rel=1e-4)


@pytest.mark.parametrize("gamma", [0.2, 1.0, 3.0])
@pytest.mark.parametrize("penalty", [0.01, 1.0])
def test_the_transform_has_its_formula_and_its_slope(gamma: float, penalty: float) -> None:
    m, slope = theory.stieltjes(gamma, penalty)
    q = 1 - gamma + penalty
    assert m == pytest.approx(
        (-q + math.sqrt(q**2 + 4 * gamma * penalty)) / (2 * gamma * penalty), rel=1e-9
    )
    h = 1e-5 * penalty
    difference = theory.stieltjes(gamma, penalty + h)[0] - theory.stieltjes(gamma, penalty - h)[0]
    assert slope == pytest.approx(-difference / (2 * h), rel=1e-6)


@pytest.mark.parametrize("gamma", [0.3, 1.0, 4.0])
def test_the_transform_is_the_mean_inverse_of_a_large_matrix(gamma: float) -> None:
    n = 300
    x = np.random.default_rng(0).normal(size=(n, round(gamma * n)))
    values = 1 / (np.linalg.svd(x, compute_uv=False) ** 2 / n + 0.5)
    n_zero = max(0, x.shape[1] - n)
    for power, exact in zip((1, 2), theory.stieltjes(gamma, 0.5), strict=True):
        mean = ((values**power).sum() + n_zero * 0.5**-power) / x.shape[1]
        # Linear statistics of the spectrum vary by 1/n, not 1/√n.
        assert mean == pytest.approx(exact, abs=10 / n)


@pytest.mark.parametrize("gamma", [0.2, 0.9, 1.0, 3.0])
def test_no_penalty_is_better_than_that_of_the_true_prior(gamma: float) -> None:
    scale = {"signal": 1.3, "noise_std": 0.7}
    best = theory.optimal_penalty(gamma, **scale)
    lowest = theory.ridge_excess_risk(gamma, penalty=best, **scale)
    assert lowest == pytest.approx(0.49 * gamma * theory.stieltjes(gamma, best)[0], rel=1e-9)
    for factor in (0.8, 0.99, 1.01, 1.25):
        assert theory.ridge_excess_risk(gamma, penalty=factor * best, **scale) > lowest


@pytest.mark.parametrize(
    ("signal_to_noise", "least"), [(1, 0.205), (4, 0.147), (16, 0.127), (100, 0.117)]
)
def test_a_prior_several_times_too_wide_brings_the_peak_back(
    signal_to_noise: float, least: float
) -> None:
    """The ridge risk is monotone in γ iff λ/λ* is at least the known number, given to three digits."""
    scale = {"signal": signal_to_noise**0.5, "noise_std": 1.0}

    def monotone(ratio: float) -> bool:
        gammas = np.exp(np.linspace(np.log(0.3), np.log(4), 1500))
        risks = [
            theory.ridge_excess_risk(g, penalty=ratio * theory.optimal_penalty(g, **scale), **scale)
            for g in gammas
        ]
        return bool((np.diff(risks) >= 0).all())

    assert monotone(least + 0.001)
    assert monotone(1.0)
    assert not monotone(least - 0.001)


def test_the_risk_along_epochs_has_the_known_minima_maximum_and_limit() -> None:
    risks = np.array([theory.gradient_descent_excess_risk(k, **EPOCHWISE) for k in range(3000)])
    slopes = np.sign(np.diff(risks))
    turns = [int(k) + 1 for k in np.flatnonzero(slopes[1:] != slopes[:-1])]
    # By then the first direction is learnt; the second has left b/(a + b) of a = 0.2025, b = 0.1.
    second = math.log(0.1 / 0.3025) / math.log(1 - 0.1 * 0.15**2)
    assert turns == [12, 30, round(second)]
    np.testing.assert_allclose(risks[[12, 30, 486]], [0.2596, 0.2694, 0.1669], atol=5e-5)
    np.testing.assert_allclose(risks[486], risks[turns[-1]], atol=5e-5)
    late = theory.gradient_descent_excess_risk(10**6, **EPOCHWISE)
    assert late == pytest.approx(0.2, abs=1e-12)


def test_no_step_leaves_the_whole_signal_of_the_design() -> None:
    start = theory.gradient_descent_excess_risk(0, **EPOCHWISE)
    assert start == pytest.approx(0.45**2 + (0.15 * 3) ** 2)


@pytest.mark.parametrize("n_steps", [12, 30, 486])
def test_descent_on_orthogonal_data_has_the_risk_of_the_formula(n_steps: int) -> None:
    risks = []
    for seed in range(400):
        found = data.orthogonal(10, scales=(1.0, 0.15), coefficients=(0.45, 3.0), seed=seed)
        x, weights = found.x_train.astype(float), np.zeros(2)
        for _ in range(n_steps):
            weights += 0.1 * x.T @ (found.y_train - x @ weights) / 10
        risks.append(((found.y_test - found.x_test @ weights) ** 2).mean())
    exact = theory.gradient_descent_excess_risk(n_steps, **EPOCHWISE)
    within(np.mean(risks), exact, np.std(risks) / 400**0.5)


@pytest.mark.parametrize(("n", "p"), [(10, 3), (40, 20), (7, 7), (1, 1)])
def test_separability_is_covers_sum(n: int, p: int) -> None:
    exact = 2.0 ** (1 - n) * sum(comb(n - 1, k, exact=True) for k in range(p))
    assert theory.separable_probability(n, p) == pytest.approx(exact, rel=1e-12)


def test_twice_as_many_points_as_dimensions_are_separable_every_other_time() -> None:
    assert theory.separable_probability(50, 25) == pytest.approx(0.5)
    assert theory.separable_probability(5000, 2400) < 0.01
    assert theory.separable_probability(5000, 2600) > 0.99


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.minimum_norm_risk(9, 5, 8), "p=9 exceeds the 8 features"),
        (lambda: theory.minimum_norm_risk(-1, 5, 8), "p=-1"),
        (lambda: theory.ridgeless_excess_risk(0.0), r"gamma=0.0"),
        (lambda: theory.ridge_excess_risk(1.0, penalty=0.0), r"penalty=0.0"),
        (lambda: theory.optimal_penalty(1.0, signal=0.0), r"signal=0.0"),
        (lambda: theory.separable_probability(0, 1), "n=0"),
        (
            lambda: theory.gradient_descent_excess_risk(
                1, scales=[1.0], coefficients=[1.0, 2.0], noise_std=1.0, n=5, lr=0.1
            ),
            "scales has 1 entries and coefficients 2",
        ),
    ],
)
def test_numbers_that_have_no_risk_are_refused(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]
