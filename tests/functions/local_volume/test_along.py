"""Functions along a line: the same values, and the first layer's products made once."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from torch import nn

import models
from bayes_vs_sgd import Network
from bayes_vs_sgd.conjugate.features import unflatten
from bayes_vs_sgd.functions.local_volume.along import along

RNG = np.random.default_rng(0)
MATRIX, VECTOR = RNG.normal(size=(3, 6)), RNG.normal(size=6)
IMAGES = RNG.normal(size=(2, 1, 6, 6))


def of_network(module: nn.Module, x: np.ndarray) -> tuple[Callable[[Any], Any], int]:
    network = Network(module, x[:1])
    size = sum(int(np.prod(shape)) for shape in network.shapes.values())
    return lambda z: network.apply(unflatten(z, network.shapes), jnp.asarray(x)), size


def convolutions() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 2)
    )


CASES: dict[str, tuple[Callable[[Any], Any], int]] = {
    "network": of_network(models.MLP(6, 5, 2, depth=2), MATRIX),
    "convolutions": of_network(convolutions(), IMAGES),
    "convolution": (
        lambda z: jax.lax.conv(jnp.asarray(IMAGES), z.reshape(1, 1, 2, 3), (1, 1), "VALID"),
        6,
    ),
    "affine alone": (lambda z: MATRIX @ z + 1.0, 6),
    "constant minus affine": (lambda z: VECTOR - 2 * z, 6),
    "sums and differences of two": (lambda z: (z[:3] - 3 * z[3:]) + (MATRIX @ z - z[0]), 6),
    "number minus affine": (lambda z: 1.0 - z, 6),
    "quotients": (lambda z: jnp.stack([z / VECTOR, VECTOR / (z + 40), 1 / (z**2 + 1)]), 6),
    "products of two": (lambda z: jnp.outer(z, z) @ VECTOR + z * (MATRIX @ z)[0], 6),
    "shapes": (lambda z: jnp.flip(z.reshape(2, 3).T, 0)[:, 1].sum() + z[None].squeeze(), 6),
    "transposes": (
        lambda z: (
            (jnp.abs(z.reshape(2, 3).T).T @ MATRIX[:, :3] @ z.reshape(3, 2)).T
            + jax.nn.relu(z.reshape(1, 3, 2).transpose(2, 0, 1).transpose(1, 0, 2))[0, :, :2]
            + (MATRIX[:2] @ (z.reshape(2, 3).T.reshape(6) - z)).T
        ),
        6,
    ),
    "control flow": (
        lambda z: jax.lax.cond(
            z.sum() > 0,
            lambda a: jax.lax.fori_loop(0, 3, lambda i, b: jnp.sin(b + i), a),
            lambda a: -a,
            MATRIX.T @ (MATRIX @ z),
        ),
        6,
    ),
    "whole numbers": (lambda z: (z * 3).astype(jnp.int32) // 2 + jnp.argsort(z), 6),
    "another derivative": (lambda z: jax.nn.relu(MATRIX @ z) + jax.nn.silu(z[:3]), 6),
    "itself": (lambda z: z, 6),
    "nothing of it": (lambda z: jnp.asarray(VECTOR), 6),
}


@pytest.mark.parametrize("name", CASES)
def test_the_values_along_a_line_are_those_of_the_function(name: str, float64: None) -> None:
    function, size = CASES[name]
    rng = np.random.default_rng(1)
    place, direction = jnp.asarray(rng.normal(size=(2, size)))

    @jax.jit
    def many(place: Any, direction: Any, radii: Any) -> Any:
        at = along(function, place, direction)
        return jax.lax.map(at, radii)

    radii = jnp.array([0.0, 0.3, -2.0, 50.0])
    for radius, found in zip(radii, many(place, direction, radii), strict=True):
        np.testing.assert_allclose(found, function(place + radius * direction), rtol=1e-9)


def products(function: Callable[[Any], Any], argument: Any) -> int:
    return str(jax.make_jaxpr(function)(argument)).count("dot_general")


def test_products_of_the_first_layer_are_made_once(float64: None) -> None:
    function, size = CASES["network"]
    place, direction = jnp.ones(size), jnp.arange(size) / size
    assert products(function, place) == 3
    assert products(along(function, place, direction), jnp.asarray(0.5)) == 2
    function, size = CASES["convolutions"]
    place, direction = jnp.ones(size), jnp.arange(size) / size
    assert "conv_general_dilated" not in str(
        jax.make_jaxpr(along(function, place, direction))(jnp.asarray(0.5))
    )
    assert products(along(function, place, direction), jnp.asarray(0.5)) == 1
