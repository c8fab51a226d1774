"""What the eigenvalues of a Hessian add up to: all of them, or those that random vectors see."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse.linalg import ArpackNoConvergence, eigsh

from ..checks import require_count, require_positive
from .found import Numbers

# Columns of the dense Hessian at once, and entries of the vectors of Lanczos that are held at once.
_COLUMNS, _ENTRIES = 64, 2**25
# Relative accuracy of the largest eigenvalues where they are not all known.
_TOLERANCE = 1e-6
# Lanczos has found an invariant subspace when what is new is this much smaller than the product.
_NOTHING_NEW = 1e-10


@dataclass(frozen=True)
class Spectrum:
    """What is asked of the eigenvalues of a Hessian, given as that of the SUM of n losses."""

    n_eigenvalues: int
    prior_precision: float
    n_probes: int
    n_lanczos: int

    def __post_init__(self) -> None:
        require_count("n_eigenvalues", self.n_eigenvalues)
        require_positive("prior_precision", self.prior_precision)
        require_count("n_probes", self.n_probes, least=2)
        require_count("n_lanczos", self.n_lanczos)

    def exact(self, hessian: Any, n: int, rng: np.random.Generator) -> Numbers:
        """From all eigenvalues; nothing is random here."""
        dense = _dense(hessian)
        if not np.isfinite(dense).all():
            return {}
        eigenvalues = np.linalg.eigvalsh(dense)
        return {
            "trace": eigenvalues.sum() / n,
            "trace_sem": 0.0,
            "eigenvalues": eigenvalues[::-1][: self.n_eigenvalues] / n,
            "effective_dimension": self._determined(eigenvalues).sum(),
            "effective_dimension_sem": 0.0,
        }

    def estimated(self, hessian: Any, n: int, rng: np.random.Generator) -> Numbers:
        """From products with random vectors."""
        size = hessian.shape[0]
        start = rng.standard_normal(size)
        product = hessian @ torch.from_numpy(start)
        if not torch.isfinite(product).all():
            return {}
        n_steps = min(self.n_lanczos, size)
        pairs = [
            _lanczos(hessian, torch.from_numpy(rng.choice([-1.0, 1.0], (size, width))), n_steps)
            for width in _widths(self.n_probes, _ENTRIES // (size * n_steps))
        ]
        nodes, weights = (np.concatenate(values) for values in zip(*pairs, strict=True))
        # ARPACK takes a zero product for a zero start.
        largest = _largest(hessian, self.n_eigenvalues, start) if product.any() else 0.0
        return {
            **_mean("trace", size * (weights * nodes).sum(1) / n),
            "eigenvalues": largest / n,
            **_mean("effective_dimension", size * (weights * self._determined(nodes)).sum(1)),
        }

    def _determined(self, eigenvalues: np.ndarray) -> np.ndarray:
        positive = np.maximum(eigenvalues, 0)
        return positive / (positive + self.prior_precision)


def _widths(n: int, most: int) -> list[int]:
    """``n`` in parts of at most ``most``, and of 1 at least."""
    width = max(1, min(n, most))
    return [min(width, n - first) for first in range(0, n, width)]


def _dense(hessian: Any) -> Float[np.ndarray, "p p"]:
    columns = torch.eye(hessian.shape[0], dtype=torch.float64).split(_COLUMNS, dim=1)
    return torch.cat([hessian @ c for c in columns], dim=1).detach().numpy()


def _lanczos(
    hessian: Any, start: Float[torch.Tensor, "p k"], n_steps: int
) -> tuple[Float[np.ndarray, "k m"], Float[np.ndarray, "k m"]]:
    """Nodes and weights of the Gauss quadrature of the spectral measure that each start sees.

    v_{m+1} ∝ Hv_m, made orthogonal to v_1…v_m twice; the nodes are the eigenvalues of the tridiagonal
    matrix, the weights the squared first entries of its eigenvectors.
    """
    basis = torch.zeros((n_steps + 1, *start.shape), dtype=start.dtype)
    basis[0] = start / torch.linalg.vector_norm(start, dim=0)
    diagonal, beside = [], []
    for step in range(n_steps):
        known, product = basis[: step + 1], hessian @ basis[step]
        diagonal.append((basis[step] * product).sum(0))
        new = product
        for _ in range(2):
            new = new - torch.einsum("mpk,mk->pk", known, torch.einsum("mpk,pk->mk", known, new))
        norm, whole = (torch.linalg.vector_norm(v, dim=0) for v in (new, product))
        is_new = norm > _NOTHING_NEW * whole
        # Beyond an invariant subspace zeros follow, which have no weight.
        beside.append(norm * is_new)
        basis[step + 1] = torch.where(is_new, new / norm, 0)
    off = torch.diag_embed(torch.stack(beside[:-1], dim=1), 1) if n_steps > 1 else 0
    tridiagonal = torch.diag_embed(torch.stack(diagonal, dim=1)) + off
    nodes, vectors = torch.linalg.eigh(tridiagonal, UPLO="U")
    return nodes.numpy(), vectors[:, 0].square().numpy()


def _largest(
    hessian: Any, n: int, start: Float[np.ndarray, " p"]
) -> Float[np.ndarray, " k"] | float:
    """The ``n`` largest eigenvalues, descending; NaN where ARPACK does not converge."""
    try:
        found = eigsh(
            hessian.to_scipy(), n, which="LA", v0=start, tol=_TOLERANCE, return_eigenvectors=False
        )
    except ArpackNoConvergence:
        return np.nan
    return np.sort(found)[::-1]


def _mean(name: str, samples: Float[np.ndarray, " k"]) -> Numbers:
    """Mean and its standard error."""
    sem = samples.std(ddof=1) / math.sqrt(len(samples))
    return {name: samples.mean(), f"{name}_sem": sem}
