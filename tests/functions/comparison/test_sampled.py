import numpy as np
import pytest

from bayes_vs_sgd.functions.comparison import Sampled, effective_draws
from tests.functions.comparison.laws import counted, drawn, mean_is, zipf


def test_blocks_add_up_to_the_counts_and_are_of_one_size() -> None:
    counts = np.random.default_rng(0).multinomial(10_003, zipf(40))
    found = Sampled.independent(counts, n_replicates=8, seed=1)
    assert found.n_draws is not None
    assert set(found.n_draws) <= {1250, 1251}
    assert found.n_draws.sum() == 10_003
    np.testing.assert_array_equal(found.counts, counts)
    np.testing.assert_allclose(found.probabilities, counts / 10_003, rtol=1e-12)


def test_blocks_scatter_as_independent_draws_do() -> None:
    """Dealt from one sample they vary by sampling without replacement around it."""
    counts = np.array([300, 700])
    first = [Sampled.independent(counts, n_replicates=5, seed=s).weights[0, 0] for s in range(2000)]
    mean_is(first, 0.3)
    variance = 0.3 * 0.7 / 200 * (1000 - 200) / (1000 - 1)
    mean_is((np.array(first) - 0.3) ** 2, variance)


def test_pooling_weighs_blocks_by_their_draws() -> None:
    found = Sampled(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([3, 2]))
    np.testing.assert_allclose(found.probabilities, [4 / 5, 1 / 5])
    np.testing.assert_allclose(found.pooled(np.array([False, True])), [0.5, 0.5])
    unweighted = Sampled(found.weights)
    np.testing.assert_allclose(unweighted.probabilities, [3 / 4, 1 / 4])
    assert unweighted.counts is None


def test_a_subset_keeps_its_rows_and_draws() -> None:
    found = counted(np.random.default_rng(0), zipf(10), 6, 605)
    kept = np.array([True, False, True, True, False, False])
    part = found.subset(kept)
    np.testing.assert_allclose(part.weights, found.weights[kept], rtol=1e-12)
    np.testing.assert_allclose(part.probabilities, found.pooled(kept))


def test_independent_draws_count_as_themselves() -> None:
    rng, inverse = np.random.default_rng(0), []
    for _ in range(300):
        found = counted(rng, zipf(30), 8, 800)
        assert found.n_effective == 800
        inverse.append(1 / effective_draws(found.gram))
    mean_is(inverse, 1 / 800)


def test_dependent_draws_count_by_their_design_effect() -> None:
    """A Dirichlet around p of concentration c leaves 1/[1/n + (1 − 1/n)/(c + 1)] of n draws."""
    rng, n, c = np.random.default_rng(0), 200, 50
    inverse = [1 / drawn(rng, zipf(30), 8, n, c).n_effective for _ in range(300)]
    mean_is(inverse, (1 / n + (1 - 1 / n) / (c + 1)) / 8)


def test_replicates_without_spread_count_one_draw_each() -> None:
    assert Sampled(np.tile([0.2, 0.3, 0.5], (6, 1))).n_effective == 6
    assert Sampled(np.tile([1.0, 0.0], (6, 1))).n_effective == 6


def test_replicates_of_one_function_each_are_one_draw_each() -> None:
    assert Sampled(np.eye(5)).n_effective == pytest.approx(5)


@pytest.mark.parametrize(
    ("weights", "n_draws", "message"),
    [
        (np.ones(3) / 3, None, r"weights has shape \(3,\)"),
        (np.ones((0, 3)), None, r"weights has shape \(0, 3\)"),
        (np.array([[0.5, 0.4]]), None, "row 0 of weights sums to 0.9"),
        (np.array([[1.5, -0.5]]), None, "negative or not finite"),
        (np.array([[np.nan, 1.0]]), None, "negative or not finite"),
        (np.array([[0.5, 0.5]]), np.array([2, 2]), "one integer for each of the 1 replicates"),
        (np.array([[0.5, 0.5]]), np.array([2.0]), "one integer for each of the 1 replicates"),
        (np.array([[0.3, 0.7]]), np.array([4]), "no whole numbers"),
        (np.array([[0.5, 0.5], [0.5, 0.5]]), np.array([4, 40]), "n_draws goes from 4 to 40"),
    ],
)
def test_what_is_no_sample_is_refused(
    weights: np.ndarray, n_draws: np.ndarray | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Sampled(weights, n_draws)


@pytest.mark.parametrize(
    ("counts", "n_replicates", "message"),
    [
        (np.array([0.5, 3.5]), 2, "type float64"),
        (np.array([-1, 5]), 2, "integers of at least 0"),
        (np.array([1, 2]), 4, "counts sum to 3; 4 blocks"),
        (np.array([10**9, 2]), 4, "less than 1e"),
        (np.array([5, 5]), 1, "n_replicates=1"),
    ],
)
def test_what_are_no_counts_is_refused(counts: np.ndarray, n_replicates: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sampled.independent(counts, n_replicates=n_replicates)
