import numpy as np
import pytest

from bayes_vs_sgd.functions.comparison import lower_bounds, plug_in_distances
from bayes_vs_sgd.functions.comparison.lower_bound import discriminated
from bayes_vs_sgd.functions.comparison.splits import (
    Part,
    cross_fitted,
    cross_fitted_value,
    splits,
)
from tests.functions.comparison.laws import counted, covers, drawn, mean_is, shifted, zipf


def test_the_best_discriminator_attains_the_divergence_and_no_other_exceeds_it() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        p, q, a, b = rng.dirichlet(np.ones(7), size=4)
        divergence = plug_in_distances(p, q)[1]
        assert discriminated(p, q, p, q) == pytest.approx(divergence)
        assert discriminated(p, q, a, b) < divergence


def test_a_discriminator_that_knows_nothing_bounds_by_zero() -> None:
    p, q = zipf(5), zipf(5, 2)
    assert discriminated(p, q, np.ones(5), np.ones(5)) == pytest.approx(0)


def test_of_equal_laws_the_bound_of_total_variation_is_zero_on_average() -> None:
    """Where the plug-in, and an event measured on the draws that chose it, are far from it."""
    rng, p, bounds, plain = np.random.default_rng(0), zipf(60), [], []
    for _ in range(200):
        a, b = drawn(rng, p, 5, 60, 200), counted(rng, p, 6, 600)
        bounds.append([bound.value for bound in lower_bounds(a, b, n_splits=1)])
        plain.append(plug_in_distances(a.probabilities, b.probabilities)[0])
    total_variation, jensen_shannon = np.array(bounds).T
    mean_is(total_variation, 0.0)
    assert jensen_shannon.mean() < 0
    assert np.mean(plain) > 0.1


def test_the_bounds_are_without_bias_for_what_they_chose() -> None:
    """Measured by the true laws in place of the replicates kept apart, nothing changes on average."""
    rng, p = np.random.default_rng(0), zipf(60)
    q = shifted(p, 0.3)
    differences, values = [], []
    for _ in range(200):
        a, b = counted(rng, p, 4, 300), counted(rng, q, 6, 200)
        assert a.n_draws is not None
        assert b.n_draws is not None
        draws = (a.n_draws, b.n_draws)

        def by_truth(
            choose: Part, measure: Part, draws: tuple[np.ndarray, np.ndarray] = draws
        ) -> np.ndarray:
            alpha = 0.5 / min(draws[0][choose.in_p].sum(), draws[1][choose.in_q].sum())
            return np.array(
                [
                    (p - q)[choose.p > choose.q].sum(),
                    discriminated(p, q, choose.p + alpha, choose.q + alpha),
                ]
            )

        over = splits(4, 6, n_folds=3, n_splits=1, seed=0)
        found = np.array([e.value for e in lower_bounds(a, b, n_folds=3, n_splits=1)])
        expected = cross_fitted_value(a, b, by_truth, over)
        assert expected is not None
        differences.append(found - expected)
        values.append(found)
    for i, truth in enumerate(plug_in_distances(p, q)):
        mean_is(np.array(differences)[:, i], 0.0)
        assert np.mean(values, axis=0)[i] < truth


@pytest.mark.parametrize("total_variation", [0.0, 0.2])
def test_the_limits_of_the_bounds_exceed_the_truth_no_more_often_than_stated(
    total_variation: float,
) -> None:
    rng, p, below = np.random.default_rng(1), zipf(25), []
    q = shifted(p, total_variation)
    truth = plug_in_distances(p, q)
    for _ in range(100):
        pair = drawn(rng, p, 5, 150, 150), counted(rng, q, 6, 1200)
        limits = [bound.interval()[0] for bound in lower_bounds(*pair, n_splits=2)]
        below.append(np.array(limits) <= truth + 1e-12)
    for hits in np.array(below).T:
        covers(hits, 0.975)


def test_with_many_draws_the_bounds_are_the_distances() -> None:
    rng, p = np.random.default_rng(0), zipf(12)
    q = shifted(p, 0.25)
    pair = counted(rng, p, 4, 4_000_000), counted(rng, q, 4, 4_000_000)
    for bound, truth in zip(lower_bounds(*pair), plug_in_distances(p, q), strict=True):
        assert truth - 1e-4 - 4 * bound.sem < bound.value < truth + 4 * bound.sem
        assert bound.sem < 0.002


def test_every_replicate_measures_once_a_deal_and_never_what_it_chose() -> None:
    over = splits(7, 5, n_folds=4, n_splits=3, seed=0)
    assert len(over) == 12
    for deal in range(3):
        folds = over[4 * deal : 4 * deal + 4]
        for side, n in (("choose_p", 7), ("choose_q", 5)):
            measuring = np.array([~getattr(split, side) for split in folds])
            assert measuring.shape == (4, n)
            np.testing.assert_array_equal(measuring.sum(axis=0), 1)
            assert measuring.any(axis=1).all()


def test_there_are_no_more_folds_than_replicates() -> None:
    assert len(splits(3, 9, n_folds=5, n_splits=1, seed=0)) == 3


def test_a_replicate_left_out_neither_chooses_nor_measures() -> None:
    rng = np.random.default_rng(0)
    a, b = drawn(rng, zipf(9), 5, 40, 50), drawn(rng, zipf(9), 4, 40, 50)
    over = splits(5, 4, n_folds=2, n_splits=2, seed=0)

    def statistic(choose: Part, measure: Part) -> np.ndarray:
        return np.array([choose.p[0] * measure.q[1] - choose.q[2] ** 2 * measure.p[3]])

    found = cross_fitted(a, b, statistic, over)
    for r in range(5):
        kept = np.arange(5) != r
        values = []
        for split in over:
            choose, measure = split.choose_p & kept, ~split.choose_p & kept
            values.append(
                a.weights[choose].mean(axis=0)[0] * b.weights[~split.choose_q].mean(axis=0)[1]
                - b.weights[split.choose_q].mean(axis=0)[2] ** 2
                * a.weights[measure].mean(axis=0)[3]
            )
        assert found.without_p[r, 0] == pytest.approx(np.mean(values))
