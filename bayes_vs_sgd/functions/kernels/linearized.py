"""Gradient flow of a network that is linear in its parameters, in closed form."""

import math

import numpy as np
from jaxtyping import Float

from .layers import Kernels
from .regression import GaussianPrediction, require_kernels, require_square


def gradient_flow(
    train: Float[np.ndarray, "n n"],
    cross: Float[np.ndarray, "m n"],
    y: Float[np.ndarray, "n ..."],
    *,
    time: float = math.inf,
    initial_train: Float[np.ndarray, "n ..."] | None = None,
    initial_test: Float[np.ndarray, "m ..."] | None = None,
) -> Float[np.ndarray, "m ..."]:
    """Outputs at a time of training on the squared error, from given outputs at the start.

    f_t(x*) = f_0(x*) + Θ(x*, X) Θ⁻¹ (I − e^{−tΘ}) (y − f_0(X)), the solution of
    dθ/dt = −∇ ½ Σ_i (f(x_i) − y_i)² for a network that is linear in θ. After k steps of gradient
    descent with a small learning rate η, t = ηk; with the mean over rows in place of the sum,
    t = ηk/n, and without the ½ twice that. A network of great width in NTK parameterization is
    linear in θ near its start (Lee et al. 2019, arXiv 1902.06720, equations 8–9); in maximal update
    parameterization it is not.

    For several outputs that share weights pass kernels (n·out, n·out) and flattened y. Directions in
    which Θ is 0 to rounding are not learnt, at any time.

    Args:
        train: Θ(X, X): ``Kernels.ntk`` or ``empirical_ntk``.
        cross: Θ(x*, X).
        y: Targets, shape (n,) or (n, out).
        time: t ≥ 0; infinity is the end of training.
        initial_train: f_0(X); None is 0.
        initial_test: f_0(x*); None is 0.

    Returns:
        Shape (m,) or (m, out).

    Raises:
        ValueError: The shapes do not fit, Θ has a negative eigenvalue, or ``time`` is negative.
    """
    matrix, between = (np.asarray(k, dtype=np.float64) for k in (train, cross))
    targets = np.asarray(y, dtype=np.float64)
    require_kernels(matrix, between, targets)
    start_train = _start("initial_train", initial_train, targets.shape)
    start_test = _start("initial_test", initial_test, (len(between), *targets.shape[1:]))
    return start_test + _learnt(matrix, between, time) @ (targets - start_train)


def trained_distribution(
    train: Kernels,
    cross: Kernels,
    test_nngp: Float[np.ndarray, "m m"],
    y: Float[np.ndarray, "n ..."],
    *,
    time: float = math.inf,
) -> GaussianPrediction:
    """The distribution over starts of the trained outputs of an infinitely wide network.

    ``gradient_flow`` from f_0 ~ GP(0, K). With A = Θ(x*, X) Θ⁻¹ (I − e^{−tΘ}), Θ the NTK and K the
    NNGP: mean A y, covariance K(x*, x*) + A K(X, X) Aᵀ − A K(X, x*) − K(x*, X) Aᵀ. At the end of
    training it is the posterior without noise where Θ ∝ K, and no posterior otherwise. Source: Lee et
    al. 2019 (arXiv 1902.06720), equations 15–16.

    Args:
        train: Both kernels on (X, X).
        cross: Both kernels on (x*, X).
        test_nngp: K(x*, x*).
        y: Targets, shape (n,) or (n, out).
        time: t ≥ 0, as in ``gradient_flow``.

    Raises:
        ValueError: The shapes do not fit, Θ has a negative eigenvalue, or ``time`` is negative.
    """
    nngp, ntk = (np.asarray(k, dtype=np.float64) for k in train)
    nngp_cross, ntk_cross = (np.asarray(k, dtype=np.float64) for k in cross)
    of_test = np.asarray(test_nngp, dtype=np.float64)
    targets = np.asarray(y, dtype=np.float64)
    require_kernels(nngp, nngp_cross, targets)
    require_kernels(ntk, ntk_cross, targets)
    require_square("test_nngp", of_test, len(ntk_cross))
    learnt = _learnt(ntk, ntk_cross, time)
    shared = learnt @ nngp_cross.T
    covariance = of_test + learnt @ nngp @ learnt.T - shared - shared.T
    return GaussianPrediction(learnt @ targets, (covariance + covariance.T) / 2)


def _learnt(train: np.ndarray, cross: np.ndarray, time: float) -> Float[np.ndarray, "m n"]:
    """Θ(x*, X) Θ⁻¹ (I − e^{−tΘ})."""
    if not time >= 0:
        raise ValueError(f"time={time} is not possible; pass 0, a positive number or infinity.")
    values, vectors = np.linalg.eigh(train)
    least = np.finfo(np.float64).eps * len(values) * values.max(initial=0)
    if values.min(initial=0) < -1e-5 * values.max(initial=0):
        raise ValueError(
            f"the kernel on the training inputs has the eigenvalue {values.min():.2g}; pass a "
            "kernel that is positive semi-definite, computed in float64."
        )
    learnt = values > least
    shares = np.zeros(len(values))
    shares[learnt] = -np.expm1(-time * values[learnt]) / values[learnt]
    return (cross @ vectors * shares) @ vectors.T


def _start(name: str, value: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    if value is None:
        return np.zeros(shape)
    start = np.asarray(value, dtype=np.float64)
    if start.shape != shape:
        raise ValueError(f"{name} has shape {start.shape}; it must be {shape}.")
    return start
