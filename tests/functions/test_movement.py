"""How far parameters move."""

import numpy as np
import pytest

from bayes_vs_sgd.functions.movement import movement
from tests.conftest import within

RNG = np.random.default_rng(0)
START = {"w": RNG.normal(size=(5, 4, 3)), "b": RNG.normal(size=(5, 4))}


def test_a_change_of_known_size_has_it() -> None:
    """Scaled by 1 + c, a parameter moved by c in every norm."""
    end = {name: 1.25 * value for name, value in START.items()}
    for name, found in movement(START, end).items():
        assert found.frobenius.value == pytest.approx(0.25, rel=1e-12)
        assert found.spectral.value == pytest.approx(0.25, rel=1e-12)
        assert found.frobenius.sem == pytest.approx(0, abs=1e-12)
        size = np.sqrt((START[name] ** 2).mean(axis=tuple(range(1, START[name].ndim))))
        assert found.root_mean_square.value == pytest.approx(0.25 * size.mean(), rel=1e-12)
        assert found.n_chains == 5


def test_a_change_of_rank_one_moves_the_spectrum_more_than_the_entries() -> None:
    identity = {"w": np.eye(9)[None]}
    found = movement(identity, {"w": identity["w"] + 0.5 / 9})["w"]
    assert found.frobenius.value == pytest.approx(0.5 / 3, rel=1e-12)
    assert found.spectral.value == pytest.approx(0.5, rel=1e-12)
    assert np.isnan(found.frobenius.sem)


def test_filters_are_matrices_of_outputs_by_all_else() -> None:
    start, change = RNG.normal(size=(2, 4, 3, 2, 2)), RNG.normal(size=(2, 4, 3, 2, 2))
    found = movement({"w": start}, {"w": start + change})["w"].spectral.value
    flat = [np.linalg.norm(a[i].reshape(4, -1), 2) for i in range(2) for a in (change, start)]
    assert found == pytest.approx((flat[0] / flat[1] + flat[2] / flat[3]) / 2, rel=1e-12)


def test_draws_have_a_figure_each() -> None:
    end = {name: np.stack([value, 2 * value], axis=1) for name, value in START.items()}
    for found in movement(START, end).values():
        np.testing.assert_allclose(found.frobenius.value, [0, 1], atol=1e-12)
        assert np.shape(found.spectral.sem) == (2,)


def test_the_error_is_that_of_the_mean_over_chains() -> None:
    start = np.ones((2000, 1))
    found = movement({"w": start}, {"w": start + RNG.exponential(size=(2000, 1))})["w"].frobenius
    within(found.value, 1.0, found.sem)
    assert found.sem == pytest.approx(1 / 2000**0.5, rel=0.2)


def test_a_parameter_that_began_at_zero_has_a_movement_without_scale() -> None:
    found = movement({"b": np.zeros((3, 4))}, {"b": np.ones((3, 4))})["b"]
    assert found.frobenius.value == np.inf
    assert np.isnan(found.frobenius.sem)
    assert found.root_mean_square.value == pytest.approx(1)
    still = movement({"b": np.zeros((3, 4))}, {"b": np.zeros((3, 4))})["b"]
    assert still.frobenius.value == 0


def test_chains_that_are_not_finite_are_left_out_and_counted() -> None:
    end = {name: 1.25 * value for name, value in START.items()}
    end["w"][1, 0, 0] = np.nan
    found = movement(START, end)
    assert (found["w"].n_chains, found["w"].n_not_finite) == (4, 1)
    assert found["w"].frobenius.value == pytest.approx(0.25, rel=1e-12)
    assert found["b"].n_not_finite == 0


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (
            {"w": np.ones((2, 3))},
            {"v": np.ones((2, 3))},
            "parameters of one network|of one network",
        ),
        ({"w": np.ones((2, 3))}, {"w": np.ones((2, 4))}, r"start\['w'\] has shape \(2, 3\)"),
        ({"w": np.ones((2, 3))}, {"w": np.full((2, 3), np.inf)}, "finite in no chain"),
    ],
)
def test_what_did_not_move_alike_is_refused(start: dict, end: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        movement(start, end)
