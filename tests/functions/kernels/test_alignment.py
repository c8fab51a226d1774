"""Centred kernel alignment."""

import numpy as np
import pytest

from bayes_vs_sgd.functions.kernels import alignment

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(30, 5)), RNG.normal(size=(30, 5))


def test_it_is_the_correlation_of_centred_features() -> None:
    """For linear kernels ‖AᵀB‖²/(‖AᵀA‖ ‖BᵀB‖) of centred features."""
    a, b = A - A.mean(axis=0), B - B.mean(axis=0)
    exact = (np.linalg.norm(a.T @ b) ** 2) / np.linalg.norm(a.T @ a) / np.linalg.norm(b.T @ b)
    assert alignment(A @ A.T, B @ B.T) == pytest.approx(exact, rel=1e-12)
    assert 0 < exact < 0.5


def test_neither_scale_nor_a_constant_nor_a_rotation_changes_it() -> None:
    rotation, _ = np.linalg.qr(RNG.normal(size=(5, 5)))
    turned = 3 * A @ rotation
    assert alignment(A @ A.T, turned @ turned.T + 7) == pytest.approx(1, rel=1e-12)
    assert alignment(A @ A.T, B @ B.T) == pytest.approx(alignment(B @ B.T, A @ A.T), rel=1e-12)


def test_features_of_other_directions_have_none() -> None:
    basis, _ = np.linalg.qr(np.column_stack([np.ones(30), RNG.normal(size=(30, 4))]))
    first, second = basis[:, 1:3], basis[:, 3:]
    assert alignment(first @ first.T, second @ second.T) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("K", "L", "message"),
    [
        (np.eye(3), np.eye(4), r"K has shape \(3, 3\) and L \(4, 4\)"),
        (np.ones((3, 3)), np.eye(3), "K is constant"),
        (np.eye(3), np.ones((3, 2)), r"L has shape \(3, 2\)"),
        (np.eye(3), np.triu(np.ones((3, 3))), "L is not symmetric"),
    ],
)
def test_what_cannot_be_aligned_is_refused(K: np.ndarray, L: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        alignment(K, L)
