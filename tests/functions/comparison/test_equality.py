from itertools import combinations

import numpy as np
import pytest

from bayes_vs_sgd.functions.comparison import Sampled, equality
from tests.functions.comparison.laws import counted, covers, drawn, happens, mean_is, shifted, zipf

P = zipf(50)


def squared_distance(u: np.ndarray, v: np.ndarray) -> float:
    n, m = len(u), len(v)
    within = [
        sum(w[i] @ w[j] for i in range(k) for j in range(k) if i != j) / (k * (k - 1))
        for w, k in ((u, n), (v, m))
    ]
    return float(sum(within) - 2 * u.mean(axis=0) @ v.mean(axis=0))


def test_few_replicates_are_exchanged_in_every_way() -> None:
    rng = np.random.default_rng(0)
    p, q = drawn(rng, P, 5, 100, 50), drawn(rng, shifted(P, 0.1), 5, 100, 50)
    rows = np.concatenate([p.weights, q.weights])
    values = []
    for chosen in combinations(range(10), 5):
        taken = np.isin(np.arange(10), chosen)
        values.append(squared_distance(rows[taken], rows[~taken]))
    found = equality(p, q)
    assert found.n_permutations == 252
    assert found.squared_distance == pytest.approx(values[0])
    exact = np.mean(np.array(values) >= values[0] * (1 - 1e-9))
    assert found.p_value == pytest.approx(max(exact, 2.0**-4))
    assert found.interval == (found.p_value, found.p_value)


def test_the_squared_distance_is_without_bias_whatever_the_noise() -> None:
    rng, q = np.random.default_rng(0), shifted(P, 0.1)
    found = [
        equality(
            drawn(rng, P, 4, 20, 5), counted(rng, q, 8, 400), n_permutations=19
        ).squared_distance
        for _ in range(400)
    ]
    mean_is(found, ((P - q) ** 2).sum())


def test_of_replicates_with_one_law_it_rejects_as_often_as_it_says() -> None:
    """Replicates whose draws depend on one another, equally on both sides: exact at any size."""
    rng = np.random.default_rng(0)
    found = [
        equality(drawn(rng, P, 7, 60, 20), drawn(rng, P, 7, 60, 20), n_permutations=99).p_value
        for _ in range(600)
    ]
    for level in (0.05, 0.2, 0.5):
        happens(np.array(found) <= level + 1e-12, level)


@pytest.mark.parametrize(("n_replicates", "concentration"), [(8, 30), (12, 1e6)])
def test_of_runs_and_draws_with_one_mean_it_rejects_about_as_often_as_it_says(
    n_replicates: int, concentration: float
) -> None:
    """One side is ten times as noisy, sparser, and of other number: approximate, within 2 % of 5 %."""
    rng, found = np.random.default_rng(0), []
    for i in range(300):
        p, q = drawn(rng, P, n_replicates, 100, concentration), counted(rng, P, 32, 10_000, i)
        found.append(equality(p, q, n_permutations=99, seed=i).p_value)
    covers(np.array(found) > 0.05, 0.93)


def test_it_finds_a_total_variation_of_a_fifth() -> None:
    rng, q, found = np.random.default_rng(0), shifted(P, 0.2), []
    for i in range(40):
        a, b = drawn(rng, P, 8, 200, 100), counted(rng, q, 16, 5000, i)
        found.append(equality(a, b, n_permutations=99, seed=i).p_value)
    assert np.mean(np.array(found) <= 0.05) > 0.9


def test_no_less_is_said_than_the_signs_of_the_replicates_warrant() -> None:
    rng = np.random.default_rng(0)
    p, q = counted(rng, P, 4, 40_000), counted(rng, P[::-1], 16, 40_000)
    found = equality(p, q)
    assert found.n_units == 4
    assert found.n_permutations == 70
    assert found.p_value == 1 / 8


def test_random_exchanges_come_with_the_interval_of_their_number() -> None:
    rng = np.random.default_rng(1)
    p, q = drawn(rng, P, 9, 100, 50), drawn(rng, P, 9, 100, 50)
    found = equality(p, q, n_permutations=199)
    lower, upper = found.interval
    assert found.n_permutations == 200
    assert lower < found.p_value < upper
    many = equality(p, q, n_permutations=19_999, seed=7)
    assert lower < many.p_value < upper
    assert found == equality(p, q, n_permutations=199)


def test_the_sides_may_be_exchanged() -> None:
    rng = np.random.default_rng(0)
    p, q = drawn(rng, P, 5, 100, 50), drawn(rng, P, 5, 100, 50)
    one, other = equality(p, q), equality(q, p)
    assert one.p_value == pytest.approx(other.p_value)
    assert one.squared_distance == pytest.approx(other.squared_distance)


def test_what_cannot_be_tested_is_refused() -> None:
    one = counted(np.random.default_rng(0), P, 4, 100)
    with pytest.raises(ValueError, match="n_permutations=9"):
        equality(one, one, n_permutations=9)
    with pytest.raises(ValueError, match="p has 2 replicates"):
        equality(Sampled(one.weights[:2]), one)
