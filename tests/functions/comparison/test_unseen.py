import numpy as np
import pytest

from bayes_vs_sgd.functions.comparison import Sampled, unseen_mass
from tests.functions.comparison.laws import counted, covers, drawn, mean_is, zipf


def test_the_interval_of_good_and_turing_holds_the_mass_that_was_not_seen() -> None:
    rng, p, hits, errors = np.random.default_rng(0), zipf(3000, 0.8), [], []
    for _ in range(300):
        one = counted(rng, p, 4, 2000)
        truth = p[one.probabilities == 0].sum()
        found = unseen_mass(one)
        lower, upper = found.interval()
        hits.append(lower <= truth <= upper)
        errors.append((found.value - truth) / found.sem)
    covers(np.array(hits), 0.95)
    # The error is not stated too wide either.
    mean_is(np.square(errors), 1.0)


def test_replicates_estimate_what_all_but_one_have_not_seen() -> None:
    rng, p, differences = np.random.default_rng(0), zipf(400), []
    for _ in range(300):
        one = drawn(rng, p, 5, 100, 60)
        others = one.weights[:4].sum(axis=0) == 0
        differences.append(unseen_mass(one).value - p[others].sum())
    mean_is(differences, 0.0)


def test_the_error_over_replicates_is_the_jackknifes() -> None:
    rng, n = np.random.default_rng(0), 6
    rows = rng.multinomial(30, zipf(50), size=n) / 30

    def alone(rows: np.ndarray) -> float:
        others = [np.delete(rows, r, axis=0).sum(axis=0) == 0 for r in range(len(rows))]
        return float(np.mean([row[o].sum() for row, o in zip(rows, others, strict=True)]))

    found = unseen_mass(Sampled(rows))
    without = np.array([alone(np.delete(rows, r, axis=0)) for r in range(n)])
    assert found.value == pytest.approx(alone(rows))
    assert found.sem == pytest.approx(
        ((n - 1) / n * ((without - without.mean()) ** 2).sum()) ** 0.5
    )


def test_a_sample_without_single_draws_is_still_not_certain() -> None:
    found = unseen_mass(Sampled.independent(np.array([50, 50]), n_replicates=4))
    assert (found.value, found.sem) == (0, 0.01)


def test_two_replicates_of_dependent_draws_are_refused() -> None:
    with pytest.raises(ValueError, match="2 replicates of dependent draws"):
        unseen_mass(Sampled(np.eye(2)))
