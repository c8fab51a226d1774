from pathlib import Path

import numpy as np
import pytest

from bayes_vs_sgd import data

RNG = np.random.default_rng(0)


def save(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path / "mine.npz", **arrays)
    return path / "mine.npz"


ARRAYS = {
    "x_train": RNG.random((20, 2, 3)),
    "y_train": np.arange(20) % 3,
    "x_test": RNG.random((10, 2, 3)),
    "y_test": np.arange(10) % 3,
}


def test_digits_are_a_standardised_split_with_clean_test_labels() -> None:
    clean, noisy = data.digits(label_noise=0.0), data.digits(label_noise=0.2)
    assert noisy.x_train.shape == (400, 64)
    assert noisy.x_test.shape == (1397, 64)
    assert abs(noisy.x_train.mean()) < 1e-5
    assert noisy.x_train.std() == pytest.approx(1, abs=1e-4)
    np.testing.assert_array_equal(clean.x_train, noisy.x_train)
    np.testing.assert_array_equal(clean.y_test, noisy.y_test)
    assert noisy.noisy.sum() == 80
    assert (clean.y_train != noisy.y_train)[~noisy.noisy].sum() == 0


def test_redrawn_labels_keep_their_class_one_time_in_ten() -> None:
    labels = RNG.integers(0, 10, 50_000)
    new, redrawn = data.symmetric(labels, 0.5, 10, np.random.default_rng(1))
    kept = (new == labels)[redrawn].mean()
    assert redrawn.sum() == 25_000
    assert abs(kept - 0.1) < 5 * (0.09 / 25_000) ** 0.5
    assert (
        abs(np.bincount(new[redrawn], minlength=10) / 25_000 - 0.1).max()
        < 5 * (0.09 / 25_000) ** 0.5
    )


def test_seeds_choose_rows_and_noise() -> None:
    a, again, other = (data.digits(seed=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(a.y_train, again.y_train)
    assert not np.array_equal(a.x_train, other.x_train)


def test_a_file_with_both_parts_is_read(tmp_path: Path) -> None:
    found = data.from_npz(save(tmp_path, **ARRAYS), n_train=8, n_test=5)
    assert (found.x_train.shape, found.x_test.shape) == ((8, 2, 3), (5, 2, 3))
    assert found.n_classes == 3
    assert found.x_train.dtype == np.float32


def test_a_file_with_one_part_is_split(tmp_path: Path) -> None:
    path = save(tmp_path, x=ARRAYS["x_train"], y=ARRAYS["y_train"])
    found = data.from_npz(path, n_train=12, n_test=6)
    assert (len(found.x_train), len(found.x_test)) == (12, 6)


def test_real_images_are_read(shared_data: Path) -> None:
    found = data.from_npz(shared_data / "mnist.npz", n_train=500, n_test=100, label_noise=0.2)
    assert found.x_train.shape == (500, 28, 28)
    assert found.n_classes == 10


BAD = ARRAYS["x_train"].copy()
BAD[3, 0, 0] = np.nan


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": BAD}, "x_train of mine.npz holds 1 values that are NaN"),
        ({"y_train": ARRAYS["y_train"] - 1}, "integer classes 0, 1, …"),
        ({"y_test": ARRAYS["y_test"] / 2}, "integer classes"),
        ({"y_train": np.arange(19) % 3}, "20 rows and y_train has 19"),
        ({"x_train": np.ones((20, 2, 3))}, "all equal"),
        ({"x_test": np.full((10, 2), "a")}, "must hold numbers"),
    ],
)
def test_bad_files_are_refused_in_a_sentence(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        data.from_npz(save(tmp_path, **(ARRAYS | changes)))


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no file"):
        data.from_npz(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(ValueError, match="file of plain arrays"):
        data.from_npz(tmp_path / "text.npz")
    np.savez(tmp_path / "pickled.npz", x=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="plain arrays"):
        data.from_npz(tmp_path / "pickled.npz")
    with pytest.raises(ValueError, match="has no x_test, y_test"):
        data.from_npz(save(tmp_path, x_train=ARRAYS["x_train"], y_train=ARRAYS["y_train"]))
    with pytest.raises(ValueError, match="n_train=21"):
        data.from_npz(save(tmp_path, **ARRAYS), n_train=21)


@pytest.mark.parametrize("changes", [{"n_train": 1797}, {"n_train": 0}, {"label_noise": 1.5}])
def test_digits_that_are_not_possible_are_refused(changes: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        data.digits(**changes)
