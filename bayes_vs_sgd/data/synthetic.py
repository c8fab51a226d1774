"""Drawn data whose exact risks are known: isotropic, of orthogonal design, and of random labels."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from ..checks import require_count, require_positive
from ..types import Dataset


def isotropic(
    n_train: int,
    *,
    n_features: int,
    n_test: int = 1000,
    signal: float = 1.0,
    noise_std: float = 0.5,
    seed: int = 0,
) -> Dataset:
    """Linear regression on isotropic features: x ~ N(0, I_D), y = x·β + noise_std·N(0, 1).

    Every entry of β is signal/√D, whatever the seed: the first p features explain p/D of it, and a
    model that sees no others meets the rest as noise (Belkin, Hsu & Xu 2020, arXiv 1903.07571;
    Hastie et al. 2022, arXiv 1903.08560). Nothing is standardised, and test targets are as noisy as
    training targets, so that

    - a model w on the first p features has the expected test loss ``isotropic_risk(w)``;
    - its mean over seeds for minimum norm is ``double_descent.theory.minimum_norm_risk``.

    Args:
        n_train: Training rows.
        n_features: D.
        n_test: Test rows.
        signal: ‖β‖.
        noise_std: Standard deviation of the noise.
        seed: Draws inputs and noise.

    Returns:
        Inputs of shape (n, D) and real targets of shape (n,), float32.

    Raises:
        ValueError: A count is less than 1, or a scale is negative.
    """
    _require_rows(n_train, n_test, n_features)
    _require_scale("signal", signal)
    _require_scale("noise_std", noise_std)
    rng = np.random.default_rng(seed)
    coefficients = isotropic_coefficients(n_features, signal)

    def rows(n: int) -> tuple[np.ndarray, np.ndarray]:
        x = rng.normal(size=(n, n_features))
        return x, x @ coefficients + noise_std * rng.normal(size=n)

    return _regression(*rows(n_train), *rows(n_test), name="isotropic")


def isotropic_coefficients(n_features: int, signal: float = 1.0) -> Float[np.ndarray, " d"]:
    """The β of ``isotropic``: signal/√D for every feature."""
    return np.full(n_features, signal / np.sqrt(n_features))


def isotropic_risk(
    weights: Float[np.ndarray, "... p"],
    *,
    n_features: int,
    signal: float = 1.0,
    noise_std: float = 0.5,
) -> Float[np.ndarray, "..."]:
    """Expected test loss on ``isotropic`` data of the linear model w on the first p features.

    E(y − x·w)² = ‖w − β_T‖² + signal²·(1 − p/D) + noise_std², over inputs and noise: no test rows
    are needed.

    Args:
        weights: w, any leading axes.
        n_features: D.
        signal: ‖β‖.
        noise_std: Standard deviation of the noise.

    Raises:
        ValueError: There are more weights than features.
    """
    p = np.shape(weights)[-1]
    if p > n_features:
        raise ValueError(
            f"weights has {p} entries for n_features={n_features}; pass at most as many."
        )
    used = isotropic_coefficients(n_features, signal)[:p]
    return ((weights - used) ** 2).sum(axis=-1) + signal**2 * (1 - p / n_features) + noise_std**2


def orthogonal(
    n_train: int,
    *,
    scales: Sequence[float],
    coefficients: Sequence[float],
    noise_std: float = 1.0,
    n_test: int | None = None,
    seed: int = 0,
) -> Dataset:
    """Linear regression whose features are orthogonal: XᵀX = n·diag(scales²), y = Xθ + noise.

    X = √n·Q·diag(scales), with Q the orthonormal factor of a random normal matrix. The test inputs
    are another such design and the test targets are without noise, so that the mean squared test
    error of weights w is Σ scalesⱼ²(wⱼ − θⱼ)², the excess risk itself, up to rounding. Its mean over
    seeds along gradient descent is ``double_descent.theory.gradient_descent_excess_risk``.

    Args:
        n_train: Training rows, at least as many as features.
        scales: Root mean square of every feature.
        coefficients: θ.
        noise_std: Standard deviation of the noise of the training targets.
        n_test: Test rows, at least as many as features; None takes as many as features.
        seed: Draws designs and noise.

    Returns:
        Inputs of shape (n, features) and real targets of shape (n,), float32.

    Raises:
        ValueError: Fewer rows than features, scales and coefficients of unequal number, a scale
            that is not positive, or noise that is negative.
    """
    n_features = len(scales)
    n_test = n_features if n_test is None else n_test
    _require_rows(n_train, n_test, n_features)
    if len(coefficients) != n_features:
        raise ValueError(
            f"scales has {n_features} entries and coefficients {len(coefficients)}; pass one of each for "
            "every feature."
        )
    for name, n in (("n_train", n_train), ("n_test", n_test)):
        if n < n_features:
            raise ValueError(
                f"{name}={n} rows cannot hold {n_features} orthogonal features; pass at least "
                f"{n_features}."
            )
    for j, scale in enumerate(scales):
        require_positive(f"scales[{j}]", scale)
    _require_scale("noise_std", noise_std)
    rng = np.random.default_rng(seed)

    def design(n: int) -> np.ndarray:
        orthonormal, _ = np.linalg.qr(rng.normal(size=(n, n_features)))
        return np.sqrt(n) * orthonormal * np.asarray(scales)

    x, x_test = design(n_train), design(n_test)
    y = x @ np.asarray(coefficients) + noise_std * rng.normal(size=n_train)
    return _regression(x, y, x_test, x_test @ np.asarray(coefficients), name="orthogonal")


def random_binary(n_train: int, *, n_features: int, n_test: int = 1000, seed: int = 0) -> Dataset:
    """Two classes that say nothing about the inputs: x ~ N(0, I), labels 0 and 1 by a fair coin.

    Every classifier has test error ½. A linear one through 0 fits the training rows with probability
    ``double_descent.theory.separable_probability(n_train, n_features)`` (Cover 1965).

    Args:
        n_train: Training rows.
        n_features: Inputs.
        n_test: Test rows.
        seed: Draws inputs and labels.

    Returns:
        Inputs of shape (n, n_features), float32; two classes.

    Raises:
        ValueError: A count is less than 1.
    """
    _require_rows(n_train, n_test, n_features)
    rng = np.random.default_rng(seed)

    def rows(n: int) -> tuple[np.ndarray, np.ndarray]:
        return rng.normal(size=(n, n_features)).astype(np.float32), rng.integers(0, 2, n)

    return Dataset(*rows(n_train), *rows(n_test), n_classes=2, name="random_binary")


def _regression(*arrays: np.ndarray, name: str) -> Dataset:
    x_train, y_train, x_test, y_test = (a.astype(np.float32) for a in arrays)
    return Dataset(x_train, y_train, x_test, y_test, name=name)


def _require_rows(n_train: int, n_test: int, n_features: int) -> None:
    require_count("n_train", n_train)
    require_count("n_test", n_test)
    require_count("n_features", n_features)


def _require_scale(name: str, value: float) -> None:
    if not 0 <= value < float("inf"):
        raise ValueError(f"{name}={value} is not possible; pass 0 or a positive number.")
