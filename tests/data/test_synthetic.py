import numpy as np
import pytest
from scipy.optimize import linprog

from bayes_vs_sgd import data
from bayes_vs_sgd.double_descent import theory
from tests.conftest import within


def test_isotropic_data_are_normal_rows_with_a_linear_target_and_noise() -> None:
    found = data.isotropic(20_000, n_features=4, n_test=10, signal=2.0, noise_std=0.3, seed=1)
    x, y = found.x_train.astype(float), found.y_train.astype(float)
    assert (found.x_train.dtype, found.y_train.dtype) == (np.float32, np.float32)
    assert (found.x_train.shape, found.y_train.shape, found.x_test.shape) == (
        (20_000, 4), (20_000,), (10, 4),
    )  # fmt: skip
    assert (found.n_classes, found.noisy) == (0, None)
    sem = np.where(np.eye(4, dtype=bool), 2**0.5, 1) / 20_000**0.5
    within(x.T @ x / 20_000, np.eye(4), sem)
    residuals = y - x @ data.isotropic_coefficients(4, 2.0)
    within(residuals.mean(), 0, 0.3 / 20_000**0.5)
    within(residuals.std(), 0.3, 0.3 / 40_000**0.5)


def test_the_target_is_the_same_at_every_seed_and_the_rows_are_not() -> None:
    one, again, other = (data.isotropic(5, n_features=3, noise_std=0.0, seed=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(one.x_train, again.x_train)
    assert not np.array_equal(one.x_train, other.x_train)
    for found in (one, other):
        expected = found.x_train @ np.full(3, 3**-0.5)
        np.testing.assert_allclose(found.y_train, expected, atol=1e-6)


def test_the_test_error_of_any_weights_is_the_isotropic_risk() -> None:
    found = data.isotropic(1, n_features=6, n_test=40_000, signal=1.5, noise_std=0.4, seed=2)
    weights = np.array([[0.3, -1.0, 0.7], [0.6, 0.6, 0.6]])
    losses = (found.y_test - weights @ found.x_test[:, :3].T) ** 2
    exact = data.isotropic_risk(weights, n_features=6, signal=1.5, noise_std=0.4)
    within(losses.mean(axis=1), exact, losses.std(axis=1) / 40_000**0.5)


def test_the_true_coefficients_have_the_noise_as_their_risk() -> None:
    truth = data.isotropic_coefficients(9, 1.7)
    assert np.linalg.norm(truth) == pytest.approx(1.7)
    risk = data.isotropic_risk(truth, n_features=9, signal=1.7, noise_std=0.4)
    assert risk == pytest.approx(0.16)


def test_an_orthogonal_design_has_the_scales_asked_for_in_both_parts() -> None:
    scales = np.array([1.0, 0.15, 3.0])
    found = data.orthogonal(10, scales=scales, coefficients=[1.0, 2.0, 3.0], n_test=7, seed=3)
    for x in (found.x_train, found.x_test):
        gram = x.astype(float).T @ x.astype(float) / len(x)
        np.testing.assert_allclose(gram, np.diag(scales**2), atol=1e-5)
    assert not np.allclose(found.x_train[:7], found.x_test)


def test_the_test_error_on_an_orthogonal_design_is_the_excess_risk() -> None:
    scales, truth = np.array([1.0, 0.15]), np.array([0.45, 3.0])
    found = data.orthogonal(10, scales=scales, coefficients=truth, seed=4)
    weights = np.array([0.2, -1.0])
    error = ((found.y_test - found.x_test @ weights) ** 2).mean()
    assert error == pytest.approx((scales**2 * (weights - truth) ** 2).sum(), rel=1e-5)


def test_random_labels_are_a_fair_coin() -> None:
    found = data.random_binary(20_000, n_features=3, seed=5)
    assert found.n_classes == 2
    within(found.y_train.mean(), 0.5, 0.5 / 20_000**0.5)
    products = found.x_train * (2 * found.y_train[:, None] - 1)
    within(products.mean(axis=0), np.zeros(3), np.full(3, 20_000**-0.5))


def separable(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether some w has a positive margin on every row."""
    signed = x * (2 * y[:, None] - 1)
    found = linprog(np.zeros(x.shape[1]), -signed, -np.ones(len(x)), bounds=(None, None))
    return found.status == 0


@pytest.mark.parametrize("p", [3, 5, 8])
def test_random_labels_are_separable_as_often_as_covers_theorem_says(p: int) -> None:
    hits = [
        separable(found.x_train, found.y_train)
        for found in (data.random_binary(10, n_features=p, n_test=1, seed=s) for s in range(300))
    ]
    exact = theory.separable_probability(10, p)
    within(np.mean(hits), exact, (exact * (1 - exact) / 300) ** 0.5)


def test_drawn_data_are_loaded_by_name() -> None:
    drawn = data.load("isotropic", n_train=20, n_test=5, seed=3)
    direct = data.isotropic(20, n_features=drawn.x_train.shape[1], n_test=5, seed=3)
    np.testing.assert_array_equal(drawn.y_train, direct.y_train)
    assert data.load("random_binary", n_train=20).n_classes == 2
    with pytest.raises(ValueError, match=r"label_noise=0.2 is not possible for isotropic"):
        data.load("isotropic", n_train=20, label_noise=0.2)


ISOTROPIC = {"n_train": 5, "n_features": 3}
ORTHOGONAL = {"n_train": 5, "scales": [1.0, 2.0], "coefficients": [1.0, 1.0]}


@pytest.mark.parametrize(
    ("draw", "arguments", "message"),
    [
        (data.isotropic, ISOTROPIC | {"n_train": 0}, "n_train=0"),
        (data.isotropic, ISOTROPIC | {"n_features": 0}, "n_features=0"),
        (data.isotropic, ISOTROPIC | {"n_test": 0}, "n_test=0"),
        (data.isotropic, ISOTROPIC | {"noise_std": -1.0}, "noise_std=-1.0"),
        (data.isotropic, ISOTROPIC | {"signal": np.nan}, "signal=nan"),
        (data.random_binary, ISOTROPIC | {"n_train": 0}, "n_train=0"),
        (data.orthogonal, ORTHOGONAL | {"n_train": 1}, "n_train=1 rows cannot hold 2"),
        (data.orthogonal, ORTHOGONAL | {"n_test": 1}, "n_test=1 rows cannot hold 2"),
        (data.orthogonal, ORTHOGONAL | {"scales": [1.0]}, "scales has 1 entries"),
        (data.orthogonal, ORTHOGONAL | {"scales": [1.0, 0.0]}, r"scales\[1\]=0.0"),
        (data.orthogonal, ORTHOGONAL | {"noise_std": -1.0}, "noise_std=-1.0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw: object, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw(**arguments)  # type: ignore[operator]


def test_more_weights_than_features_have_no_risk() -> None:
    with pytest.raises(ValueError, match="weights has 4 entries for n_features=3"):
        data.isotropic_risk(np.zeros(4), n_features=3)
