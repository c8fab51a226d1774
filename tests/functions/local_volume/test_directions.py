"""The laws that directions are drawn from: their algebra against dense matrices, their angles."""

import numpy as np
import pytest

from bayes_vs_sgd import priors
from bayes_vs_sgd.functions.local_volume import Curvature, Preconditioned, Tilted, Uniform
from bayes_vs_sgd.functions.local_volume.coordinates import Coordinates
from bayes_vs_sgd.functions.local_volume.law import Normal

SHAPES = {"w": (2, 3), "b": (2,)}
COORDINATES = Coordinates.of(priors.Independent({"w": 0.5, "b": 2.0}), SHAPES)
STDS = np.array([0.5] * 6 + [2.0] * 2)
_RNG = np.random.default_rng(3)
DIAGONAL = {"w": _RNG.uniform(0.5, 3, (2, 3)), "b": _RNG.uniform(0.5, 3, 2)}
FACTORS = {"w": _RNG.normal(size=(3, 2, 3)), "b": _RNG.normal(size=(3, 2))}
CURVATURE = Curvature(DIAGONAL, FACTORS)
CENTRE = _RNG.normal(size=8)


def dense() -> np.ndarray:
    """The same curvature as a matrix, in the coordinates in which the prior is N(0, I)."""
    factors = np.concatenate([FACTORS["w"].reshape(3, -1), FACTORS["b"]], axis=1)
    diagonal = np.concatenate([DIAGONAL["w"].ravel(), DIAGONAL["b"]])
    return STDS[:, None] * (np.diag(diagonal) + factors.T @ factors) * STDS


def covariance(law: Normal) -> np.ndarray:
    """P·Pᵀ, from what ``draw`` does to unit vectors."""
    transposed = law.draw(np.eye(law.dimension)) - law.mean
    return transposed.T @ transposed


@pytest.mark.parametrize("toward_prior", [True, False])
def test_a_tilt_has_the_precision_and_the_mean_of_the_tilted_prior(toward_prior: bool) -> None:
    law = Tilted(CURVATURE, strength=1.7, toward_prior=toward_prior).law(COORDINATES, CENTRE)
    sigma = np.linalg.inv(np.eye(8) + 1.7 * dense())
    np.testing.assert_allclose(covariance(law), sigma, atol=1e-12)
    np.testing.assert_allclose(law.mean, -toward_prior * sigma @ CENTRE, atol=1e-12)


@pytest.mark.parametrize("toward_prior", [True, False])
@pytest.mark.parametrize("cutoff", [1e-6, 0.1, 3.0])
def test_the_mean_cost_of_a_tilt_is_the_cutoff(toward_prior: bool, cutoff: float) -> None:
    law = Tilted(CURVATURE, cutoff=cutoff, toward_prior=toward_prior).law(COORDINATES, CENTRE)
    mean_cost = 0.5 * (np.trace(dense() @ covariance(law)) + law.mean @ dense() @ law.mean)
    assert mean_cost == pytest.approx(cutoff, rel=1e-4)


def test_a_basin_wider_than_the_prior_is_not_tilted() -> None:
    law = Tilted(CURVATURE, cutoff=1e6).law(COORDINATES, CENTRE)
    np.testing.assert_allclose(covariance(law), np.eye(8), atol=1e-12)
    np.testing.assert_allclose(law.mean, -CENTRE, atol=1e-12)


def test_preconditioned_directions_have_the_inverse_of_the_curvature() -> None:
    law = Preconditioned(CURVATURE).law(COORDINATES, CENTRE)
    np.testing.assert_allclose(covariance(law), np.linalg.inv(dense()), atol=1e-10)
    np.testing.assert_array_equal(law.mean, 0)


def test_angles_without_a_mean_are_angular_central_gaussian() -> None:
    law = Preconditioned(CURVATURE).law(COORDINATES, CENTRE)
    u = _RNG.normal(size=(5, 8))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    square = np.einsum("nd,de,ne->n", u, dense(), u)
    # Over the uniform density, which the plain law has.
    relative = law.log_angular_density(u) - Uniform().law(COORDINATES, CENTRE).log_angular_density(
        u
    )
    exact = 0.5 * np.linalg.slogdet(dense())[1] - 8 / 2 * np.log(square)
    np.testing.assert_allclose(relative, exact, atol=1e-10)


def test_angles_around_a_mean_have_a_density_that_integrates_to_one() -> None:
    """On the circle, where the rule of equal steps is exact for periodic functions."""
    law = Normal.of_precision(np.array([1.0, 9.0]), np.array([[0.5], [2.0]]), np.array([3.0, -4.0]))
    angles = np.linspace(0, 2 * np.pi, 4000, endpoint=False)
    u = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    density = np.exp(law.log_angular_density(u)) / (2 * np.pi)
    assert density.mean() * 2 * np.pi == pytest.approx(1, abs=1e-9)
    assert angles[density.argmax()] % (2 * np.pi) == pytest.approx(
        np.arctan2(law.mean[1], law.mean[0]) % (2 * np.pi), abs=0.3
    )


@pytest.mark.parametrize("n_factors", [None, 8, 2])
def test_the_curvature_of_a_hessian_keeps_its_leading_part_and_its_diagonal(
    n_factors: int | None,
) -> None:
    root = _RNG.normal(size=(8, 8))
    hessian = root @ root.T
    kept = Curvature.of_matrix(hessian, SHAPES, n_factors=n_factors)
    diagonal, factors = kept.whitened(COORDINATES)
    matrix = np.diag(diagonal) + factors @ factors.T
    np.testing.assert_allclose(np.diag(matrix), np.diag(hessian) * STDS**2, rtol=1e-10)
    assert factors.shape[1] == (n_factors or 8)
    if n_factors != 2:
        np.testing.assert_allclose(matrix, STDS[:, None] * hessian * STDS, atol=1e-9)


def test_negative_eigenvalues_count_as_flat() -> None:
    kept = Curvature.of_matrix(np.diag([1.0, -3.0, 2.0, 0, 0, 0, 0, 0]), SHAPES)
    diagonal, factors = kept.whitened(COORDINATES)
    np.testing.assert_allclose(
        np.diag(factors @ factors.T) + diagonal,
        STDS**2 * np.array([1.0, 0, 2, 0, 0, 0, 0, 0]),
        atol=1e-12,
    )


def test_what_is_no_curvature_is_refused() -> None:
    with pytest.raises(ValueError, match=r"diagonal\['b'\] holds entries that are negative"):
        Curvature({"w": DIAGONAL["w"], "b": np.array([1.0, -1.0])})
    with pytest.raises(ValueError, match="factors have the shapes"):
        Curvature(DIAGONAL, {"w": FACTORS["w"], "b": FACTORS["b"][:2]})
    with pytest.raises(ValueError, match="the curvature has the parameters"):
        Curvature({"w": DIAGONAL["w"]}).whitened(COORDINATES)
    with pytest.raises(ValueError, match="hessian has shape"):
        Curvature.of_matrix(np.eye(3), SHAPES)
    flat = Curvature({"w": np.zeros((2, 3)), "b": np.ones(2)})
    with pytest.raises(ValueError, match="diagonal is 0 in 6 entries"):
        Preconditioned(flat).law(COORDINATES, CENTRE)
    assert np.isfinite(Tilted(flat, cutoff=0.1).law(COORDINATES, CENTRE).scale).all()


def test_a_tilt_needs_either_a_cutoff_or_a_strength() -> None:
    for settings in ({}, {"cutoff": 1.0, "strength": 1.0}):
        with pytest.raises(ValueError, match="pass one of them"):
            Tilted(CURVATURE, **settings)
    with pytest.raises(ValueError, match="cutoff=0 is not possible"):
        Tilted(CURVATURE, cutoff=0)
    with pytest.raises(ValueError, match="strength=-1 is not possible"):
        Tilted(CURVATURE, strength=-1)
