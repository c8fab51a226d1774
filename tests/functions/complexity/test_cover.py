import numpy as np
import pytest

from bayes_vs_sgd.functions.complexity.cover import minimum_cover

N_SETS = 10
CHOICES = np.arange(2**N_SETS)[:, None] >> np.arange(N_SETS) & 1


def problem(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    covers = rng.random((N_SETS, 12)) < 0.3
    covers[rng.integers(N_SETS, size=12), np.arange(12)] = True
    return covers, rng.integers(1, 8, N_SETS)


@pytest.mark.parametrize("seed", range(30))
def test_no_choice_of_sets_is_cheaper_than_the_minimum_cover(seed: int) -> None:
    covers, costs = problem(seed)
    valid = (CHOICES @ covers > 0).all(axis=1)
    cheapest = (CHOICES @ costs)[valid].min()
    found = minimum_cover(covers, costs, time_limit=10.0)
    assert covers[found.chosen].any(axis=0).all()
    assert costs[found.chosen].sum() == found.cost == found.lower_bound == cheapest


def test_out_of_time_the_cover_still_covers_and_the_bound_still_holds() -> None:
    n_unproven = 0
    for seed in range(30):
        covers, costs = problem(seed)
        exact = minimum_cover(covers, costs, time_limit=10.0).cost
        found = minimum_cover(covers, costs, time_limit=1e-9)
        assert covers[found.chosen].any(axis=0).all()
        assert found.lower_bound <= exact <= found.cost == costs[found.chosen].sum()
        n_unproven += found.lower_bound < found.cost
    assert n_unproven > 5


def test_what_is_not_there_needs_no_cover() -> None:
    found = minimum_cover(np.zeros((3, 0), dtype=bool), np.ones(3, dtype=int), time_limit=1.0)
    assert found.chosen.size == found.cost == found.lower_bound == 0
