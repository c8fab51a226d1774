from pathlib import Path

import numpy as np
import pytest

from bayes_vs_sgd import data

RNG = np.random.default_rng(0)
N = 40
X = RNG.normal(3.0, [1.0, 10.0, 0.1], size=(N, 3))
Y = RNG.normal(-5.0, 20.0, N)
MASK = np.zeros((4, N), bool)
MASK[np.arange(4)[:, None], np.arange(4)[:, None] + np.arange(0, N, 8)] = True
UCI = {"X": X, "y": Y, "test_mask": MASK}
PARTS = {"x_train": X[:30], "y_train": Y[:30], "x_test": X[30:], "y_test": Y[30:]}


def save(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path / "mine.npz", **arrays)
    return path / "mine.npz"


def in_order(inputs: np.ndarray, *columns: np.ndarray) -> list[np.ndarray]:
    """Rows sorted by their first input, so that two choices of rows compare."""
    order = np.argsort(inputs[:, 0])
    return [inputs[order], *(column[order] for column in columns)]


@pytest.mark.parametrize("split", [0, 3])
def test_a_split_is_the_mask_standardised_by_its_training_rows(tmp_path: Path, split: int) -> None:
    found = data.uci(save(tmp_path, **UCI), split=split)
    train = ~MASK[split]
    center, scale = X[train].mean(axis=0), X[train].std(axis=0)
    y_center, y_scale = Y[train].mean(), Y[train].std()
    for x, y, rows in (
        (found.x_train, found.y_train, train),
        (found.x_test, found.y_test, ~train),
    ):
        for a, b in zip(
            in_order(x, y),
            in_order((X[rows] - center) / scale, (Y[rows] - y_center) / y_scale),
            strict=True,
        ):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
            assert a.dtype == np.float32
    assert (found.n_classes, found.noisy, found.y_test_noisy) == (0, None, None)
    assert found.y_train.shape == (35,)
    assert found.name == "mine"


def test_fewer_rows_are_standardised_by_themselves(tmp_path: Path) -> None:
    path = save(tmp_path, **UCI)
    found, other = (data.uci(path, n_train=12, n_test=3, seed=s) for s in (0, 1))
    assert (found.x_train.shape, found.x_test.shape) == ((12, 3), (3, 3))
    np.testing.assert_allclose(found.x_train.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(found.x_train.std(axis=0), 1, rtol=1e-5)
    assert found.y_train.std() == pytest.approx(1, rel=1e-5)
    assert not np.array_equal(found.x_train, other.x_train)


def test_columns_that_training_never_sees_vary_are_zero(tmp_path: Path) -> None:
    x = X.copy()
    # The mean of 35 times 0.1 is not 0.1 in floating point.
    x[:, 1] = 0.1
    x[MASK[0], 1] = 7.0
    found = data.uci(save(tmp_path, **UCI | {"X": x}))
    assert not found.x_train[:, 1].any()
    assert not found.x_test[:, 1].any()
    np.testing.assert_allclose(found.x_train[:, [0, 2]].std(axis=0), 1, rtol=1e-5)


def test_from_npz_chooses_the_split_by_the_seed(tmp_path: Path) -> None:
    path = save(tmp_path, **UCI)
    for seed in (0, 3, 6):
        found, expected = data.from_npz(path, seed=seed), data.uci(path, split=seed % 4, seed=seed)
        for name in ("x_train", "y_train", "x_test", "y_test"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_integer_targets_under_a_mask_are_real(tmp_path: Path) -> None:
    found = data.from_npz(save(tmp_path, **UCI | {"y": np.arange(N)}))
    assert found.n_classes == 0
    assert found.y_train.std() == pytest.approx(1, rel=1e-5)


def test_float_targets_of_a_file_with_both_parts_are_regression(tmp_path: Path) -> None:
    found = data.from_npz(save(tmp_path, **PARTS))
    assert found.n_classes == 0
    [x, y] = in_order(found.x_test, found.y_test)
    [x_true, y_true] = in_order(
        (X[30:] - X[:30].mean(axis=0)) / X[:30].std(axis=0), (Y[30:] - Y[:30].mean()) / Y[:30].std()
    )
    np.testing.assert_allclose(x, x_true, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(y, y_true, rtol=1e-4, atol=1e-5)


def test_float_targets_of_a_file_with_one_part_are_split(tmp_path: Path) -> None:
    found = data.from_npz(save(tmp_path, x=X, y=Y), n_train=25)
    assert (found.y_train.shape, found.y_test.shape, found.n_classes) == ((25,), (15,), 0)
    np.testing.assert_allclose(found.x_train.std(axis=0), 1, rtol=1e-5)


def test_several_targets_are_standardised_each(tmp_path: Path) -> None:
    y = np.stack([Y, 100 * Y + 3], axis=1)
    found = data.from_npz(save(tmp_path, x=X, y=y), n_train=25)
    np.testing.assert_allclose(found.y_train[:, 0], found.y_train[:, 1], atol=1e-5)
    np.testing.assert_allclose(found.y_train.std(axis=0), 1, rtol=1e-5)


@pytest.mark.parametrize("name", ["bostonHousing", "naval-propulsion-plant", "wine-quality-red"])
def test_real_regression_sets_are_read(shared_data: Path, name: str) -> None:
    path = shared_data / "uci" / f"{name}.npz"
    with np.load(path) as file:
        mask = file["test_mask"]
        varies = file["X"][~mask[1]].std(axis=0) > 1e-9
    found = data.uci(path, split=1)
    assert (len(found.x_train), len(found.x_test)) == ((~mask[1]).sum(), mask[1].sum())
    np.testing.assert_allclose(found.x_train.std(axis=0), varies, atol=1e-4)
    np.testing.assert_allclose(found.x_train.mean(axis=0, dtype=np.float64), 0, atol=1e-4)


@pytest.mark.parametrize("split", [4, -1, 0.5])
def test_splits_that_do_not_exist_are_refused(tmp_path: Path, split: int) -> None:
    with pytest.raises(ValueError, match=f"split={split}"):
        data.uci(save(tmp_path, **UCI), split=split)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test_mask": MASK[:, :-1]}, "test_mask of mine.npz must hold True and False"),
        ({"test_mask": MASK.astype(int)}, "has dtype int64"),
        ({"test_mask": ~np.zeros_like(MASK)}, "has 0 training rows"),
        ({"test_mask": np.zeros_like(MASK)}, "and 0 test rows"),
        ({"test_mask": MASK[:0]}, "n_splits"),
        ({"y": Y[:-1]}, "40 rows and y has 39"),
        ({"y": np.full(N, 2.0)}, "targets of mine are all equal"),
        (
            {"y": np.where(np.arange(N) == 3, np.inf, Y)},
            "y of mine.npz holds 1 values that are NaN",
        ),
        ({"X": np.where(np.arange(N)[:, None] == 3, np.nan, X)}, "X of mine.npz holds 3 values"),
        ({"X": X[:, 0]}, "at least one more"),
        ({"y": Y.astype(str)}, "y of mine.npz must hold real targets"),
    ],
)
def test_files_with_impossible_splits_are_refused(
    tmp_path: Path, changes: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        data.uci(save(tmp_path, **UCI | changes))


def test_what_a_file_of_splits_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no X, test_mask"):
        data.uci(save(tmp_path, y=Y))
    with pytest.raises(ValueError, match="has no X;"):
        data.from_npz(save(tmp_path, y=Y, test_mask=MASK))


@pytest.mark.parametrize("arrays", [UCI, PARTS, {"x": X, "y": Y}])
def test_label_noise_on_real_targets_is_refused(tmp_path: Path, arrays: dict) -> None:
    path = save(tmp_path, **arrays)
    for noise in (0.1, data.Pairwise(0.1), data.FromFile("labels.npy")):
        with pytest.raises(
            ValueError, match="targets of mine are real numbers; pass label_noise=0"
        ):
            data.from_npz(path, label_noise=noise)
    assert data.from_npz(path, label_noise=data.Symmetric(0.0)).n_classes == 0


def test_real_test_targets_of_training_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"y_test of mine\.npz must be one column of integer"):
        data.from_npz(save(tmp_path, **PARTS | {"y_train": np.arange(30) % 3}))


@pytest.mark.parametrize(
    "counts", [{"n_train": 36}, {"n_train": 0}, {"n_test": 0}, {"n_test": -1}, {"seed": -1}]
)
def test_counts_that_are_not_possible_are_refused(tmp_path: Path, counts: dict) -> None:
    path = save(tmp_path, **UCI)
    for read in (data.uci, data.from_npz):
        with pytest.raises(ValueError, match=next(iter(counts))):
            read(path, **counts)
