import numpy as np
import pytest

from bayes_vs_sgd import data


def test_bit_i_stands_for_the_input_whose_digits_spell_i() -> None:
    target = "0110100110010110"
    dataset = data.boolean(target, "1" * 15 + "0")
    for x, y in zip(dataset.x_train, dataset.y_train, strict=True):
        i = int("".join(str(int(digit)) for digit in x), 2)
        assert y == int(target[i])
    assert dataset.x_test.tolist() == [[1, 1, 1, 1]]
    assert dataset.y_test.tolist() == [0]
    assert dataset.n_classes == 2


def test_the_first_variable_changes_slowest() -> None:
    inputs = data.boolean_inputs(3)
    assert inputs.dtype == np.float32
    assert inputs[:, 0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert inputs[:, 2].tolist() == [0, 1] * 4


def test_rows_are_drawn_by_the_seed_or_named_by_the_mask() -> None:
    a, b, c = (data.boolean("0011" * 8, n_train=10, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(a.x_train, b.x_train)
    assert not np.array_equal(a.x_train, c.x_train)
    assert (len(a.x_train), len(a.x_test)) == (10, 22)
    named = data.boolean("0011", "0110")
    assert named.x_train.tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("0021", "0110"), "no string of 0 and 1"),
        (("001", "011"), "pass 2ⁿ of them"),
        (("0011", "01100000"), "train_mask has 8 bits and target has 4"),
        (("0011", "1111"), "leave at least one on each side"),
        (("0011", "0000"), "leave at least one on each side"),
        (("0011",), "either train_mask or n_train"),
        (("", "1"), "no string of 0 and 1"),
    ],
)
def test_strings_that_are_no_table_are_refused(arguments: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        data.boolean(*arguments)


def test_counts_that_are_not_possible_are_refused() -> None:
    with pytest.raises(ValueError, match="leaves none of the 4 rows"):
        data.boolean("0011", n_train=4)
    with pytest.raises(ValueError, match="pass at most 16"):
        data.boolean_inputs(17)
