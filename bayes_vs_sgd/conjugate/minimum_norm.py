"""Where full-batch gradient descent on the squared error of a linear network ends."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..posterior import Applied
from ..types import Dataset, Draws
from .features import by_entry, features, n_parameters, targets_of, unflatten


def minimum_norm(
    network: Applied,
    dataset: Dataset,
    *,
    initial: Draws | Mapping[str, np.ndarray] | None = None,
    lr_factors: Mapping[str, float] | None = None,
    rcond: float | None = None,
) -> Draws:
    """The least-squares solution that lies nearest to the start.

    θ = θ₀ + S^{1/2}·(Φ S^{1/2})⁺·(y − Φθ₀), with S = diag(lr_factors). It minimises ‖y − Φθ‖² and,
    among all that do, (θ − θ₀)ᵀS⁻¹(θ − θ₀). It is the limit of gradient descent on the mean squared
    error from θ₀ with learning rates ∝ S, however small; from 0 it is the solution of least norm.

    Args:
        network: A network that is linear in its parameters.
        dataset: Its training rows, with real targets.
        initial: θ₀: parameters by name with a leading axis, the chain; or ``Draws``, whose last
            parameters are taken. None is one start at 0.
        lr_factors: Factor on the learning rate by parameter name, and 1 where the name is missing, as
            in ``sgd.train``.
        rcond: Singular values below ``rcond`` times the largest count as 0; None is float64's machine
            precision times the longer side of Φ, as in ``numpy.linalg.matrix_rank``.

    Returns:
        ``Draws`` with one draw a start, float64; ``stats`` has ``train_loss``, the mean over rows of
        the squared error.

    Raises:
        ValueError: The network is not linear, the targets are classes or do not fit the outputs, or
            names, shapes or factors are not those of the network.
    """
    started = time.perf_counter()
    require_real("minimum_norm", dataset)
    jacobian = features(network, dataset.x_train)
    targets = targets_of(dataset.y_train, jacobian)
    design = jacobian.reshape(len(targets), -1)
    root = np.sqrt(_factors(network, lr_factors))
    start = _starts(network, initial)
    theta = start + root * _solve(design * root, targets - start @ design.T, rcond)
    residuals = targets - theta @ design.T
    loss = (residuals**2).sum(axis=1) / len(dataset.x_train)
    last = unflatten(theta, network.shapes)
    return Draws(
        params={name: value[:, None] for name, value in last.items()},
        stats={"train_loss": loss[:, None]},
        last=last,
        info={"sampler": "minimum_norm", "seconds": time.perf_counter() - started},
    )


def require_real(name: str, dataset: Dataset) -> None:
    """Refuse classes.

    Raises:
        ValueError: The targets are classes.
    """
    if dataset.n_classes:
        raise ValueError(
            f"{name} fits real targets and {dataset.name} has {dataset.n_classes} classes; pass a Dataset "
            "of float targets, such as one-hot codes, with n_classes=0."
        )


def _solve(design: np.ndarray, targets: np.ndarray, rcond: float | None) -> np.ndarray:
    """Pseudo-inverse of the design times every row of targets, shape (start, parameters)."""
    left, singular, right = np.linalg.svd(design, full_matrices=False)
    least = np.finfo(np.float64).eps * max(design.shape) if rcond is None else rcond
    kept = singular > least * singular.max(initial=0)
    return (targets @ left[:, kept] / singular[kept]) @ right[kept]


def _factors(network: Applied, lr_factors: Mapping[str, float] | None) -> np.ndarray:
    given = dict(lr_factors or {})
    unknown = sorted(set(given) - set(network.shapes))
    if unknown:
        raise ValueError(
            f"lr_factors names {unknown}, which the network lacks; its parameters are "
            f"{sorted(network.shapes)}."
        )
    for name, factor in given.items():
        if not 0 <= factor < float("inf"):
            raise ValueError(
                f"lr_factors[{name!r}]={factor} is not possible; pass a positive number, or 0 to keep the "
                "parameter at its start."
            )
    return by_entry(dict.fromkeys(network.shapes, 1.0) | given, network.shapes)


def _starts(network: Applied, initial: Any) -> np.ndarray:
    """θ₀ of every chain, shape (chain, parameters)."""
    if initial is None:
        return np.zeros((1, n_parameters(network.shapes)))
    given = initial.last if isinstance(initial, Draws) else initial
    if not isinstance(given, Mapping) or set(given) != set(network.shapes):
        names = sorted(given) if isinstance(given, Mapping) else type(given).__name__
        raise ValueError(
            f"initial holds {names}; its names must be those of the network's parameters, "
            f"{sorted(network.shapes)}."
        )
    arrays = {name: np.asarray(given[name], dtype=np.float64) for name in network.shapes}
    n_starts = next(iter(arrays.values())).shape[:1]
    for name, shape in network.shapes.items():
        if arrays[name].shape != (*n_starts, *shape):
            raise ValueError(
                f"initial[{name!r}] has shape {arrays[name].shape}; it must be (n_starts, "
                f"{', '.join(map(str, shape))}) with as many starts as the others."
            )
    return np.concatenate([a.reshape(*n_starts, -1) for a in arrays.values()], axis=1)
