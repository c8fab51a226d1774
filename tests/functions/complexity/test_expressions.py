"""Shortest expressions against all covers of small functions, known functions, and symmetries."""

import math

import numpy as np
import pytest

from bayes_vs_sgd.functions import complexity
from bayes_vs_sgd.functions.complexity import Expression, expression_length, minimal_expressions


def inputs(n: int) -> np.ndarray:
    """Row i spells i, the first variable first."""
    return np.array([[i >> (n - 1 - v) & 1 for v in range(n)] for i in range(2**n)])


def value(expression: Expression, n: int) -> np.ndarray:
    """The truth table, by Python's own reading of the text."""
    names = {f"x{v + 1}": column.astype(bool) for v, column in enumerate(inputs(n).T)}
    return np.broadcast_to(eval(str(expression), {}, names), 2**n).astype(bool)


def cheapest_sums(n: int, *, negation: int, plain: int) -> np.ndarray:
    """Cost of the cheapest sum of products of every function, by dynamic programming over all cubes.

    Functions are numbers with bit i for input i. A literal costs 2, and ``negation`` or ``plain`` more
    by its sign; whichever cubes are taken, the function is their union.
    """
    best = np.full(2**2**n, math.inf)
    best[0] = 0
    every = np.arange(len(best))
    for digits in np.ndindex(*(3,) * n):
        inside = np.all([(inputs(n)[:, v] == d) | (d == 2) for v, d in enumerate(digits)], axis=0)
        cube = int(sum(1 << int(i) for i in np.flatnonzero(inside)))
        cost = sum((2 + negation, 2 + plain, 0)[d] for d in digits)
        np.minimum.at(best, every | cube, best + cost)
    return best


def lengths_by_brute_force(n: int) -> np.ndarray:
    sums = cheapest_sums(n, negation=1, plain=0)
    # A sum of products of the complement, negated: its plain literals are the negated ones.
    products = cheapest_sums(n, negation=0, plain=1)[::-1]
    return np.maximum(np.minimum(sums, products) - 1, 0)


def tables(numbers: np.ndarray, n: int) -> np.ndarray:
    return (numbers[:, None] >> np.arange(2**n) & 1).astype(np.uint8)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_every_function_of_up_to_three_variables_has_the_length_of_its_cheapest_cover(
    n: int,
) -> None:
    numbers = np.arange(2**2**n)
    found = expression_length(tables(numbers, n))
    np.testing.assert_array_equal(found, lengths_by_brute_force(n))


def test_functions_of_four_variables_have_the_length_of_their_cheapest_cover() -> None:
    numbers = np.random.default_rng(0).choice(2**16, 400, replace=False)
    found = expression_length(tables(numbers, 4))
    np.testing.assert_array_equal(found, lengths_by_brute_force(4)[numbers])


@pytest.mark.parametrize("n", range(1, 8))
def test_an_expression_has_the_values_of_its_function(n: int) -> None:
    rng = np.random.default_rng(n)
    bits = (rng.random((12, 2**n)) < rng.random((12, 1))).astype(np.uint8)
    found = minimal_expressions(bits)
    for row, expression in zip(bits, found, strict=True):
        np.testing.assert_array_equal(value(expression, n), row)
        assert expression.is_minimal
    if n > 3:
        assert {e.is_sum for e in found} == {True, False}


@pytest.mark.parametrize("n", [1, 4, 8])
def test_constants_and_single_variables_need_no_search(n: int) -> None:
    x = inputs(n)
    bits = np.stack([0 * x[:, 0], 0 * x[:, 0] + 1, *x.T, *(1 - x.T)])
    found = minimal_expressions(bits)
    names = [f"x{v + 1}" for v in range(n)]
    assert [str(e) for e in found] == ["0", "1", *names, *[f"~{name}" for name in names]]
    assert [e.length for e in found] == [0, 0, *[1] * n, *[2] * n]
    assert [e.n_operators for e in found] == [0, 0, *[0] * n, *[1] * n]


def test_the_first_variable_changes_slowest() -> None:
    assert str(minimal_expressions(np.array([[0, 0, 1, 1]]))[0]) == "x1"
    assert str(minimal_expressions(np.array([[0, 0, 1, 0]]))[0]) == "(x1 & ~x2)"


@pytest.mark.parametrize("n", [2, 3, 5, 7])
def test_parity_has_one_term_for_every_one_of_it(n: int) -> None:
    (found,) = minimal_expressions((inputs(n).sum(axis=1) % 2)[None])
    assert (found.n_terms, found.n_literals) == (2 ** (n - 1), n * 2 ** (n - 1))
    assert found.n_negations == n * 2 ** (n - 2)
    assert found.length == 2 * found.n_literals - 1 + found.n_negations


@pytest.mark.parametrize("n", [3, 5, 7])
def test_majority_is_the_sum_over_its_smallest_majorities(n: int) -> None:
    (found,) = minimal_expressions((inputs(n).sum(axis=1) > n / 2)[None])
    size = (n + 1) // 2
    assert (found.n_terms, found.n_literals) == (math.comb(n, size), size * math.comb(n, size))
    assert found.n_negations == 0
    if n == 3:
        assert sorted(str(found).split(" | ")) == ["(x1 & x2)", "(x1 & x3)", "(x2 & x3)"]
        assert (found.length, found.n_operators) == (11, 5)


@pytest.mark.parametrize("n", [3, 6, 8])
def test_being_neither_all_zero_nor_all_one_takes_two_sums(n: int) -> None:
    """No prime implicant is essential in its sum of products, and the product is as short."""
    total = inputs(n).sum(axis=1)
    (found,) = minimal_expressions(((total > 0) & (total < n))[None])
    assert found.length == 2 * (2 * n) - 1 + n


def test_the_length_knows_neither_the_order_of_the_variables_nor_duality() -> None:
    """Duality, ¬f(¬x), exchanges AND and OR and keeps every literal."""
    n = 5
    bits = np.random.default_rng(0).integers(0, 2, (40, 2**n))
    found = expression_length(bits)
    assert len(set(found)) > 10
    shape = (40, *(2,) * n)
    permuted = bits.reshape(shape).transpose(0, 3, 1, 5, 2, 4).reshape(40, -1)
    np.testing.assert_array_equal(expression_length(permuted), found)
    np.testing.assert_array_equal(expression_length(1 - bits[:, ::-1]), found)


def test_without_time_the_length_is_an_upper_bound_and_says_so() -> None:
    weight = inputs(6).sum(axis=1)
    bits = np.stack([(weight >= 1) & (weight <= 3), weight > 6])
    exact = minimal_expressions(bits)
    hurried = minimal_expressions(bits, time_limit=1e-9)
    assert [e.is_minimal for e in exact] == [True, True]
    assert [e.is_minimal for e in hurried] == [False, True]
    assert hurried[0].least_length <= exact[0].length <= hurried[0].length
    np.testing.assert_array_equal(value(hurried[0], 6), bits[0])
    with pytest.warns(complexity.UnprovenMinimumWarning, match="1 of 2 expression lengths"):
        found = expression_length(bits, time_limit=1e-9)
    assert found.tolist() == [e.length for e in hurried]


@pytest.mark.parametrize(
    ("bits", "time_limit", "message"),
    [
        (np.zeros((1, 512), dtype=int), 1.0, "9 variables; pass at most 8"),
        (np.zeros((1, 4), dtype=int), 0.0, "time_limit=0.0"),
        (np.array([[0, 1, 2, 0]]), 1.0, "classes from 0 to 2"),
    ],
)
def test_what_has_no_expression_is_refused(
    bits: np.ndarray, time_limit: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        expression_length(bits, time_limit=time_limit)
