"""Exact risks of linear models, with and without a double descent.

All of them are of real targets y = x·β + noise with x ~ N(0, I), or of a design that is orthogonal;
``data.isotropic`` and ``data.orthogonal`` draw such data and ``conjugate`` fits them.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from ..checks import require_count, require_positive


def minimum_norm_risk(
    p: int, n: int, n_features: int, *, signal: float = 1.0, noise_std: float = 0.5
) -> float:
    """Expected test loss of the least-squares solution of least norm on the first p features.

    With D = n_features, β of norm ``signal`` spread evenly over all D, ‖β_T‖² = signal²·p/D and
    C = signal²·(1 − p/D) + noise_std²:

    - p ≤ n − 2: C·(1 + p/(n − p − 1));
    - n − 1 ≤ p ≤ n + 1: infinite;
    - p ≥ n + 2: ‖β_T‖²·(1 − n/p) + C·(1 + n/(p − n − 1)).

    Source: Belkin, Hsu & Xu 2020, "Two models of double descent for weak features" (arXiv 1903.07571).

    Args:
        p: Features used, 0 … n_features.
        n: Training rows.
        n_features: D, the features that the target depends on.
        signal: ‖β‖.
        noise_std: Standard deviation of the noise, in training and in test targets.

    Returns:
        The mean over training sets of E(y − f(x))², noise of the test target included.

    Raises:
        ValueError: A count is not possible, or ``p`` exceeds ``n_features``.
    """
    used, unexplained = _explained(p, n, n_features, signal, noise_std)
    if p <= n - 2:
        return unexplained * (1 + p / (n - p - 1))
    if p <= n + 1:
        return math.inf
    return used * (1 - n / p) + unexplained * (1 + n / (p - n - 1))


def minimum_norm_train_loss(
    p: int, n: int, n_features: int, *, signal: float = 1.0, noise_std: float = 0.5
) -> float:
    """Expected mean squared error on the training rows: C·max(0, 1 − p/n).

    C and all arguments are those of ``minimum_norm_risk``. Where it reaches 0 is the effective model
    complexity of least squares, p = n (Nakkiran et al. 2020, arXiv 1912.02292).

    Raises:
        ValueError: A count is not possible, or ``p`` exceeds ``n_features``.
    """
    _, unexplained = _explained(p, n, n_features, signal, noise_std)
    return unexplained * max(0.0, 1 - p / n)


def ridgeless_excess_risk(gamma: float, *, signal: float = 1.0, noise_std: float = 0.5) -> float:
    """Limit of the excess risk of the minimum-norm solution as n, D → ∞ with D/n → γ.

    With r = signal and σ = noise_std: σ²γ/(1 − γ) for γ < 1; r²(1 − 1/γ) + σ²/(γ − 1) for γ > 1;
    infinite at γ = 1. Source: Hastie et al. 2022, "Surprises in high-dimensional ridgeless
    least squares interpolation" (arXiv 1903.08560).

    Args:
        gamma: Parameters by training rows, D/n.
        signal: ‖β‖.
        noise_std: Standard deviation of the noise.

    Raises:
        ValueError: ``gamma`` is not positive.
    """
    require_positive("gamma", gamma)
    if gamma == 1:
        return math.inf
    if gamma < 1:
        return noise_std**2 * gamma / (1 - gamma)
    return signal**2 * (1 - 1 / gamma) + noise_std**2 / (gamma - 1)


def ridge_excess_risk(
    gamma: float, *, penalty: float, signal: float = 1.0, noise_std: float = 0.5
) -> float:
    """Limit of the excess risk of ridge regression, ‖y − Xw‖² + n·λ·‖w‖², as D/n → γ.

    With r = signal, σ = noise_std, λ = penalty: r²λ²m′ + σ²γ(m − λm′), where m is the Stieltjes
    transform of the Marchenko–Pastur law at −λ (``stieltjes``) and m′ = −dm/dλ. Source: Hastie et al.
    2022 (arXiv 1903.08560).

    Args:
        gamma: Parameters by training rows, D/n.
        penalty: λ. A prior of standard deviation τ on every weight is λ = σ²/(nτ²).
        signal: ‖β‖.
        noise_std: Standard deviation of the noise.

    Raises:
        ValueError: ``gamma`` or ``penalty`` is not positive.
    """
    m, slope = stieltjes(gamma, penalty)
    bias = signal**2 * penalty**2 * slope
    return bias + noise_std**2 * gamma * (m - penalty * slope)


def optimal_penalty(gamma: float, *, signal: float = 1.0, noise_std: float = 0.5) -> float:
    """The λ of the prior that the target was drawn from, λ* = σ²γ/r².

    No other λ has a lower ``ridge_excess_risk``, which is σ²γ·m(−λ*) there and increases with γ:
    no double descent (Hastie et al. 2022).

    Raises:
        ValueError: An argument is not positive.
    """
    require_positive("gamma", gamma)
    require_positive("signal", signal)
    return noise_std**2 * gamma / signal**2


def stieltjes(gamma: float, penalty: float) -> tuple[float, float]:
    """m(−λ) = [−(1 − γ + λ) + √((1 − γ + λ)² + 4γλ)]/(2γλ), and −dm(−λ)/dλ.

    It is the limit of (1/D)·tr(XᵀX/n + λ)⁻¹; the second value is that of (1/D)·tr(XᵀX/n + λ)⁻².

    Raises:
        ValueError: An argument is not positive.
    """
    require_positive("gamma", gamma)
    require_positive("penalty", penalty)
    q = 1 - gamma + penalty
    root = math.sqrt(q**2 + 4 * gamma * penalty)
    # The two forms are equal; each loses no digits for its sign of q.
    m = 2 / (root + q) if q > 0 else (root - q) / (2 * gamma * penalty)
    return m, m**2 / 2 * (1 + (q + 2 * gamma) / root)


def gradient_descent_excess_risk(
    n_steps: int,
    *,
    scales: Sequence[float],
    coefficients: Sequence[float],
    noise_std: float,
    n: int,
    lr: float,
) -> float:
    """Expected excess risk after k steps of gradient descent from 0, on an orthogonal design.

    For XᵀX = n·diag(σⱼ²) and the loss ‖y − Xθ‖²/(2n), with η = lr and s = noise_std:
    R(k) = Σ σⱼ²(1 − ησⱼ²)^{2k} θⱼ² + (s²/n) Σ (1 − (1 − ησⱼ²)^k)². Directions of unequal scale are
    learnt one after another, which makes the curve rise and fall twice: epoch-wise double descent
    (Heckel & Yilmaz 2021, arXiv 2007.10099).

    Args:
        n_steps: k.
        scales: σⱼ, the root mean square of every feature.
        coefficients: θⱼ, the truth.
        noise_std: Standard deviation of the noise of the training targets.
        n: Training rows.
        lr: η.

    Returns:
        The mean over the noise of Σ σⱼ²(θ̂ⱼ − θⱼ)².

    Raises:
        ValueError: A count is not possible, or scales and coefficients are of unequal number.
    """
    require_count("n_steps", n_steps, least=0)
    require_count("n", n)
    _require_equal_number(scales, coefficients)
    square = np.asarray(scales, dtype=np.float64) ** 2
    left = (1 - lr * square) ** n_steps
    bias = square * left**2 * np.asarray(coefficients, dtype=np.float64) ** 2
    return float((bias + noise_std**2 / n * (1 - left) ** 2).sum())


def separable_probability(n: int, p: int) -> float:
    """Probability that a linear classifier through 0 fits n random labels of points in p dimensions.

    P = 2^{1−n} Σ_{k<p} C(n − 1, k), for any points in general position: ½ at n = 2p. Source: Cover
    1965, "Geometrical and statistical properties of systems of linear inequalities".

    Args:
        n: Points.
        p: Dimensions, a constant feature counted as one.

    Raises:
        ValueError: A count is less than 1.
    """
    require_count("n", n)
    require_count("p", p)
    return float(stats.binom.cdf(p - 1, n - 1, 0.5))


def _explained(
    p: int, n: int, n_features: int, signal: float, noise_std: float
) -> tuple[float, float]:
    """Squared norm of β on the features used, and C: that of the rest, and the noise."""
    require_count("p", p, least=0)
    require_count("n", n)
    require_count("n_features", n_features)
    if p > n_features:
        raise ValueError(
            f"p={p} exceeds the {n_features} features; pass at most n_features={n_features}."
        )
    used = signal**2 * p / n_features
    return used, signal**2 - used + noise_std**2


def _require_equal_number(scales: Sequence[float], coefficients: Sequence[float]) -> None:
    if len(scales) != len(coefficients):
        raise ValueError(
            f"scales has {len(scales)} entries and coefficients {len(coefficients)}; pass one of each "
            "for every feature."
        )
