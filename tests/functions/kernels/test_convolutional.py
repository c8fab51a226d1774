"""Kernels of convolutional networks: identities, loops over positions, finite networks."""

from itertools import product
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from bayes_vs_sgd.functions.kernels import Convolutional, FullyConnected
from bayes_vs_sgd.functions.kernels.positions import Padding, filter_mean, size_after
from tests.conftest import within

from .wide import Finite, mean_kernels

RNG = np.random.default_rng(0)
IMAGES, SEQUENCES = RNG.normal(size=(3, 2, 4, 3)), RNG.normal(size=(3, 2, 5))
pytestmark = pytest.mark.usefixtures("float64")


@pytest.mark.parametrize("readout", ["flatten", "pool"])
@pytest.mark.parametrize(("filter_size", "padding"), [(1, "valid"), (1, "same"), (3, "circular")])
def test_an_image_of_one_pixel_is_a_fully_connected_network(
    readout: Any, filter_size: int, padding: Padding
) -> None:
    """Round about one pixel every offset of the filter meets it again."""
    settings = Convolutional(2, 1.3, 0.4, filter_size=filter_size, padding=padding, readout=readout)
    x = IMAGES[:, :, :1, :1]
    for found, exact in zip(
        settings.kernels(x), FullyConnected(2, 1.3, 0.4).kernels(x), strict=True
    ):
        np.testing.assert_allclose(found, exact, rtol=1e-12)


@pytest.mark.parametrize("readout", ["flatten", "pool"])
def test_images_of_one_colour_are_their_pixel(readout: Any) -> None:
    settings = Convolutional(2, 1.3, 0.4, padding="circular", readout=readout)
    pixels = IMAGES[:, :, 0, 0]
    images = np.broadcast_to(pixels[:, :, None, None], (3, 2, 4, 3))
    for found, exact in zip(
        settings.kernels(images), FullyConnected(2, 1.3, 0.4).kernels(pixels), strict=True
    ):
        np.testing.assert_allclose(found, exact, rtol=1e-9)


def test_pooling_does_not_see_where_a_circular_image_begins() -> None:
    settings = Convolutional(2, 1.3, 0.4, padding="circular", readout="pool")
    moved = np.roll(IMAGES, (1, 2), axis=(2, 3))
    for found, exact in zip(settings.kernels(moved, IMAGES), settings.kernels(IMAGES), strict=True):
        np.testing.assert_allclose(found, exact, rtol=1e-9)


@pytest.mark.parametrize("padding", ["same", "circular", "valid"])
@pytest.mark.parametrize(("filter_size", "stride"), [(3, 1), (2, 1), (3, 2), (2, 3)])
def test_the_mean_over_a_filter_is_that_of_loops(
    padding: Padding, filter_size: int, stride: int
) -> None:
    sizes, q = (5, 4), filter_size
    covariance = RNG.normal(size=(2, *sizes, *sizes))
    before = 0 if padding == "valid" else (q - 1) // 2
    outs = [size_after(s, filter_size=q, stride=stride, padding=padding) for s in sizes]
    settings = {"n_dims": 2, "filter_size": q, "stride": stride, "padding": padding}
    found = filter_mean(covariance, n_copies=2, **settings)
    assert found.shape == (2, *outs, *outs)
    expected = np.zeros((2, *outs, *outs))
    for p in product(*map(range, (*outs, *outs))):
        for offset in product(range(q), repeat=2):
            at = [stride * i - before + offset[d % 2] for d, i in enumerate(p)]
            if padding == "circular":
                at = [a % sizes[d % 2] for d, a in enumerate(at)]
            if all(0 <= a < sizes[d % 2] for d, a in enumerate(at)):
                expected[(slice(None), *p)] += covariance[(slice(None), *at)] / q**2
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
    diagonal = jnp.einsum("bijij->bij", covariance)
    alone = filter_mean(diagonal, n_copies=1, **settings)
    np.testing.assert_allclose(alone, np.einsum("bijij->bij", found), rtol=1e-12, atol=1e-14)


ONE_LAYER = [
    pytest.param(
        Convolutional(1, 1.5, 0.5, "erf", padding="circular", readout="pool"),
        IMAGES,
        marks=pytest.mark.slow,
    ),
    pytest.param(
        Convolutional(1, 1.5, 0.5, padding="valid", filter_size=2, readout="pool"),
        IMAGES,
        marks=pytest.mark.slow,
    ),
    pytest.param(
        Convolutional(1, 1.5, 0.5, strides=2, readout="pool", bias_multiplier=1.0),
        IMAGES,
        marks=pytest.mark.slow,
    ),
    (Convolutional(1, 1.5, 0.0, "erf", filter_size=2, strides=2, weight_multiplier=1.0), SEQUENCES),
    pytest.param(
        Convolutional(1, 1.5, 0.5, padding="circular", filter_size=4, readout="pool"),
        SEQUENCES,
        marks=pytest.mark.slow,
    ),
]


@pytest.mark.parametrize(("settings", "x"), ONE_LAYER)
def test_one_layer_of_any_number_of_channels_has_these_kernels_on_average(
    settings: Convolutional, x: np.ndarray
) -> None:
    network = Finite(settings, x.shape[1:], width=6)
    mean, sem = mean_kernels(network, x, n_draws=1500)
    within(mean, np.stack(settings.kernels(x)), sem)


@pytest.mark.parametrize(
    ("settings", "x"),
    [
        (Convolutional(2, 1.5, 0.5, strides=(2, 1), readout="pool"), SEQUENCES),
        (Convolutional(2, 1.5, 0.5, "erf", padding="valid", filter_size=2), SEQUENCES),
    ],
)
def test_two_layers_tend_to_these_kernels(settings: Convolutional, x: np.ndarray) -> None:
    """Twice the mean at width 2w less that at width w leaves 1/w², which is below the errors here."""
    means, sems = [], []
    for width in (8, 16):
        network = Finite(settings, x.shape[1:], width)
        mean, sem = mean_kernels(network, x, n_draws=3000, seed=width)
        means.append(mean)
        sems.append(sem)
    exact = np.stack(settings.kernels(x))
    within(2 * means[1] - means[0], exact, np.hypot(2 * sems[1], sems[0]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": 0}, "depth=0"),
        ({"filter_size": 0}, "filter_size=0"),
        ({"padding": "reflect"}, "padding='reflect'"),
        ({"readout": "max"}, "readout='max'"),
        ({"strides": (1, 2)}, "strides has 2 entries and the network 1"),
        ({"strides": 0}, "strides=0"),
        ({"activation": "tanh"}, "activation='tanh'"),
    ],
)
def test_settings_without_a_kernel_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Convolutional(**change)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones((2, 3)), r"rows of x have shape \(3,\)"),
        (np.ones((2, 1, 4, 4)), "smaller than the filters of layer 2"),
    ],
)
def test_inputs_that_are_no_images_or_too_small_are_refused(x: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Convolutional(2, padding="valid").kernels(x)
