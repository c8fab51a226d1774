from pathlib import Path

import numpy as np
import pytest
import torch
import zarr
from sklearn.metrics import brier_score_loss, log_loss

from bayes_vs_sgd import Draws, Network, averaging

RNG = np.random.default_rng(0)


def log_softmax(z: np.ndarray) -> np.ndarray:
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


LOG_PROBS = log_softmax(2 * RNG.normal(size=(3, 5, 40, 4)))
Y = RNG.integers(0, 4, 40)


def test_bma_is_the_mean_probability() -> None:
    np.testing.assert_allclose(
        np.exp(averaging.bma(LOG_PROBS)), np.exp(LOG_PROBS).mean((0, 1)), rtol=1e-12
    )


def test_bma_survives_log_probabilities_of_minus_infinity() -> None:
    with np.errstate(divide="ignore"):
        certain = np.log(np.array([[1.0, 0.0]]))
    with np.errstate(divide="ignore"):
        assert np.exp(averaging.bma(certain[None, None])).tolist() == [[1.0, 0.0]]
    assert np.exp(averaging.bma(-1000 * np.ones((2, 2, 1, 3)))).max() == 0


def test_ensembles_are_disjoint_groups_of_last_draws() -> None:
    groups = averaging.ensembles(np.concatenate([LOG_PROBS, LOG_PROBS]), 2)
    assert groups.shape == (3, 40, 4)
    np.testing.assert_allclose(np.exp(groups[0]), np.exp(LOG_PROBS[:2, -1]).mean(0), rtol=1e-12)


def test_too_few_chains_for_an_ensemble_are_refused() -> None:
    with pytest.raises(ValueError, match="size=4 exceeds the 3 chains"):
        averaging.ensembles(LOG_PROBS, 4)


def test_metrics_are_those_of_scikit_learn() -> None:
    one = LOG_PROBS[0, 0]
    found = averaging.metrics(one, Y)
    assert found["nll"].value == pytest.approx(log_loss(Y, np.exp(one), labels=range(4)))
    assert found["error"].value == pytest.approx((one.argmax(-1) != Y).mean())
    brier = sum(brier_score_loss(c == Y, np.exp(one)[:, c]) for c in range(4))
    assert found["brier"].value == pytest.approx(brier)


def test_metrics_keep_leading_axes() -> None:
    found = averaging.metrics(LOG_PROBS, Y)
    assert {name: (e.value.shape, e.sem.shape) for name, e in found.items()} == dict.fromkeys(
        ("error", "nll", "brier", "ece"), ((3, 5), (3, 5))
    )


def test_ece_is_zero_for_a_calibrated_guess_and_the_gap_for_a_confident_one() -> None:
    y = np.array([0, 1] * 500)
    half = np.log(np.full((1000, 2), 0.5))
    assert averaging.ece(half, y) == pytest.approx(0)
    confident = np.log(np.tile([0.9, 0.1], (1000, 1)))
    assert averaging.ece(confident, y) == pytest.approx(0.4)


def test_the_standard_error_covers_as_often_as_it_should() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        y = (rng.random(100) < 0.3).astype(int)
        estimate = averaging.metrics(np.log(np.tile([0.7, 0.3], (100, 1))), y)["nll"]
        truth = -(0.7 * np.log(0.7) + 0.3 * np.log(0.3))
        covered += abs(estimate.value - truth) < 1.96 * estimate.sem
    assert abs(covered / 400 - 0.95) < 5 * (0.95 * 0.05 / 400) ** 0.5


def test_predictions_are_those_of_every_draw() -> None:
    network = Network(torch.nn.Linear(3, 4), np.zeros((1, 3), np.float32))
    params = {n: RNG.normal(size=(2, 6, *s)).astype(np.float32) for n, s in network.shapes.items()}
    x = RNG.normal(size=(7, 3)).astype(np.float32)
    found = averaging.predict(network, Draws(params), x)
    assert found.shape == (2, 6, 7, 4)
    one = {n: v[1, 4] for n, v in params.items()}
    expected = log_softmax(np.asarray(network.apply(one, x)))
    np.testing.assert_allclose(found[1, 4], expected, rtol=1e-4, atol=1e-5)


def test_draws_on_the_disk_are_predicted_piece_by_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Network(torch.nn.Linear(3, 4), np.zeros((1, 3), np.float32))
    params = {n: RNG.normal(size=(2, 7, *s)).astype(np.float32) for n, s in network.shapes.items()}
    stored = {n: zarr.create_array(tmp_path / n, data=v) for n, v in params.items()}
    x = RNG.normal(size=(5, 3)).astype(np.float32)
    whole = averaging.predict(network, Draws(params), x)
    monkeypatch.setattr(averaging, "_PIECE", 3 * sum(v[:, 0].nbytes for v in params.values()))
    np.testing.assert_allclose(averaging.predict(network, Draws(stored), x), whole, rtol=1e-6)


def test_members_that_predict_nan_are_left_out_with_a_warning() -> None:
    members = np.log(np.array([[[0.5, 0.5]], [[0.25, 0.75]], [[0.9, 0.1]]]))[:, None]
    members[2] = np.nan
    with pytest.warns(averaging.LeftOutWarning, match="1 of 3 members"):
        average = averaging.bma(members)
    np.testing.assert_allclose(np.exp(average), [[0.375, 0.625]])
    with pytest.warns(averaging.LeftOutWarning), pytest.raises(ValueError, match="all members"):
        averaging.bma(members[2:])
