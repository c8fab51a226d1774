"""How the directions of rays are drawn; whichever way, exact weights make the estimate unbiased."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float

from ...checks import require_positive
from .coordinates import Coordinates
from .curvature import Curvature
from .law import Normal

_N_HALVINGS = 100
_LEAST, _MOST = 1e-30, 1e30


class Directions(Protocol):
    """A way to draw directions: settings that become a normal x, whose x/|x| is the direction."""

    def law(self, coordinates: Coordinates, centre: Float[np.ndarray, " d"]) -> Normal:
        """The law of x in the coordinates in which the prior is N(0, I), seen from the centre."""
        ...


@dataclass(frozen=True)
class Uniform:
    """u uniform on the sphere: the plain estimator, x ~ N(0, I).

    Its terms vary by d times the variation of log r(u): with a badly conditioned cost, or a centre
    far from the prior mean, a few directions that nobody draws hold the whole volume.
    """

    def law(self, coordinates: Coordinates, centre: Float[np.ndarray, " d"]) -> Normal:
        """N(0, I)."""
        return Normal.standard(coordinates.dimension)


@dataclass(frozen=True)
class Preconditioned:
    """u = P·v/|P·v| with P·Pᵀ = H⁻¹: the basin of a quadratic cost of Hessian H is a ball for v.

    Exact for small basins around the prior mean; a wide one, or a prior that leans, is what
    ``Tilted`` is for.

    Attributes:
        curvature: H, of which only the shape matters; its diagonal must be positive.
    """

    curvature: Curvature

    def law(self, coordinates: Coordinates, centre: Float[np.ndarray, " d"]) -> Normal:
        """N(0, H⁻¹).

        Raises:
            ValueError: An entry of the diagonal is 0.
        """
        diagonal, factors = self.curvature.whitened(coordinates)
        n_flat = int((diagonal == 0).sum())
        if n_flat:
            raise ValueError(
                f"the curvature's diagonal is 0 in {n_flat} entries, which gives directions of infinite "
                "length; add a floor, or pass Tilted, where the prior limits them."
            )
        return Normal.of_precision(diagonal, factors, np.zeros_like(diagonal))


@dataclass(frozen=True)
class Tilted:
    """Directions of x ~ prior(θ* + x)·exp(−t·xᵀHx/2), a normal that sits where the basin's volume does.

    In the coordinates in which the prior is N(0, I) and the centre z*: x ~ N(−Σz*, Σ),
    Σ = (I + t·H)⁻¹. Either t is given, or it is the one with E[xᵀHx/2] = cutoff, the tilt of the
    saddle point: among the normals that the prior becomes by a quadratic penalty it is the one whose
    mean cost is the edge of the basin. Both the prior and the cost limit each direction, whichever is
    narrower, and the mean goes to where the prior is larger.

    Attributes:
        curvature: H of the cost.
        cutoff: How far the cost may rise in the basin.
        strength: t ≥ 0, in place of ``cutoff``, for regions that no cost defines.
        toward_prior: False leaves the mean at the centre.
    """

    curvature: Curvature
    cutoff: float | None = None
    strength: float | None = None
    toward_prior: bool = True

    def __post_init__(self) -> None:
        if (self.cutoff is None) == (self.strength is None):
            raise ValueError(
                f"cutoff={self.cutoff} and strength={self.strength}: pass one of them, and one alone."
            )
        if self.cutoff is not None:
            require_positive("cutoff", self.cutoff)
        if self.strength is not None and not 0 <= self.strength < np.inf:
            raise ValueError(
                f"strength={self.strength} is not possible; pass a number of at least 0."
            )

    def law(self, coordinates: Coordinates, centre: Float[np.ndarray, " d"]) -> Normal:
        """N(−Σz*, Σ) with Σ = (I + t·H)⁻¹."""
        diagonal, factors = self.curvature.whitened(coordinates)
        pull = -centre if self.toward_prior else np.zeros_like(centre)
        strength = self.strength
        if strength is None:
            assert self.cutoff is not None
            strength = _strength(_MeanCost(diagonal, factors, pull), self.cutoff)
        return Normal.of_precision(1 + strength * diagonal, np.sqrt(strength) * factors, pull)


@dataclass(frozen=True)
class _MeanCost:
    """E[xᵀHx/2] = ½[tr(HΣ) + mᵀHm] under N(m, Σ), m = Σ·pull, Σ = (I + t·H)⁻¹, H = diag(h) + F·Fᵀ."""

    diagonal: Float[np.ndarray, " d"]
    factors: Float[np.ndarray, "d k"]
    pull: Float[np.ndarray, " d"]

    def __call__(self, strength: float) -> float:
        # Woodbury: Σ = D − D·G·(I + GᵀDG)⁻¹·GᵀD with D = (1 + t·h)⁻¹ and G = √t·F.
        d = 1 / (1 + strength * self.diagonal)
        g = np.sqrt(strength) * self.factors
        weighted = d[:, None] * g
        inner = np.eye(g.shape[1]) + g.T @ weighted
        sigma_f = self._times_covariance(d, weighted, inner, self.factors)
        mean = self._times_covariance(d, weighted, inner, self.pull[:, None])[:, 0]
        taken = np.linalg.solve(inner, weighted.T)
        variances = d - np.einsum("dk,kd->d", weighted, taken)
        trace = self.diagonal @ variances + np.einsum("dk,dk->", self.factors, sigma_f)
        at_mean = self.diagonal @ mean**2 + ((self.factors.T @ mean) ** 2).sum()
        return 0.5 * float(trace + at_mean)

    @staticmethod
    def _times_covariance(
        d: np.ndarray, weighted: np.ndarray, inner: np.ndarray, x: np.ndarray
    ) -> np.ndarray:
        return d[:, None] * x - weighted @ np.linalg.solve(inner, weighted.T @ x)


def _strength(mean_cost: Callable[[float], float], cutoff: float) -> float:
    """The t ≥ 0 at which the mean cost, which falls with t, is the cutoff; 0 where it always is below."""
    if mean_cost(0.0) <= cutoff:
        return 0.0
    low, high = np.log(_LEAST), np.log(_MOST)
    for _ in range(_N_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if mean_cost(np.exp(middle)) > cutoff else (low, middle)
        if high - low < 1e-6:
            break
    return float(np.exp(high))
