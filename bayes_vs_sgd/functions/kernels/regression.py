"""The posterior of a Gaussian process under Gaussian noise."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import linalg


@dataclass(frozen=True)
class GaussianPrediction:
    """A normal distribution over the outputs on m test inputs; outputs are independent of one another.

    Attributes:
        mean: Shape (m,) or (m, out), as the targets have it.
        covariance: Between test inputs, the same for every output, shape (m, m).
    """

    mean: Float[np.ndarray, "m ..."]
    covariance: Float[np.ndarray, "m m"]

    @property
    def std(self) -> Float[np.ndarray, " m"]:
        """Standard deviation on every test input; rounding below 0 counts as 0."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0))


def kernel_regression(
    train: Float[np.ndarray, "n n"],
    cross: Float[np.ndarray, "m n"],
    test: Float[np.ndarray, "m m"],
    y: Float[np.ndarray, "n ..."],
    *,
    noise_std: float,
) -> GaussianPrediction:
    """The posterior of f ~ GP(0, K) given y = f(X) + noise_std·ξ.

    With A = K(X, X) + noise_std²·I: mean K(x*, X) A⁻¹ y and covariance K(x*, x*) − K(x*, X) A⁻¹ K(X,
    x*), of f itself, without noise. With the NNGP it is the posterior of the infinitely wide network,
    and with any K the mean is kernel ridge regression. Source: Rasmussen & Williams 2006, equations
    2.23–2.24.

    Args:
        train: K(X, X).
        cross: K(x*, X).
        test: K(x*, x*).
        y: Targets, shape (n,) or (n, out).
        noise_std: Standard deviation of the noise; 0 interpolates.

    Raises:
        ValueError: The shapes do not fit, ``noise_std`` is negative, or A is singular to rounding.
    """
    matrix, between, of_test = (np.asarray(k, dtype=np.float64) for k in (train, cross, test))
    targets = np.asarray(y, dtype=np.float64)
    require_kernels(matrix, between, targets)
    require_square("test", of_test, len(between))
    if not 0 <= noise_std < float("inf"):
        raise ValueError(f"noise_std={noise_std} is not possible; pass 0 or a positive number.")
    factor = _factor(matrix + noise_std**2 * np.eye(len(matrix)), noise_std)
    half = linalg.solve_triangular(factor, between.T, lower=True)
    mean = half.T @ linalg.solve_triangular(factor, targets, lower=True)
    return GaussianPrediction(mean, of_test - half.T @ half)


def require_kernels(train: np.ndarray, cross: np.ndarray, targets: np.ndarray) -> None:
    """Refuse kernels and targets that do not fit.

    Raises:
        ValueError: A shape is wrong, or ``train`` is not symmetric and finite.
    """
    n_rows = len(targets)
    require_square("train", train, n_rows)
    if cross.ndim != 2 or cross.shape[1] != n_rows:
        raise ValueError(
            f"cross has shape {cross.shape} and y {n_rows} rows; pass K(x*, X) of shape (m, {n_rows})."
        )
    if targets.ndim not in (1, 2):
        raise ValueError(f"y has shape {targets.shape}; pass (n,) or (n, out).")


def require_square(name: str, matrix: np.ndarray, n_rows: int) -> None:
    """Refuse a matrix that is no kernel on ``n_rows`` inputs.

    Raises:
        ValueError: It has another shape, or is not symmetric and finite.
    """
    if matrix.shape != (n_rows, n_rows):
        raise ValueError(f"{name} has shape {matrix.shape}; it must be ({n_rows}, {n_rows}).")
    if not np.isfinite(matrix).all():
        raise ValueError(f"{name} holds values that are NaN or infinite; check the inputs.")
    if not np.allclose(matrix, matrix.T, rtol=1e-4, atol=1e-6 * np.abs(matrix).max(initial=0)):
        raise ValueError(f"{name} is not symmetric; pass K(X, X) of one set of inputs.")


def _factor(matrix: np.ndarray, noise_std: float) -> np.ndarray:
    try:
        return linalg.cholesky(matrix, lower=True)
    except linalg.LinAlgError as error:
        raise ValueError(
            f"the kernel with noise_std={noise_std} is singular to rounding; inputs coincide, "
            "or are more than the features: raise noise_std."
        ) from error
