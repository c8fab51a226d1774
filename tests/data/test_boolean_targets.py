from collections.abc import Callable
from itertools import product

import pytest

from bayes_vs_sgd.data import BOOLEAN_TARGETS, truth_table


@pytest.mark.parametrize(
    ("name", "definition"),
    [
        ("constant", lambda x: 0),
        ("and_of_three", lambda x: min(x[0], x[1], x[2])),
        ("one_variable", lambda x: x[-2]),
        ("majority", lambda x: int(x.count(1) > x.count(0))),
        ("xor_of_two", lambda x: int(x[0] != x[1])),
        ("parity_of_three", lambda x: int((x[0], x[1], x[2]).count(1) in (1, 3))),
        ("parity", lambda x: int(x.count(1) in (1, 3, 5, 7))),
    ],
)
@pytest.mark.parametrize("n_variables", [3, 4, 7])
def test_a_named_function_is_what_its_name_says(
    name: str, definition: Callable[[tuple[int, ...]], int], n_variables: int
) -> None:
    """Inputs in the order of their binary digits, the first variable the highest digit."""
    inputs = list(product((0, 1), repeat=n_variables))
    assert truth_table(name, n_variables) == "".join(str(definition(x)) for x in inputs)


def test_one_variable_is_the_target_of_the_studies() -> None:
    assert truth_table("one_variable", 7) == "0011" * 32


def test_the_random_function_is_that_of_its_seed_and_balanced() -> None:
    tables = [truth_table("random", 7, seed=seed) for seed in range(40)]
    assert tables[3] == truth_table("random", 7, seed=3)
    assert len(set(tables)) == 40
    n = 40 * 128
    assert abs("".join(tables).count("1") - n / 2) < 5 * (n / 4) ** 0.5


def test_bits_stay_as_they_are() -> None:
    assert truth_table("0110", 7) == "0110"


def test_every_name_has_a_table() -> None:
    assert {len(truth_table(name, 5)) for name in BOOLEAN_TARGETS} == {32}


@pytest.mark.parametrize(
    ("target", "n_variables", "sentence"),
    [
        ("beauty", 7, "target='beauty' is neither a string of 0 and 1 nor one of constant"),
        ("", 7, "target='' is neither"),
        ("011", 7, "target has 3 bits"),
        ("parity", 2, "n_variables=2 is too few for functions by name; pass 3 or more"),
        ("parity", 40, "pass at most 16"),
    ],
)
def test_what_is_no_function_is_refused(target: str, n_variables: int, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        truth_table(target, n_variables)
