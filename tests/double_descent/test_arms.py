import numpy as np
import pytest

from bayes_vs_sgd import Dataset, averaging, double_descent

RNG = np.random.default_rng(0)


def log_softmax(z: np.ndarray) -> np.ndarray:
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


TEST, TRAIN = (log_softmax(2 * RNG.normal(size=(4, 5, n, 3))) for n in (12, 7))
DATASET = Dataset(
    np.zeros((7, 1)), RNG.integers(0, 3, 7), np.zeros((12, 1)), RNG.integers(0, 3, 12), n_classes=3
)


def nll(log_probs: np.ndarray) -> np.ndarray:
    return -log_probs[..., np.arange(12), DATASET.y_test]


def test_one_member_is_expected_to_lose_the_mean_of_the_losses() -> None:
    found = double_descent.Arm(averaged=False).losses(TEST, TRAIN, DATASET)
    np.testing.assert_allclose(found["nll"], nll(TEST).mean(1), rtol=1e-6)
    np.testing.assert_allclose(found["nll_estimate"], nll(TEST).mean((0, 1)), rtol=1e-6)


def test_an_ensemble_loses_what_its_average_loses() -> None:
    found = double_descent.Arm(averaged=True).losses(TEST, TRAIN, DATASET)
    each = np.stack([nll(averaging.bma(one[None])) for one in TEST])
    np.testing.assert_allclose(found["nll"], each, rtol=1e-6)
    np.testing.assert_allclose(found["nll_estimate"], each.mean(0), rtol=1e-6)


def test_a_bma_pools_its_chains() -> None:
    found = double_descent.Arm(averaged=True, pooled=True).losses(TEST, TRAIN, DATASET)
    pooled = averaging.bma(TEST)
    np.testing.assert_allclose(found["nll_estimate"], nll(pooled), rtol=1e-6)
    assert float(found["ece_estimate"]) == pytest.approx(
        float(averaging.ece(pooled, DATASET.y_test))
    )
    train = averaging.bma(TRAIN).argmax(-1) != DATASET.y_train
    assert float(found["train_error_estimate"]) == pytest.approx(train.mean())
    assert found["nll"].mean() >= found["nll_estimate"].mean()


def sweep(unconverged: tuple[str, ...] = ()) -> double_descent.Sweep:
    """Five arms over five widths; only SGD rises again."""
    heights = {"sgd": (1, 0.5, 2, 1, 0.3)} | dict.fromkeys(
        ("deep_ensemble", "map", "draw", "bma"), (1, 0.5, 0.4, 0.35, 0.3)
    )
    rng = np.random.default_rng(1)
    arms = {}
    for arm, curve in heights.items():
        row = []
        for height in curve:
            test = np.log(np.exp(-height) * np.ones((4, 1, 12, 3)))
            one = double_descent.Arm(averaged=False).losses(test, TRAIN[:, :1], DATASET)
            noise = 0.001 * rng.normal(size=(4, 12))
            row.append(one.assign(nll=one["nll"] + noise))
        arms[arm] = [row]
    return double_descent.Sweep.of([1, 2, 4, 8, 16], arms, unconverged)


def test_the_verdict_has_every_arm_and_metric() -> None:
    verdict = sweep().verdict({"error": 0.02, "nll": 0.1})
    assert verdict["converged"] is True
    assert set(verdict["arms"]) == set(double_descent.ARMS)
    assert verdict["arms"]["sgd"]["nll"]["verdict"] == "present"
    assert verdict["arms"]["bma"]["nll"]["verdict"] == "absent"
    assert verdict["arms"]["sgd"]["nll"]["height"] == pytest.approx(1.5, abs=0.01)
    lower, upper = verdict["arms"]["bma"]["nll"]["lower_than_sgd"]["interval"]
    assert lower < 1.5 < upper


def test_the_statement_attributes_only_what_the_arms_show() -> None:
    said = sweep().verdict({"nll": 0.1})["statement"]
    assert "averaging is not needed" in said
    assert "no posterior spread is needed" in said


def test_unconverged_cells_are_named_first() -> None:
    verdict = sweep(("hmc-w2-s0",)).verdict({"nll": 0.1})
    assert verdict["converged"] is False
    assert verdict["statement"].startswith("Not converged: hmc-w2-s0")
    assert verdict["arms"]["bma"]["nll"]["statement"].startswith("On draws that have not converged")
    assert not verdict["arms"]["sgd"]["nll"]["statement"].startswith("On draws")


def test_the_table_has_a_standard_error_for_every_number() -> None:
    table = sweep().table()
    assert len(table) == 5 * 5 * 4
    assert table["sem"].notna().all()
    assert (table["lower"] <= table["value"]).all()
