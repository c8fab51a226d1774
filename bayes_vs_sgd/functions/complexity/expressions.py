"""Shortest two-level Boolean expressions of functions."""

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, UInt8

from ...checks import require_positive
from .cover import minimum_cover
from .cubes import ABSENT, all_cubes, prime_implicants
from .rows import Patterns, as_truth_tables

MOST_VARIABLES = 8
_N_BLOCK = 256


class UnprovenMinimumWarning(UserWarning):
    """Some expressions may not be the shortest: the time for the proof ran out."""


@dataclass(frozen=True)
class Expression:
    """A Boolean expression of two levels.

    Attributes:
        terms: How every variable occurs in every term: 0 negated, 1 plain, 2 not at all; shape
            (n_terms, n_variables).
        is_sum: True for a sum of products (OR of ANDs), False for a product of sums (AND of ORs).
        least_length: No expression of either form is shorter.
    """

    terms: UInt8[np.ndarray, "terms variables"]
    is_sum: bool
    least_length: int

    @property
    def n_terms(self) -> int:
        """Number of products, or of sums."""
        return len(self.terms)

    @property
    def n_literals(self) -> int:
        """Number of occurrences of variables, negated or not."""
        return int((self.terms != ABSENT).sum())

    @property
    def n_negations(self) -> int:
        """Number of negated literals."""
        return int((self.terms == 0).sum())

    @property
    def n_operators(self) -> int:
        """Number of AND and OR of two operands each, n_literals − 1, and of NOT, n_negations."""
        return max(0, self.n_literals - 1) + self.n_negations

    @property
    def length(self) -> int:
        """n_literals + n_operators; 0 for a constant."""
        return self.n_literals + self.n_operators

    @property
    def is_minimal(self) -> bool:
        """Whether no shorter expression exists, as proven."""
        return self.length == self.least_length

    def __str__(self) -> str:
        if self.n_literals == 0:
            # The empty sum is 0 and the empty product 1; a term without literals is the contrary.
            return "01"[self.is_sum == bool(self.n_terms)]
        inner, outer = (" & ", " | ") if self.is_sum else (" | ", " & ")
        signs = ("~", "")
        terms = [
            inner.join(f"{signs[d]}x{i}" for i, d in enumerate(term, 1) if d != ABSENT)
            for term in self.terms
        ]
        return outer.join(f"({term})" if inner in term else term for term in terms)


def expression_length(
    bits: Patterns, *, time_limit: float = 10.0
) -> Int[np.ndarray, " n_functions"]:
    """Length of the shortest two-level Boolean expression of every function.

    The length counts literals and operators, n_literals + n_operators. An occurrence of a variable is
    a literal; the operators are AND and OR of two operands each, and a NOT for every negated literal;
    so it is 2·n_literals − 1 + n_negations, and 0 for the two constants. Thus x₁ has 1, ¬x₁ 2, and the
    majority of three, x₁x₂ + x₁x₃ + x₂x₃, 11. The minimum is over the sums of products and the
    products of sums. Valle-Pérez, Camargo & Louis 2018 (arXiv 1805.08522) count the operators alone,
    AND, OR, NOT: ``minimal_expressions`` gives those of the shortest expression.

    It takes milliseconds for a simple function, and more for one without structure.

    Args:
        bits: Complete truth tables (n_functions, 2ⁿ) of two classes, n ≤ 8.
        time_limit: Seconds for each of the two forms of a function.

    Warns:
        UnprovenMinimumWarning: The time did not suffice for some functions; their lengths are
            upper bounds. ``minimal_expressions`` says which.

    Raises:
        ValueError: As ``minimal_expressions``.
    """
    expressions = minimal_expressions(bits, time_limit=time_limit)
    n_unproven = sum(not e.is_minimal for e in expressions)
    if n_unproven:
        warnings.warn(
            f"{n_unproven} of {len(expressions)} expression lengths are upper bounds: no proof of the "
            f"minimum within time_limit={time_limit} s.",
            UnprovenMinimumWarning,
            stacklevel=2,
        )
    return np.array([e.length for e in expressions], dtype=np.int64)


def minimal_expressions(bits: Patterns, *, time_limit: float = 10.0) -> list[Expression]:
    """The shortest two-level Boolean expression of every function, by Quine and McCluskey.

    The terms of a shortest sum of products are prime implicants, because freeing a variable shortens a
    term. Each costs 2·n_literals + n_negations, and a cheapest set of them that covers the ones of the
    function is found exactly (``minimum_cover``). The shortest product of sums is found likewise from
    the prime implicants of the complement, by De Morgan with every literal negated. The shorter form
    is returned, the sum of products if they are equal.

    Args:
        bits: Complete truth tables (n_functions, 2ⁿ) of two classes, n ≤ 8.
        time_limit: Seconds for each of the two forms of a function. Past them the expression is an
            upper bound, ``is_minimal`` is False, and ``least_length`` says what was proven.

    Raises:
        ValueError: ``time_limit`` is not positive, ``bits`` has other classes than 0 and 1, or a row
            is no complete truth table of 1 to 8 variables.
    """
    require_positive("time_limit", time_limit)
    tables = as_truth_tables(bits, n_classes=2).astype(bool)
    if tables.ndim - 1 > MOST_VARIABLES:
        raise ValueError(
            f"bits has truth tables of {tables.ndim - 1} variables; pass at most {MOST_VARIABLES}: "
            "the number of candidates grows as 3ⁿ."
        )
    found: list[Expression] = []
    for start in range(0, len(tables), _N_BLOCK):
        found += _expressions(tables[start : start + _N_BLOCK], time_limit)
    return found


def _expressions(tables: Bool[np.ndarray, "functions ..."], time_limit: float) -> list[Expression]:
    rows = tables.reshape(len(tables), -1)
    sums, products = prime_implicants(tables), prime_implicants(~tables)
    digits = all_cubes(tables.ndim - 1).digits
    negated = np.where(digits == ABSENT, digits, 1 - digits).astype(np.uint8)
    return [
        _shorter(
            _form(row, prime, digits, time_limit, is_sum=True),
            _form(~row, other, negated, time_limit, is_sum=False),
        )
        for row, prime, other in zip(rows, sums, products, strict=True)
    ]


def _form(
    row: Bool[np.ndarray, " inputs"],
    prime: Bool[np.ndarray, " cubes"],
    digits: UInt8[np.ndarray, "cubes variables"],
    time_limit: float,
    *,
    is_sum: bool,
) -> Expression:
    """The shortest expression whose terms are written as ``digits`` of the prime cubes."""
    cubes = np.flatnonzero(prime)
    covers = all_cubes(digits.shape[1]).contains[np.ix_(cubes, row)]
    terms = digits[cubes]
    costs = 2 * (terms != ABSENT).sum(axis=1) + (terms == 0).sum(axis=1)
    cover = minimum_cover(covers, costs, time_limit=time_limit)
    # A term's cost counts one operator with every literal, and the first literal has none.
    return Expression(terms[cover.chosen], is_sum, max(0, cover.lower_bound - 1))


def _shorter(one: Expression, other: Expression) -> Expression:
    least = min(one.least_length, other.least_length)
    best = one if one.length <= other.length else other
    return Expression(best.terms, best.is_sum, least)
