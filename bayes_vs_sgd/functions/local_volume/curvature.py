"""What is known of the cost's curvature at a solution: a diagonal and a few directions besides."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from ...conjugate.features import unflatten
from ...priors import Shapes
from .coordinates import Coordinates

ByName = Mapping[str, Float[np.ndarray, "..."]]


@dataclass(frozen=True)
class Curvature:
    """H = diag(h) + Σ_k f_k f_kᵀ, a positive semi-definite stand-in for the Hessian of a cost.

    Any will do: it decides where directions are drawn, which importance weights make good, so a
    better one lowers the error and none shifts the result. ``hessian_diagonal`` estimates h (clip it
    at 0); the second moments of Adam, or their roots, are cheaper and coarser; ``of_matrix`` takes
    the leading directions of a Hessian.

    Attributes:
        diagonal: h ≥ 0 by parameter name.
        factors: f by parameter name, each (n_factors, *shape); None without any.

    Raises:
        ValueError: An entry is negative or not finite, or the two differ in names or shapes.
    """

    diagonal: ByName
    factors: ByName | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name, value in self.diagonal.items():
            if not (np.isfinite(value).all() and np.all(np.asarray(value) >= 0)):
                raise ValueError(
                    f"diagonal[{name!r}] holds entries that are negative or not finite; pass "
                    "numpy.maximum(estimate, 0)."
                )
        if self.factors is not None:
            _require_factors(self.diagonal, self.factors)

    @classmethod
    def of_matrix(
        cls, hessian: Float[np.ndarray, "d d"], shapes: Shapes, *, n_factors: int | None = None
    ) -> "Curvature":
        """The leading eigenpairs of a Hessian as factors √λ·v, what is left of its diagonal as h.

        Negative eigenvalues count as 0. With all of the others as factors H is exact.

        Args:
            hessian: Symmetric, in the order of ``shapes``, such as ``hessian_matrix`` returns.
            shapes: Parameter name → shape.
            n_factors: How many of the largest; None for all that are positive.

        Raises:
            ValueError: The matrix is not of these parameters.
        """
        size = sum(math.prod(shape) for shape in shapes.values())
        if hessian.shape != (size, size):
            raise ValueError(
                f"hessian has shape {hessian.shape} and the parameters have {size} entries; pass the "
                "matrix of these parameters."
            )
        values, vectors = np.linalg.eigh(hessian)
        kept = np.flatnonzero(
            values > size * np.finfo(np.float64).eps * np.abs(values).max(initial=0)
        )
        roots = vectors[:, kept] * np.sqrt(values[kept])
        leading = roots[:, -n_factors:] if n_factors else roots
        left = (roots**2).sum(axis=1) - (leading**2).sum(axis=1)
        return cls(unflatten(np.maximum(left, 0), shapes), unflatten(leading.T, shapes))

    def whitened(
        self, coordinates: Coordinates
    ) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, "d k"]]:
        """H in the coordinates in which the prior is N(0, I): std·h·std, and the columns std·f.

        Raises:
            ValueError: The names or shapes are not those of the prior's parameters.
        """
        shapes, stds = coordinates.by_name, coordinates.scales
        _require_shapes(self.diagonal, shapes)
        diagonal = np.concatenate([np.ravel(self.diagonal[name]) for name in shapes])
        if self.factors is None:
            return stds**2 * diagonal, np.zeros((len(stds), 0))
        flat = [np.reshape(self.factors[name], (len(self.factors[name]), -1)) for name in shapes]
        return stds**2 * diagonal, stds[:, None] * np.concatenate(flat, axis=1).T


def _require_shapes(diagonal: ByName, shapes: Mapping[str, tuple[int, ...]]) -> None:
    given = {name: np.shape(value) for name, value in diagonal.items()}
    if given != shapes:
        raise ValueError(
            f"the curvature has the parameters {given} and the centre {shapes}; give it an entry for "
            "every entry of these."
        )


def _require_factors(diagonal: ByName, factors: ByName) -> None:
    given = {name: np.shape(value)[1:] for name, value in factors.items()}
    wanted = {name: np.shape(value) for name, value in diagonal.items()}
    counts = {np.shape(value)[0] if np.ndim(value) else 0 for value in factors.values()}
    if given != wanted or len(counts) != 1:
        raise ValueError(
            f"factors have the shapes {given} behind a leading axis of {sorted(counts)} and the diagonal "
            f"has {wanted}; make them equal, with one number of factors."
        )
