"""How alike two kernels are."""

import numpy as np
from jaxtyping import Float

from .regression import require_square


def alignment(K: Float[np.ndarray, "n n"], L: Float[np.ndarray, "n n"]) -> float:
    """Centred kernel alignment, tr(K_c L_c)/(‖K_c‖_F ‖L_c‖_F), with K_c = HKH and H = I − 11ᵀ/n.

    It is in [0, 1] for positive semi-definite kernels, 1 where one is a multiple of the other up to
    what centring removes, and does not depend on scale. Sources: Cortes, Mohri & Rostamizadeh 2012;
    Kornblith et al. 2019 (arXiv 1905.00414), who call it CKA.

    Args:
        K: A kernel on n inputs: of a network at the start, say.
        L: Another on the same inputs: at the end, or y yᵀ of the labels.

    Raises:
        ValueError: The shapes differ, a kernel is not symmetric and finite, or it is constant.
    """
    first, second = _centred("K", K), _centred("L", L)
    if first.shape != second.shape:
        raise ValueError(
            f"K has shape {first.shape} and L {second.shape}; pass kernels on the same inputs."
        )
    norms = np.linalg.norm(first) * np.linalg.norm(second)
    return float(np.clip((first * second).sum() / norms, -1, 1))


def _centred(name: str, kernel: np.ndarray) -> np.ndarray:
    matrix = np.asarray(kernel, dtype=np.float64)
    require_square(name, matrix, len(matrix))
    rows = matrix - matrix.mean(axis=0)
    centred = rows - rows.mean(axis=1, keepdims=True)
    if np.linalg.norm(centred) <= 1e-12 * np.linalg.norm(matrix):
        raise ValueError(f"{name} is constant, so that nothing is left when it is centred.")
    return centred
