import numpy as np
import pytest

from bayes_vs_sgd.functions.comparison import align

WIDE = np.iinfo(np.uint64).max


@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
def test_every_function_stands_once_with_the_values_of_both_tables(dtype: type) -> None:
    rng = np.random.default_rng(0)
    # Few values a word, so that words alone do not tell keys apart.
    pool = np.unique(rng.integers(0, 4, size=(60, 3)).astype(dtype), axis=0)
    a, b = (rng.permutation(pool)[:n] for n in (20, 30))
    found = align(a, b)
    keys = [tuple(key) for key in found.functions]
    assert keys == sorted({tuple(k) for k in a} | {tuple(k) for k in b})
    np.testing.assert_array_equal(found.functions[found.rows_a], a)
    np.testing.assert_array_equal(found.functions[found.rows_b], b)


def test_values_are_placed_with_zeros_elsewhere() -> None:
    found = align(np.array([[3], [WIDE]], np.uint64), np.array([[WIDE], [0]], np.uint64))
    np.testing.assert_array_equal(found.functions, np.array([[0], [3], [WIDE]], np.uint64))
    np.testing.assert_array_equal(found.a(np.array([[7, 8], [1, 2]])), [[0, 7, 8], [0, 1, 2]])
    np.testing.assert_array_equal(found.b(np.array([5, 6])), [6, 0, 5])


def test_an_empty_table_is_a_table() -> None:
    found = align(np.zeros((0, 2), np.uint32), np.array([[1, 2]], np.uint32))
    assert found.n_functions == 1
    np.testing.assert_array_equal(found.a(np.zeros((4, 0))), np.zeros((4, 1)))


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.array([[1]]), np.array([[1]], np.uint64), "keys_a has shape .* int64"),
        (np.array([1], np.uint64), np.array([[1]], np.uint64), r"keys_a has shape \(1,\)"),
        (np.ones((1, 2), np.uint64), np.ones((1, 1), np.uint64), "2 words .* 1 of"),
        (np.ones((1, 1), np.uint32), np.ones((1, 1), np.uint64), "uint32 and keys_b"),
        (np.ones((1, 1), np.uint64), np.ones((3, 1), np.uint64), "keys_b repeats 2"),
    ],
)
def test_tables_that_do_not_belong_together_are_refused(
    a: np.ndarray, b: np.ndarray, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        align(a, b)


def test_values_of_another_table_are_refused() -> None:
    found = align(np.ones((1, 1), np.uint64), np.ones((1, 1), np.uint64))
    with pytest.raises(ValueError, match="first table 1 functions"):
        found.a(np.ones((2, 3)))
