"""A normal in many dimensions whose precision is a diagonal and a few directions, and its angles."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from .ray import log_ray_integral

Vector = Float[np.ndarray, " d"]
Vectors = Float[np.ndarray, "n d"]


@dataclass(frozen=True)
class Normal:
    """x ~ N(m, P·Pᵀ), P = diag(scale)·(I + Q·diag(shrink − 1)·Qᵀ), Q with orthonormal columns.

    Attributes:
        mean: m.
        scale: Positive, shape (d,).
        basis: Q, shape (d, k).
        shrink: Positive, shape (k,).
    """

    mean: Vector
    scale: Vector
    basis: Float[np.ndarray, "d k"]
    shrink: Float[np.ndarray, " k"]

    @classmethod
    def standard(cls, dimension: int) -> "Normal":
        """N(0, I)."""
        zeros = np.zeros(dimension)
        return cls(zeros, np.ones(dimension), np.zeros((dimension, 0)), np.zeros(0))

    @classmethod
    def of_precision(
        cls, diagonal: Vector, factors: Float[np.ndarray, "d k"], pull: Vector
    ) -> "Normal":
        """The normal of precision Λ = diag(diagonal) + F·Fᵀ and mean Λ⁻¹·pull.

        With W = diag(diagonal)^{−½} and the singular values s and left vectors Q of W·F:
        Λ⁻¹ = W·(I + Q·diag(1/(1 + s²) − 1)·Qᵀ)·W, so scale is the diagonal of W and shrink is
        (1 + s²)^{−½}.
        """
        scale = diagonal**-0.5
        basis, singular, _ = np.linalg.svd(scale[:, None] * factors, full_matrices=False)
        law = cls(np.zeros_like(scale), scale, basis, (1 + singular**2) ** -0.5)
        return cls(law._times(law._times_transposed(pull[None]))[0], scale, basis, law.shrink)

    @property
    def dimension(self) -> int:
        """Length of x."""
        return len(self.mean)

    def draw(self, standard: Vectors) -> Vectors:
        """The rows m + P·g of rows g ~ N(0, I)."""
        return self.mean + self._times(standard)

    def log_angular_density(self, directions: Vectors) -> Float[np.ndarray, " n"]:
        """The log[(2π)^{d/2} ∫₀^∞ r^{d−1} N(r·u; m, P·Pᵀ) dr] of unit vectors u.

        Divided by (2π)^{d/2} it is the density of x/|x| over the unit sphere. With A = |P⁻¹u|²,
        B = P⁻¹u·P⁻¹m, C = |P⁻¹m|² and I the ray integral it is
        log I(∞, −B/√A) − (d/2)·log A − log det P − C/2; for m = 0 the angular central Gaussian's
        (uᵀ(PPᵀ)⁻¹u)^{−d/2}/det P but for a constant (Tyler 1987).
        """
        whitened, centre = self._divided(directions), self._divided(self.mean[None])[0]
        square = np.einsum("nd,nd->n", whitened, whitened)
        slope = -(whitened @ centre) / np.sqrt(square)
        integral = log_ray_integral(np.full(len(square), np.inf), slope, self.dimension)
        log_det = np.log(self.scale).sum() + np.log(self.shrink).sum()
        return integral - 0.5 * self.dimension * np.log(square) - log_det - 0.5 * centre @ centre

    def _times(self, x: Vectors) -> Vectors:
        return self.scale * self._reshaped(x, self.shrink)

    def _times_transposed(self, x: Vectors) -> Vectors:
        return self._reshaped(self.scale * x, self.shrink)

    def _divided(self, x: Vectors) -> Vectors:
        return self._reshaped(x / self.scale, 1 / self.shrink)

    def _reshaped(self, x: Vectors, factors: Float[np.ndarray, " k"]) -> Vectors:
        return x + ((x @ self.basis) * (factors - 1)) @ self.basis.T
