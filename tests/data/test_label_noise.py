import zlib
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from bayes_vs_sgd import Dataset, data

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(200, 3)), np.arange(200) % 5
PARTS = {"x_train": X, "y_train": Y, "x_test": X[:50], "y_test": Y[:50]}


def split(label_noise: float | data.LabelNoise, n_train: int = 100, seed: int = 0) -> Dataset:
    return data.split(X, Y, n_train=n_train, label_noise=label_noise, seed=seed)


def checksum(values: np.ndarray) -> int:
    return zlib.crc32(values.tobytes())


def test_the_digits_of_a_seed_are_those_of_the_written_rule() -> None:
    x, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    order = rng.permutation(1797)
    rows, test_rows = order[:400], order[400:]
    redrawn = rng.permutation(400)[:80]
    fresh = rng.integers(0, 10, 400)
    labels = y[rows].copy()
    labels[redrawn] = fresh[redrawn]
    found = data.digits(400, 0.2, 0)
    np.testing.assert_array_equal(found.y_train, labels)
    np.testing.assert_array_equal(np.flatnonzero(found.noisy), np.sort(redrawn))
    np.testing.assert_array_equal(found.y_test, y[test_rows])
    center, scale = x[rows].mean(), x[rows].std()
    for part, chosen in ((found.x_train, rows), (found.x_test, test_rows)):
        np.testing.assert_array_equal(part, ((x[chosen] - center) / scale).astype(np.float32))


def test_the_digits_of_a_seed_stay_the_same_from_version_to_version() -> None:
    found = data.digits(400, 0.2, 0)
    assert checksum(found.y_train) == 3104609958
    assert checksum(found.y_test) == 2117304651
    assert checksum(found.noisy) == 4188282713


def test_a_file_of_a_seed_is_read_by_the_written_rule(tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", **PARTS)
    rng = np.random.default_rng(3)
    rows, test_rows = rng.permutation(200)[:60], rng.permutation(50)[:20]
    redrawn = rng.permutation(60)[:15]
    fresh = rng.integers(0, 5, 60)
    labels = Y[rows].copy()
    labels[redrawn] = fresh[redrawn]
    found = data.from_npz(tmp_path / "mine.npz", n_train=60, n_test=20, label_noise=0.25, seed=3)
    np.testing.assert_array_equal(found.y_train, labels)
    np.testing.assert_array_equal(found.y_test, Y[test_rows])
    expected = (X[test_rows] - X[rows].mean()) / X[rows].std()
    np.testing.assert_array_equal(found.x_test, expected.astype(np.float32))


def test_a_fraction_is_symmetric_noise() -> None:
    short, long = split(0.3), split(data.Symmetric(0.3))
    np.testing.assert_array_equal(short.y_train, long.y_train)
    np.testing.assert_array_equal(short.noisy, long.noisy)
    np.testing.assert_array_equal(short.y_test_noisy, long.y_test_noisy)


@pytest.mark.parametrize("fraction", [0.2, 0.5, 1.0])
def test_pairwise_noise_moves_a_fraction_on_by_one_class(fraction: float) -> None:
    clean, noisy = split(0.0), split(data.Pairwise(fraction))
    moved = noisy.y_train != clean.y_train
    np.testing.assert_array_equal(moved, noisy.noisy)
    assert moved.sum() == round(100 * fraction)
    np.testing.assert_array_equal(noisy.y_train[moved], (clean.y_train[moved] + 1) % 5)
    test_moved = noisy.y_test_noisy != noisy.y_test
    assert test_moved.sum() == round(100 * fraction)
    np.testing.assert_array_equal(
        noisy.y_test_noisy[test_moved], (noisy.y_test[test_moved] + 1) % 5
    )


def test_every_class_comes_into_pairwise_noise_and_the_last_becomes_the_first() -> None:
    clean, noisy = split(0.0), split(data.Pairwise(1.0))
    pairs = {(int(a), int(b)) for a, b in zip(clean.y_train, noisy.y_train, strict=True)}
    assert pairs == {(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)}


def test_test_labels_have_symmetric_noise_of_the_same_fraction() -> None:
    found = data.digits(100, 0.4, 1)
    n = len(found.y_test)
    changed = (found.y_test_noisy != found.y_test).mean()
    # Of the 40 % redrawn a tenth keeps its class; which rows are redrawn is fixed in number.
    sem = 0.4 * (0.1 * 0.9 / (0.4 * n)) ** 0.5
    assert abs(changed - 0.36) < 5 * sem


@pytest.mark.parametrize("noise", [0.4, data.Pairwise(0.4)])
def test_noise_on_test_labels_is_chosen_by_the_seed(noise: float | data.LabelNoise) -> None:
    a, again, other = (split(noise, seed=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(a.y_test_noisy, again.y_test_noisy)
    moved, other_moved = (d.y_test_noisy != d.y_test for d in (a, other))
    assert not np.array_equal(moved, other_moved)


def test_noise_on_test_labels_is_independent_of_that_on_training_labels() -> None:
    found = split(data.Pairwise(0.5))
    assert len(found.y_test) == len(found.y_train)
    agreement = (found.noisy == (found.y_test_noisy != found.y_test)).mean()
    # Two random halves of 100 places agree in half of them, with a hypergeometric spread of 5 %.
    assert abs(agreement - 0.5) < 5 * 0.0503


@pytest.mark.parametrize("noise", [0, 0.0, data.Symmetric(0.0), data.Pairwise(0.0)])
def test_without_noise_there_are_no_noisy_labels(noise: float | data.LabelNoise) -> None:
    found = split(noise)
    assert found.y_test_noisy is None
    assert not found.noisy.any()
    np.testing.assert_array_equal(found.y_train, split(0.0).y_train)


def written(path: Path, kind: str, labels: np.ndarray) -> Path:
    path = path / f"labels{kind}"
    if kind == ".npy":
        np.save(path, labels)
    elif kind == ".npz":
        np.savez(path, y_train_noisy=labels, other=np.zeros(3))
    else:
        path.write_text("\n".join(str(label) for label in labels) + "\n")
    return path


@pytest.mark.parametrize("kind", [".npy", ".npz", ".txt", ".csv"])
def test_labels_from_a_file_belong_to_the_rows_of_the_source(tmp_path: Path, kind: str) -> None:
    noisy_labels = np.where(np.arange(200) % 4 == 0, (Y + 2) % 5, Y).astype(np.uint8)
    np.savez(tmp_path / "mine.npz", **PARTS | {"x_train": np.arange(200.0)[:, None]})
    noise = data.FromFile(written(tmp_path, kind, noisy_labels))
    for seed in (0, 1):
        found = data.from_npz(tmp_path / "mine.npz", n_train=70, label_noise=noise, seed=seed)
        rows = np.random.default_rng(seed).permutation(200)[:70]
        np.testing.assert_array_equal(found.y_train, noisy_labels[rows])
        np.testing.assert_array_equal(found.noisy, rows % 4 == 0)
        assert found.y_train.dtype == np.int64
        assert found.y_test_noisy is None


def test_labels_from_a_file_reach_data_that_are_split(tmp_path: Path) -> None:
    noise = data.FromFile(written(tmp_path, ".npy", (Y + 1) % 5))
    clean, found = split(0.0), split(noise)
    np.testing.assert_array_equal(found.y_train, (clean.y_train + 1) % 5)
    np.testing.assert_array_equal(found.x_train, clean.x_train)
    assert found.noisy.all()


def test_every_choice_of_rows_has_the_classes_of_the_whole_source(tmp_path: Path) -> None:
    labels = np.zeros(200, int)
    unchosen = np.random.default_rng(0).permutation(200)[-1]
    labels[unchosen] = 4
    np.savez(tmp_path / "mine.npz", **PARTS | {"y_train": labels, "y_test": np.zeros(50, int)})
    assert data.from_npz(tmp_path / "mine.npz", n_train=20).n_classes == 5
    np.savez(tmp_path / "split.npz", x=RNG.normal(size=(200, 3)), y=labels)
    assert data.from_npz(tmp_path / "split.npz", n_train=20, n_test=5).n_classes == 5


def test_an_only_array_of_an_npz_needs_no_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "only.npz", anything=(Y + 1) % 5)
    assert split(data.FromFile(tmp_path / "only.npz")).noisy.all()


@pytest.mark.parametrize(
    ("kind", "labels", "message"),
    [
        (".npy", Y[:-1], "holds 199 labels and the data have 200 rows"),
        (".txt", Y[:-1], "holds 199 labels"),
        (".npy", Y + 1, "labels from 1 to 5, outside the classes 0…4"),
        (".csv", Y - 1, "labels from -1 to 3"),
        (".npy", Y / 2, "must hold one column of integers; it has dtype float64"),
        (".npy", Y[:, None], "shape"),
        (".csv", Y / 2, "cannot be read as labels"),
        (".npy", np.array([{}], dtype=object), "cannot be read as labels"),
        (".txt", Y[:0], "must hold one column of integers"),
    ],
)
def test_files_that_hold_no_labels_are_refused(
    tmp_path: Path, kind: str, labels: np.ndarray, message: str
) -> None:
    with pytest.raises(ValueError, match=f"label_noise.*{message}"):
        split(data.FromFile(written(tmp_path, kind, labels)))


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no file .*none\.npy"):
        split(data.FromFile(tmp_path / "none.npy"))
    with pytest.raises(ValueError, match=r"name one in \.npy, \.npz, \.txt or \.csv"):
        split(data.FromFile(tmp_path / "labels.pt"))
    np.savez(tmp_path / "two.npz", a=Y, b=Y)
    with pytest.raises(ValueError, match="y_train_noisy or alone"):
        split(data.FromFile(tmp_path / "two.npz"))
    for kind in (".npy", ".npz", ".txt"):
        (tmp_path / f"broken{kind}").write_bytes(b"\x93\xff\x00 nothing")
        with pytest.raises(ValueError, match="cannot be read as labels"):
            split(data.FromFile(tmp_path / f"broken{kind}"))


@pytest.mark.parametrize("noise", ["symmetric", None, data.Symmetric, 1.5, float("nan")])
def test_what_is_no_label_noise_is_refused(noise: object) -> None:
    with pytest.raises(ValueError, match="label_noise="):
        split(noise)  # type: ignore[arg-type]


@pytest.mark.parametrize("setting", [data.Symmetric, data.Pairwise])
def test_fractions_outside_the_unit_interval_are_refused(setting: type) -> None:
    with pytest.raises(ValueError, match=r"fraction=-0\.1"):
        setting(-0.1)


def test_pairwise_noise_on_one_class_is_refused() -> None:
    with pytest.raises(ValueError, match="n_classes=1"):
        data.split(X, np.zeros(200, int), n_train=100, label_noise=data.Pairwise(0.1))


def test_noisy_test_labels_are_checked_as_the_clean_ones() -> None:
    x, y = X[:4].astype(np.float32), np.array([0, 1, 2, 1])
    with pytest.raises(ValueError, match="y_test_noisy has 3"):
        Dataset(x, y, x, y, n_classes=3, y_test_noisy=y[:3])
    with pytest.raises(ValueError, match="y_test_noisy has labels from 1 to 3"):
        Dataset(x, y, x, y, n_classes=3, y_test_noisy=y + 1)
    with pytest.raises(ValueError, match="y_test_noisy is float64"):
        Dataset(x, y, x, y, n_classes=3, y_test_noisy=y / 1)
    with pytest.raises(ValueError, match="y_test_noisy holds 1 values that are NaN"):
        Dataset(x, y, x, y, y_test_noisy=np.array([0, 1, np.nan, 2]))
