from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr
from scipy import stats
from sklearn.metrics import brier_score_loss, log_loss

from bayes_vs_sgd import Draws, Network, averaging, likelihoods

RNG = np.random.default_rng(0)


def log_softmax(z: np.ndarray) -> np.ndarray:
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


LOG_PROBS = log_softmax(2 * RNG.normal(size=(3, 5, 40, 4)))
Y = RNG.integers(0, 4, 40)
# Rows of six tokens, the ends of which are padding.
TOKEN_LOG_PROBS = log_softmax(2 * RNG.normal(size=(3, 5, 20, 6, 4)))
TOKENS = np.where(np.arange(6) < RNG.integers(1, 7, (20, 1)), RNG.integers(1, 4, (20, 6)), 0)
TARGETS = RNG.normal(size=(9, 2))


def regression(n_outputs: int = 2) -> tuple[Network, dict[str, np.ndarray], np.ndarray]:
    """A network, parameters with the axes (chain, draw) and inputs."""
    network = Network(torch.nn.Linear(3, n_outputs), np.zeros((1, 3), np.float32))
    params = {n: RNG.normal(size=(4, 3, *s)).astype(np.float32) for n, s in network.shapes.items()}
    return network, params, RNG.normal(size=(9, 3)).astype(np.float32)


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


def test_losses_of_a_row_of_tokens_are_means_over_those_that_are_not_padding() -> None:
    found = averaging.pointwise(TOKEN_LOG_PROBS, TOKENS)
    for i, row in enumerate(TOKENS):
        length = int((row > 0).sum())
        each = averaging.pointwise(TOKEN_LOG_PROBS[..., i, :length, :], row[:length])
        for name, losses in each.items():
            np.testing.assert_allclose(found[name][..., i], losses.mean(-1), rtol=1e-12)


def test_metrics_of_tokens_without_padding_are_those_of_as_many_classes() -> None:
    found = averaging.metrics(TOKEN_LOG_PROBS, TOKENS, pad=None)
    flat = averaging.metrics(TOKEN_LOG_PROBS.reshape(3, 5, 120, 4), TOKENS.reshape(-1))
    for name, estimate in flat.items():
        np.testing.assert_allclose(found[name].value, estimate.value, rtol=1e-12)
    rows = averaging.pointwise(TOKEN_LOG_PROBS, TOKENS, None)["nll"]
    np.testing.assert_allclose(found["nll"].sem, rows.std(-1, ddof=1) / 20**0.5, rtol=1e-12)


def test_the_calibration_of_tokens_is_that_of_all_that_are_not_padding() -> None:
    counted = TOKENS > 0
    expected = averaging.ece(TOKEN_LOG_PROBS[..., counted, :], TOKENS[counted])
    np.testing.assert_allclose(averaging.ece(TOKEN_LOG_PROBS, TOKENS), expected, rtol=1e-12)


def test_the_bootstrap_of_the_calibration_takes_whole_rows_of_tokens() -> None:
    one = TOKEN_LOG_PROBS[0, 0]
    rows = np.random.default_rng(0).integers(0, 20, (200, 20))
    again = [averaging.ece(one[r], TOKENS[r]) for r in rows]
    found = averaging.metrics(one, TOKENS)["ece"].sem
    np.testing.assert_allclose(found, np.std(again, ddof=1), rtol=1e-12)


def test_what_is_predicted_of_padding_changes_no_metric() -> None:
    changed = TOKEN_LOG_PROBS.copy()
    changed[..., TOKENS == 0, :] = [-np.inf, 0, -np.inf, -np.inf]
    expected = averaging.metrics(TOKEN_LOG_PROBS, TOKENS)
    for name, estimate in averaging.metrics(changed, TOKENS).items():
        np.testing.assert_array_equal(estimate.value, expected[name].value)
        np.testing.assert_array_equal(estimate.sem, expected[name].sem)


@pytest.mark.parametrize(
    ("log_probs", "y", "pad"),
    [(LOG_PROBS, Y, 0), (TOKEN_LOG_PROBS, TOKENS, 0), (TOKEN_LOG_PROBS, TOKENS, None)],
)
def test_the_parts_of_the_rows_in_the_calibration_error_have_it_as_their_mean(
    log_probs: np.ndarray, y: np.ndarray, pad: int | None
) -> None:
    parts = averaging.calibration_gap(log_probs, y, pad)
    assert parts.shape == (3, 5, len(y))
    np.testing.assert_allclose(parts.mean(-1), averaging.ece(log_probs, y, pad), rtol=1e-10)


def test_tokens_are_averaged_position_by_position() -> None:
    probs = np.exp(TOKEN_LOG_PROBS)
    found = averaging.bma(TOKEN_LOG_PROBS)
    np.testing.assert_allclose(np.exp(found), probs.mean((0, 1)), rtol=1e-12)
    [group] = averaging.ensembles(TOKEN_LOG_PROBS, 2)
    np.testing.assert_allclose(np.exp(group), probs[:2, -1].mean(0), rtol=1e-12)


def test_a_member_that_predicts_nan_of_one_row_of_tokens_is_left_out_everywhere() -> None:
    members = TOKEN_LOG_PROBS.copy()
    members[1, 2, 7, 0] = np.nan
    with pytest.warns(averaging.LeftOutWarning, match="1 of 15 members"):
        found = averaging.bma(members)
    kept = np.delete(TOKEN_LOG_PROBS.reshape(15, 20, 6, 4), 5 + 2, axis=0)
    np.testing.assert_allclose(np.exp(found), np.exp(kept).mean(0), rtol=1e-12)


def test_tokens_that_cannot_be_judged_are_refused() -> None:
    empty = TOKENS.copy()
    empty[3] = 0
    with pytest.raises(ValueError, match="1 rows of y, the first of them row 3, hold pad=0 alone"):
        averaging.metrics(TOKEN_LOG_PROBS, empty)
    with pytest.raises(ValueError, match=r"y has \(20, 5\)"):
        averaging.pointwise(TOKEN_LOG_PROBS, TOKENS[:, :5])
    with pytest.raises(ValueError, match=r"y has \(20,\)"):
        averaging.ece(TOKEN_LOG_PROBS, TOKENS[:, 0])


def test_the_average_of_regressions_is_the_mixture_of_their_densities() -> None:
    network, params, x = regression()
    members = averaging.regression(network, Draws(params), x, TARGETS, likelihoods.Gaussian(0.7))
    means = x @ params["weight"].swapaxes(-1, -2) + params["bias"][:, :, None]
    np.testing.assert_allclose(members.mean, means, rtol=1e-5, atol=1e-5)
    densities = stats.norm.pdf(TARGETS, means, 0.7).prod(-1)
    np.testing.assert_allclose(members.log_density, np.log(densities), rtol=1e-4)
    average = members.bma()
    np.testing.assert_allclose(average.mean, means.mean((0, 1)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(average.log_density, np.log(densities.mean((0, 1))), rtol=1e-4)
    groups = members.ensembles(2)
    assert (groups.mean.shape, groups.log_density.shape) == ((2, 9, 2), (2, 9))
    np.testing.assert_allclose(groups.log_density[1], np.log(densities[2:, -1].mean(0)), rtol=1e-4)


def test_the_squared_error_of_an_average_is_that_of_its_members_less_their_variance() -> None:
    network, params, x = regression()
    members = averaging.regression(network, Draws(params), x, TARGETS)
    spread = members.mean.astype(np.float64).var(axis=(0, 1)).sum(-1)
    expected = members.pointwise()["mse"].mean((0, 1)) - spread
    np.testing.assert_allclose(members.bma().pointwise()["mse"], expected, rtol=1e-6)


def test_every_draw_has_its_own_noise_level_where_that_is_sampled() -> None:
    network, params, x = regression(1)
    y, log_std = TARGETS[:, 0], RNG.normal(size=(4, 3)).astype(np.float32)
    draws, sampled = Draws({**params, "log_noise_std": log_std}), likelihoods.HalfNormal(1.0)
    found = averaging.regression(network, draws, x, y, likelihoods.Gaussian(sampled))
    assert found.mean.shape == (4, 3, 9, 1)
    expected = stats.norm.logpdf(y, found.mean[..., 0], np.exp(log_std)[..., None])
    np.testing.assert_allclose(found.log_density, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(
        averaging.predict(network, draws, x, likelihoods.Gaussian(sampled)), found.mean
    )
    with pytest.raises(ValueError, match="the draws hold no 'log_noise_std'"):
        averaging.regression(network, Draws(params), x, y, likelihoods.Gaussian(sampled))


def test_regressions_are_judged_by_squared_error_and_nats() -> None:
    mean, log_density = np.array([[1.0, 2.0], [0.0, 0.0]]), np.array([-1.0, -3.0])
    found = averaging.Regression(mean, log_density, np.array([[1.0, 0.0], [3.0, 4.0]]))
    assert found.pointwise()["mse"].tolist() == [4, 25]
    assert found.pointwise()["nll"].tolist() == [1, 3]
    assert str(found.metrics()["mse"]) == "14.5 ± 10"
    assert str(found.metrics()["nll"]) == "2 ± 1"


def test_regressions_that_are_not_finite_are_left_out_of_averages() -> None:
    network, params, x = regression()
    members = averaging.regression(network, Draws(params), x, TARGETS)
    mean, log_density = members.mean.copy(), members.log_density.copy()
    mean[0, 0, 3, 1] = np.inf
    log_density[2, 1, 4] = np.nan
    with pytest.warns(averaging.LeftOutWarning, match="2 of 12 members predict values that are"):
        average = averaging.Regression(mean, log_density, TARGETS).bma()
    kept = np.ones((4, 3), dtype=bool)
    kept[0, 0] = kept[2, 1] = False
    np.testing.assert_allclose(average.mean, members.mean[kept].mean(0), rtol=1e-5, atol=1e-6)
    expected = np.log(np.exp(members.log_density[kept].astype(np.float64)).mean(0))
    np.testing.assert_allclose(average.log_density, expected, rtol=1e-5)


def test_densities_too_small_for_a_float_are_averaged() -> None:
    tiny = averaging.Regression(
        np.zeros((2, 1, 1, 1)), np.full((2, 1, 1), -2000.0), np.zeros((1, 1))
    )
    assert tiny.bma().log_density.tolist() == [-2000]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda n, p, x: averaging.regression(n, p, x, TARGETS[:, :1]), "y has shape"),
        (lambda n, p, x: averaging.regression(n, p, x, TARGETS[:8]), "y has shape"),
        (
            lambda n, p, x: averaging.regression(n, p, x, TARGETS).ensembles(5),
            "size=5 exceeds the 4 chains",
        ),
        (
            lambda n, p, x: averaging.Regression(np.zeros((2, 9, 1)), np.zeros((2, 9)), TARGETS),
            "mean has shape",
        ),
    ],
)  # fmt: skip
def test_regressions_that_are_not_possible_are_refused(make: Callable, message: str) -> None:
    network, params, x = regression()
    with pytest.raises(ValueError, match=message):
        make(network, Draws(params), x)


def test_predictions_do_not_depend_on_the_pieces_that_rows_come_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = Network(torch.nn.Linear(3, 2), np.zeros((1, 3), np.float32))
    rng = np.random.default_rng(0)
    draws = Draws(
        {n: rng.normal(size=(2, 3, *s)).astype(np.float32) for n, s in network.shapes.items()}
    )
    x, y = rng.normal(size=(11, 3)).astype(np.float32), rng.normal(size=(11, 2))
    whole = averaging.predict(network, draws, x)
    means = averaging.regression(network, draws, x, y)
    # Four rows at a time, and three at the end.
    monkeypatch.setattr(averaging, "_ACTIVATIONS", 2 * averaging._ROOM * 12 * 4)
    np.testing.assert_allclose(averaging.predict(network, draws, x), whole, rtol=1e-5)
    again = averaging.regression(network, draws, x, y)
    np.testing.assert_allclose(again.mean, means.mean, rtol=1e-5)
    np.testing.assert_allclose(again.log_density, means.log_density, rtol=1e-5)
