"""The features Φ of a network that is linear in its parameters: f(x; θ) = Φ(x)·θ."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..posterior import Applied
from ..programs import found_again

# Parameters at which f = Φθ is tried, and how far off a network may be that computes in float32.
_N_TRIED, _TOLERANCE = 3, 1e-4


def features(network: Applied, x: np.ndarray) -> Float[np.ndarray, "n out parameters"]:
    """Φ(x) of a network that is linear in all of its parameters: its Jacobian at θ = 0.

    f(x; θ)_io = Σ_p Φ_iop θ_p, with θ the parameters in the order of ``network.shapes``, each
    flattened in C order (``unflatten`` undoes it). That the network is of this form is tried at three
    random θ.

    Args:
        network: Anything with ``apply(params, x)`` and ``shapes``, such as a ``Network``.
        x: Inputs, shape (n, ...).

    Returns:
        float64, shape (n, out, parameters); out is 1 for a network that returns shape (n,).

    Raises:
        ValueError: The network is not linear in its parameters.
    """
    with jax.enable_x64(True):
        inputs = np.asarray(x)
        if np.issubdtype(inputs.dtype, np.floating):
            inputs = inputs.astype(np.float64)
        rng = np.random.default_rng(0)
        tried = rng.normal(size=(_N_TRIED, n_parameters(network.shapes)))
        jacobian, values = (np.asarray(a) for a in _compiled(network, len(inputs))(inputs, tried))
    _require_linear(jacobian, values, tried)
    return jacobian


def n_parameters(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """How many numbers the parameters have."""
    return sum(math.prod(shape) for shape in shapes.values())


def unflatten(theta: Any, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """(..., parameters) → parameters by name, each (..., *shape)."""
    params, start = {}, 0
    for name, shape in shapes.items():
        stop = start + math.prod(shape)
        params[name] = theta[..., start:stop].reshape(*theta.shape[:-1], *shape)
        start = stop
    return params


def by_entry(
    values: Mapping[str, float], shapes: Mapping[str, tuple[int, ...]]
) -> Float[np.ndarray, " parameters"]:
    """One number a name → one number an entry of θ."""
    return np.concatenate([np.full(math.prod(s), float(values[n])) for n, s in shapes.items()])


def targets_of(y: np.ndarray, jacobian: Float[np.ndarray, "n out parameters"]) -> np.ndarray:
    """Training targets (n·out,) in the order of the rows of Φ flattened to (n·out, parameters).

    Raises:
        ValueError: The targets have another number of components than the network has outputs.
    """
    n, n_outputs = jacobian.shape[:2]
    targets = np.asarray(y, dtype=np.float64).reshape(n, -1)
    if targets.shape[1] != n_outputs:
        raise ValueError(
            f"y_train has {targets.shape[1]} components a row and the network {n_outputs} outputs; make "
            "them equal in number."
        )
    return targets.ravel()


@found_again(32)
def _compiled(network: Applied, n_rows: int) -> Callable[[Any, Any], tuple[Any, Any]]:
    """Inputs, parameters (k, P) → the Jacobian at 0 and the outputs at those parameters."""
    size = n_parameters(network.shapes)

    def outputs(theta: Any, x: Any) -> Any:
        return network.apply(unflatten(theta, network.shapes), x).reshape(n_rows, -1)

    def both(x: Any, tried: Any) -> tuple[Any, Any]:
        at_zero = jnp.zeros(size, jnp.float64)
        n_outputs = jax.eval_shape(outputs, at_zero, x).size
        # Forward takes a pass a parameter, reverse a pass an output.
        jacobian = jax.jacrev if n_outputs < size else jax.jacfwd
        return jacobian(outputs)(at_zero, x), jax.vmap(lambda theta: outputs(theta, x))(tried)

    return jax.jit(both)


def _require_linear(jacobian: np.ndarray, values: np.ndarray, tried: np.ndarray) -> None:
    expected = np.moveaxis(jacobian @ tried.T, -1, 0)
    scale = np.abs(values).max(initial=0) + np.abs(expected).max(initial=0)
    off = np.abs(values - expected).max(initial=0)
    if not off <= _TOLERANCE * scale:
        raise ValueError(
            "the network is not linear in its parameters, so it has no closed form: at random "
            f"parameters it is {off:.2g} away from its Jacobian at 0 times them; pass one that is, such as "
            "models.Linear or models.RandomFeatures, or keep all layers but the last as buffers."
        )
