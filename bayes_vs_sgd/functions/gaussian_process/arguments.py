"""The checks of kernels and labels, and the scale that signs do not depend on."""

import numpy as np
from jaxtyping import Float

# An eigenvalue below minus this, of a kernel with ones on its diagonal, is no rounding of float32.
_LEAST_EIGENVALUE = -1e-5


def correlation_of(
    name: str, kernel: Float[np.ndarray, "n n"]
) -> tuple[Float[np.ndarray, "n n"], Float[np.ndarray, " n"]]:
    """K_ij/√(K_ii K_jj) and √K_ii, in float64.

    Raises:
        ValueError: The kernel is not square, symmetric, finite and positive semi-definite, or a
            variance is not positive.
    """
    matrix = np.asarray(kernel, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) == 0:
        raise ValueError(f"{name} has shape {matrix.shape}; pass a matrix (n, n).")
    if not np.isfinite(matrix).all():
        raise ValueError(f"{name} holds values that are NaN or infinite; check the inputs.")
    variances = np.diag(matrix)
    if variances.min() <= 0:
        raise ValueError(
            f"{name} has the variance {variances.min():.3g} at row {variances.argmin()}, where f has "
            "no sign; leave that input out, or give the network biases."
        )
    stds = np.sqrt(variances)
    correlation = matrix / stds / stds[:, None]
    if np.abs(correlation - correlation.T).max() > 1e-5:
        raise ValueError(f"{name} is not symmetric; pass K(X, X) of one set of inputs.")
    correlation = (correlation + correlation.T) / 2
    least = np.linalg.eigvalsh(correlation)[0]
    if least < _LEAST_EIGENVALUE:
        raise ValueError(
            f"{name} has the eigenvalue {least:.2g} when scaled to variances of 1; pass a kernel that is "
            "positive semi-definite."
        )
    return correlation, stds


def signs_of(name: str, labels: np.ndarray, n: int) -> Float[np.ndarray, "functions n"]:
    """Labels as ±1 with a leading axis of functions.

    Raises:
        ValueError: A label is neither −1 nor +1, there is none, or their number is not n.
    """
    signs = np.asarray(labels)
    if signs.ndim not in (1, 2) or signs.shape[-1] != n or signs.size == 0:
        raise ValueError(
            f"{name} has shape {signs.shape} and the kernel {n} inputs; pass ({n},) or "
            f"(n_functions, {n})."
        )
    if not np.isin(signs, (-1, 1)).all():
        found = signs[~np.isin(signs, (-1, 1))][0]
        raise ValueError(f"{name} holds {found}; labels are −1 and +1: pass 2·bits − 1 for bits.")
    return np.atleast_2d(signs).astype(np.float64)
