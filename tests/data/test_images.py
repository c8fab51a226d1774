import numpy as np
import pytest

from bayes_vs_sgd import Dataset, data

RNG = np.random.default_rng(0)


def images(x: np.ndarray) -> Dataset:
    y = np.arange(len(x)) % 2
    return data.images(Dataset(x, y, x[:2], y[:2], n_classes=2, name="some", y_test_noisy=y[:2]))


def test_flat_digits_become_eight_by_eight_pixels() -> None:
    flat = data.digits(20, 0.0, n_test=10)
    found = data.images(flat)
    assert (found.x_train.shape, found.x_test.shape) == ((20, 1, 8, 8), (10, 1, 8, 8))
    np.testing.assert_array_equal(found.x_train.reshape(20, 64), flat.x_train)
    np.testing.assert_array_equal(found.x_test[3, 0, 2], flat.x_test[3, 16:24])


def test_images_without_channels_get_one() -> None:
    x = RNG.random((5, 6, 7))
    found = images(x)
    np.testing.assert_array_equal(found.x_train, x[:, None].astype(np.float32))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_move_from_the_last_place_to_the_second(channels: int) -> None:
    x = RNG.random((5, 6, 7, channels)).astype(np.float32)
    found = images(x)
    assert found.x_train.shape == (5, channels, 6, 7)
    for channel in range(channels):
        np.testing.assert_array_equal(found.x_train[:, channel], x[..., channel])
    assert found.x_train.flags.c_contiguous


@pytest.mark.parametrize("shape", [(5, 3, 6, 7), (5, 1, 4, 4), (5, 3, 3, 3)])
def test_channels_in_the_second_place_stay(shape: tuple[int, ...]) -> None:
    x = RNG.random(shape).astype(np.float32)
    np.testing.assert_array_equal(images(x).x_train, x)


@pytest.mark.parametrize("shape", [(5, 16), (5, 4, 4), (5, 9, 9, 3)])
def test_images_of_images_are_the_same(shape: tuple[int, ...]) -> None:
    once = images(RNG.random(shape))
    np.testing.assert_array_equal(data.images(once).x_train, once.x_train)


def test_all_but_the_inputs_is_kept() -> None:
    found = images(RNG.integers(0, 9, (5, 4, 4)))
    assert found.x_train.dtype == np.float32
    assert (found.name, found.n_classes) == ("some", 2)
    np.testing.assert_array_equal(found.y_test_noisy, [0, 1])


@pytest.mark.parametrize("shape", [(5, 12), (5,), (5, 6, 7, 2), (5, 2, 6, 7), (5, 1, 1, 1, 1)])
def test_inputs_that_are_no_images_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"x_train of shape .* holds no images"):
        images(RNG.random(shape))
