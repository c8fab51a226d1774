"""Runs that found an evidence each count by it, in pooled laws and in every error."""

import numpy as np
import pytest
from scipy import stats

from bayes_vs_sgd.functions import FunctionPosterior, pack
from bayes_vs_sgd.functions.comparison import (
    Sampled,
    align,
    compare,
    distances,
    equality,
    function_table,
    lower_bounds,
    null,
    unseen_mass,
)
from bayes_vs_sgd.functions.comparison.null import _drawn
from bayes_vs_sgd.functions.comparison.slope import _log_frequencies
from bayes_vs_sgd.functions.comparison.splits import cross_fitted, splits
from tests.conftest import within
from tests.functions.comparison.laws import counted, covers, mean_is, shifted, zipf

N_FUNCTIONS, N_RUNS, N_DRAWS = 30, 16, 500
LAW = zipf(N_FUNCTIONS)
OTHER = shifted(LAW, 0.4)
# Half of the runs see one law and find the evidence 1.5, half the other and find 0.5.
EVIDENCES = np.array([1.5, 0.5])
POSTERIOR = (1.5 * LAW + 0.5 * OTHER) / 2


def runs(rng: np.random.Generator, *, known: bool = True) -> Sampled:
    """Runs that see one of the two laws, each of them in half of the cases."""
    which = rng.integers(0, 2, N_RUNS)
    weights = np.array(
        [rng.multinomial(N_DRAWS, (LAW, OTHER)[w]) / N_DRAWS for w in which],
    )
    return Sampled(weights, log_evidences=np.log(EVIDENCES)[which] if known else None)


def test_equal_evidences_are_as_none() -> None:
    rng = np.random.default_rng(0)
    plain, q = Sampled(rng.multinomial(N_DRAWS, LAW, size=8) / N_DRAWS), counted(rng, OTHER, 8, 900)
    equal = Sampled(plain.weights, log_evidences=np.full(8, -700.0))
    a, b = (compare(p, q, n_null=5, n_permutations=99).as_dict() for p in (plain, equal))
    assert a.keys() == b.keys()
    for name, value in a.items():
        # Rows are summed in another order, and multinomial draws follow the last digit.
        off = 2e-3 if name.startswith("null_sample") else 1e-6
        assert b[name] == (pytest.approx(value, abs=off) if isinstance(value, float) else value)


def test_the_pooled_law_and_its_error_are_those_of_the_posterior() -> None:
    found = runs(np.random.default_rng(1))
    assert found.log_evidences is not None
    words = pack((np.arange(N_FUNCTIONS)[:, None] >> np.arange(4, -1, -1)) & 1)
    posterior = FunctionPosterior(words, found.weights, found.log_evidences, (), 5)
    np.testing.assert_allclose(posterior.sampled().probabilities, posterior.probability.value)
    spread = found.moves.std(axis=0, ddof=1) / N_RUNS**0.5
    np.testing.assert_allclose(found.moves.mean(axis=0), found.probabilities, rtol=1e-10)
    np.testing.assert_allclose(spread, posterior.probability.sem, rtol=1e-10)
    # Independent draws would have Σ_f sem_f² = (1 − Σ_f P_f²)/n, of which P̂ knows Σ P² + Σ sem².
    sems = (posterior.probability.sem**2).sum()
    unequal = 1 - (posterior.probability.value**2).sum() + sems
    assert posterior.n_effective == pytest.approx(unequal / sems)
    wider = align(words, pack(np.ones((1, 5), np.uint8)))
    assert posterior.sampled(wider).n_functions == wider.n_functions


def test_what_is_linear_is_measured_as_by_the_pooled_law_whatever_the_folds() -> None:
    """Folds of one run each: alone, every one of them would have the sum 1."""
    p, q = runs(np.random.default_rng(6)), counted(np.random.default_rng(7), LAW, N_RUNS, 5005)
    over = splits(N_RUNS, N_RUNS, n_folds=N_RUNS, n_splits=2, seed=0)
    found = cross_fitted(
        p, q, lambda choose, measure: np.append(measure.p[:3], measure.q[:3]), over
    )
    np.testing.assert_allclose(found.whole[:3], p.probabilities[:3])
    np.testing.assert_allclose(found.whole[3:], q.probabilities[:3])
    for r in range(N_RUNS):
        kept = np.arange(N_RUNS) != r
        np.testing.assert_allclose(found.without_p[r, :3], p.pooled(kept)[:3])
        np.testing.assert_allclose(found.without_q[r, 3:], q.pooled(kept)[:3])


def test_the_noise_of_logarithms_is_their_variance_over_repetitions() -> None:
    rng, logs, noises = np.random.default_rng(8), [], []
    for _ in range(400):
        p = runs(rng)
        every, common = np.ones(N_RUNS, bool), np.arange(N_FUNCTIONS) < 15
        log, noise = _log_frequencies(p, every, p.probabilities, common)
        logs.append(log - log.mean())
        noises.append(noise)
    variance = np.var(logs, axis=0, ddof=1).sum() / 14
    assert np.mean(noises) == pytest.approx(variance, rel=0.15)


def test_draws_from_runs_follow_their_weighted_law() -> None:
    p = runs(np.random.default_rng(9))
    drawn = _drawn(np.random.default_rng(10), p, 16 * 10**7)
    within(drawn.probabilities, p.probabilities, np.sqrt(p.probabilities / 10**7) + 1e-9)


def test_the_test_of_equality_holds_for_the_weighted_law_alone() -> None:
    rng, found, unweighted = np.random.default_rng(2), [], []
    for seed in range(150):
        p, q = runs(rng), counted(rng, POSTERIOR, N_RUNS, 20_000)
        found.append(equality(p, q, n_permutations=199, seed=seed).p_value)
        unweighted.append(equality(Sampled(p.weights), q, n_permutations=199, seed=seed).p_value)
    covers(np.array(found) > 0.05, 0.95)
    assert np.mean(np.array(unweighted) <= 0.05) > 0.3


def test_bounds_bracket_the_distance_of_the_weighted_law() -> None:
    rng, truth, lower, brackets = np.random.default_rng(3), 0.3, [], []
    q_law = shifted(POSTERIOR, truth)
    for seed in range(100):
        p, q = runs(rng), counted(rng, q_law, N_RUNS, 4000)
        lower.append(lower_bounds(p, q, n_splits=2, seed=seed)[0].value)
        low, high = distances(p, q, n_splits=2, seed=seed).total_variation.bracket()
        brackets.append(low <= truth <= high)
    assert np.mean(lower) <= truth + 4 * np.std(lower) / 10
    covers(np.array(brackets), 0.95)


def test_intervals_of_the_table_cover_the_weighted_law() -> None:
    rng = np.random.default_rng(4)
    hits = []
    for _ in range(150):
        sampled = runs(rng)
        p = function_table(sampled, counted(rng, LAW, 8, 100)).p
        share, n = p.probability[0], sampled.n_effective
        variance = max(sampled.moves[:, 0].var(ddof=1) / N_RUNS, share * (1 - share) / n)
        reach = stats.t.ppf(0.975, N_RUNS - 1) * np.sqrt(variance) / share
        assert p.upper[0] / share == pytest.approx(np.exp(reach))
        hits.append((p.lower <= POSTERIOR) & (p.upper >= POSTERIOR))
    covers(np.array(hits)[:, 0], 0.95)


def test_unseen_mass_is_that_of_the_loop_over_runs() -> None:
    found = Sampled(
        np.array(
            [[0.5, 0.5, 0, 0, 0], [0.2, 0, 0.8, 0, 0], [0.4, 0, 0.3, 0.3, 0], [0, 0, 0, 0, 1.0]]
        ),
        log_evidences=np.log([1, 2, 3, 0.5]),
    )

    def alone(kept: list[int]) -> float:
        mass, shares = 0.0, found.shares[kept] / found.shares[kept].sum()
        for share, r in zip(shares, kept, strict=True):
            seen = (found.weights[[s for s in kept if s != r]] > 0).any(axis=0)
            mass += share * found.weights[r, ~seen].sum()
        return mass

    every = [0, 1, 2, 3]
    without = np.array([alone([r for r in every if r != s]) for s in every])
    estimate = unseen_mass(found)
    assert estimate.value == pytest.approx(alone(every))
    assert estimate.sem == pytest.approx((3 / 4 * ((without - without.mean()) ** 2).sum()) ** 0.5)


def test_a_run_without_draws_counts_nothing() -> None:
    rng = np.random.default_rng(5)
    whole = rng.multinomial(N_DRAWS, LAW, size=8) / N_DRAWS
    weights, evidences = whole.copy(), np.zeros(8)
    weights[3], evidences[3] = 0, -np.inf
    found = Sampled(weights, log_evidences=evidences)
    np.testing.assert_allclose(found.probabilities, np.delete(whole, 3, axis=0).mean(axis=0))
    assert np.isfinite(null(found, 1000, n_null=4).total_variation).all()
    mean_is(found.moves[:, 0], found.probabilities[0])
    empty = Sampled(whole, log_evidences=np.where(np.arange(8) < 4, -np.inf, 0.0))
    with pytest.raises(ValueError, match="4 of the 8 runs of p have no draws"):
        equality(empty, found)


@pytest.mark.parametrize(
    ("evidences", "n_draws", "match"),
    [
        (np.zeros(2), None, "one for each of the 3"),
        (np.full(3, -np.inf), None, "not for all of them"),
        (np.array([0.0, np.nan, 0.0]), None, "must be finite"),
        (np.zeros(3), np.full(3, 2), "exclude one another"),
    ],
)
def test_impossible_evidences_are_refused(
    evidences: np.ndarray, n_draws: np.ndarray | None, match: str
) -> None:
    with pytest.raises(ValueError, match=match):
        Sampled(np.full((3, 2), 0.5), n_draws, evidences)
