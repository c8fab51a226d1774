"""LZ76 against its definition, on every short string and on long ones of every structure."""

import itertools
import math

import numpy as np
import pytest

from bayes_vs_sgd.functions import complexity


def words(s: str) -> list[str]:
    """The exhaustive history by its definition, with the substring search of Python."""
    found, start = [], 0
    while start < len(s):
        end = start + 1
        while end < len(s) and s[start:end] in s[: end - 1]:
            end += 1
        found.append(s[start:end])
        start = end
    return found


def rows(strings: list[str]) -> np.ndarray:
    return np.array([[ord(c) - ord("0") for c in s] for s in strings], dtype=np.uint8)


def expected(s: str) -> float:
    if len(set(s)) == 1:
        return math.log2(len(s))
    return math.log2(len(s)) * (len(words(s)) + len(words(s[::-1]))) / 2


@pytest.mark.parametrize("length", range(1, 13))
def test_every_binary_string_up_to_length_12_has_the_complexity_of_the_definition(
    length: int,
) -> None:
    strings = ["".join(s) for s in itertools.product("01", repeat=length)]
    assert complexity.n_words(rows(strings)).tolist() == [len(words(s)) for s in strings]
    np.testing.assert_array_equal(
        complexity.lempel_ziv(rows(strings)), [expected(s) for s in strings]
    )


@pytest.mark.parametrize("alphabet", ["012", "01234"])
def test_every_short_string_of_several_classes_has_the_complexity_of_the_definition(
    alphabet: str,
) -> None:
    strings = ["".join(s) for s in itertools.product(alphabet, repeat=5)]
    np.testing.assert_array_equal(
        complexity.lempel_ziv(rows(strings)), [expected(s) for s in strings]
    )


@pytest.mark.parametrize("length", [63, 64, 65, 127, 128, 129, 200])
def test_long_strings_with_and_without_structure_have_the_complexity_of_the_definition(
    length: int,
) -> None:
    """Words longer than 64 and places on either side of a machine word's edge."""
    rng = np.random.default_rng(length)
    draw = lambda n: "".join(rng.choice(["0", "1"], n))  # noqa: E731
    strings = [draw(length) for _ in range(20)]
    for period in (1, 2, 3, 7, 31, 63, 64, 66):
        strings += [(draw(period) * length)[:length] for _ in range(5)]
    for n_rare in (1, 2, 4):
        for _ in range(10):
            rare = set(rng.choice(length, n_rare).tolist())
            strings.append("".join("1" if i in rare else "0" for i in range(length)))
    np.testing.assert_array_equal(
        complexity.lempel_ziv(rows(strings)), [expected(s) for s in strings]
    )


@pytest.mark.parametrize(
    ("string", "history"),
    [
        ("0001101001000101", "0.001.10.100.1000.101"),
        ("0000000000", "0.000000000"),
        ("0101010101", "0.1.01010101"),
        ("0011" * 4, "0.01.10.01100110011"),
    ],
)
def test_known_strings_have_the_known_words(string: str, history: str) -> None:
    """The first is the example of Lempel and Ziv, and of Kaspar and Schuster."""
    assert ".".join(words(string)) == history
    assert complexity.n_words(rows([string])).tolist() == [history.count(".") + 1]


def test_functions_of_seven_bits_have_the_published_scale() -> None:
    """log₂ 128 = 7 a word: 7 for the constants, 21 for one input alone, 28 for 0011 repeated."""
    strings = ["0" * 128, "1" * 128, "01" * 64, "0011" * 32]
    assert complexity.lempel_ziv(rows(strings)).tolist() == [7, 7, 21, 28]


def test_renaming_the_classes_and_reading_backwards_change_nothing() -> None:
    bits = np.random.default_rng(0).integers(0, 2, (200, 50))
    value = complexity.lempel_ziv(bits)
    assert len(set(value)) > 5
    np.testing.assert_array_equal(complexity.lempel_ziv(1 - bits), value)
    np.testing.assert_array_equal(complexity.lempel_ziv(bits[:, ::-1]), value)


def test_more_functions_than_a_block_are_measured_one_like_another() -> None:
    bits = np.random.default_rng(1).integers(0, 2, (200, 40)).astype(bool)
    many = np.tile(bits, (60, 1))
    np.testing.assert_array_equal(
        complexity.lempel_ziv(many), np.tile(complexity.lempel_ziv(bits), 60)
    )
