import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

from bayes_vs_sgd import averaging, double_descent
from bayes_vs_sgd.double_descent import Arm, ClassMembers, RealMembers

RNG = np.random.default_rng(0)


def log_softmax(z: np.ndarray) -> np.ndarray:
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


LOG_PROBS, TRAIN_LOG_PROBS = (log_softmax(2 * RNG.normal(size=(4, 5, n, 3))) for n in (12, 7))
Y, Y_NOISY, Y_TRAIN = RNG.integers(0, 3, 12), RNG.integers(0, 3, 12), RNG.integers(0, 3, 7)
TEST, TRAIN = ClassMembers(LOG_PROBS, Y, Y_NOISY), ClassMembers(TRAIN_LOG_PROBS, Y_TRAIN)

MEANS, STDS = RNG.normal(size=(4, 5, 12, 2)), RNG.uniform(0.5, 2, (4, 5))
TARGETS = RNG.normal(size=(12, 2))
REAL = RealMembers.of(MEANS, STDS, TARGETS)


def nll(log_probs: np.ndarray, y: np.ndarray = Y) -> np.ndarray:
    return -log_probs[..., np.arange(12), y]


def test_one_member_is_expected_to_lose_the_mean_of_the_losses() -> None:
    found = Arm(averaged=False).losses(TEST, TRAIN)
    np.testing.assert_allclose(found["nll"], nll(LOG_PROBS).mean(1), rtol=1e-6)
    np.testing.assert_allclose(found["nll_estimate"], nll(LOG_PROBS).mean((0, 1)), rtol=1e-6)


def test_an_ensemble_loses_what_its_average_loses() -> None:
    found = Arm(averaged=True).losses(TEST, TRAIN)
    each = np.stack([nll(averaging.bma(one[None])) for one in LOG_PROBS])
    np.testing.assert_allclose(found["nll"], each, rtol=1e-6)
    np.testing.assert_allclose(found["nll_estimate"], each.mean(0), rtol=1e-6)


def test_a_bma_pools_its_chains() -> None:
    found = Arm(averaged=True, pooled=True).losses(TEST, TRAIN)
    pooled = averaging.bma(LOG_PROBS)
    np.testing.assert_allclose(found["nll_estimate"], nll(pooled), rtol=1e-6)
    train = averaging.bma(TRAIN_LOG_PROBS).argmax(-1) != Y_TRAIN
    assert float(found["train_error_estimate"]) == pytest.approx(train.mean())
    assert found["nll"].mean() >= found["nll_estimate"].mean()


@pytest.mark.parametrize(("averaged", "pooled"), [(False, False), (True, False), (True, True)])
def test_the_parts_of_the_calibration_error_add_up_to_it(averaged: bool, pooled: bool) -> None:
    found = Arm(averaged=averaged, pooled=pooled).losses(TEST, TRAIN)
    if not averaged:
        each = averaging.ece(LOG_PROBS, Y).mean(axis=1)
    else:
        each = np.array([averaging.ece(averaging.bma(one[None]), Y) for one in LOG_PROBS])
    whole = averaging.ece(averaging.bma(LOG_PROBS), Y) if pooled else each.mean()
    np.testing.assert_allclose(found["ece"].mean("test_point"), each, atol=1e-6)
    assert float(found["ece_estimate"].mean()) == pytest.approx(float(whole), abs=1e-6)


def test_losses_on_noisy_labels_stand_beside_those_on_clean_ones() -> None:
    found = Arm().losses(TEST, TRAIN)
    np.testing.assert_allclose(found["nll_noisy"], nll(LOG_PROBS, Y_NOISY).mean(1), rtol=1e-6)
    assert "nll_noisy" not in Arm().losses(ClassMembers(LOG_PROBS, Y), TRAIN)


def test_a_member_of_a_regression_loses_its_own_density() -> None:
    found = Arm().losses(REAL, REAL)
    density = stats.norm.logpdf(TARGETS, MEANS, STDS[:, :, None, None]).sum(-1)
    np.testing.assert_allclose(found["nll"], -density.mean(1), rtol=1e-5)
    squares = ((MEANS - TARGETS) ** 2).sum(-1)
    np.testing.assert_allclose(found["mse"], squares.mean(1), rtol=1e-5)
    assert float(found["train_mse_estimate"]) == pytest.approx(squares.mean(), rel=1e-5)


def test_the_average_of_a_regression_is_the_mixture_of_its_members() -> None:
    density = stats.norm.logpdf(TARGETS, MEANS, STDS[:, :, None, None]).sum(-1)
    found = Arm(averaged=True, pooled=True).losses(REAL, REAL)
    mixture = logsumexp(density, axis=(0, 1)) - np.log(20)
    np.testing.assert_allclose(found["nll_estimate"], -mixture, rtol=1e-5)
    squares = ((MEANS.mean((0, 1)) - TARGETS) ** 2).sum(-1)
    np.testing.assert_allclose(found["mse_estimate"], squares, rtol=1e-5)
    by_chain = logsumexp(density, axis=1) - np.log(5)
    np.testing.assert_allclose(found["nll"], -by_chain, rtol=1e-5)


def test_one_noise_level_serves_all_members() -> None:
    one = RealMembers.of(MEANS, 0.7, TARGETS).losses()["nll"]
    np.testing.assert_allclose(one, -stats.norm.logpdf(TARGETS, MEANS, 0.7).sum(-1), rtol=1e-10)


def test_a_variant_has_the_name_of_its_arm_and_of_what_is_varied() -> None:
    name = double_descent.variant("bma", "T", 0.01)
    assert name == "bma@T0.01"
    assert double_descent.split_variant(name) == ("bma", "T", 0.01)
    assert double_descent.split_variant("bma")[:2] == ("bma", None)
    assert double_descent.arm(name).label == "BMA, T = 0.01"
    assert double_descent.arm(name).pooled
    assert double_descent.arm("map@prior4").label == "MAP, prior × 4"
    assert double_descent.split_variant(double_descent.variant("bma", "T", 1e-5)) == (
        "bma",
        "T",
        1e-5,
    )
