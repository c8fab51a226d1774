import numpy as np
import pytest

from bayes_vs_sgd.functions.comparison import Null, null, plug_in_distances
from tests.functions.comparison.laws import counted, drawn, mean_is, zipf

P = zipf(40)


def test_halves_are_as_far_apart_as_two_samples_of_half_the_size() -> None:
    rng, found, direct = np.random.default_rng(0), [], []
    for i in range(60):
        found.append(null(drawn(rng, P, 8, 100, 1e9), n_null=2, seed=i).total_variation.mean())
        a, b = rng.multinomial(400, P, size=2) / 400
        direct.append(plug_in_distances(a, b)[0])
    sem = (np.var(found) / 60 + np.var(direct) / 60) ** 0.5
    assert abs(np.mean(found) - np.mean(direct)) < 4 * sem


def test_a_sample_has_the_noise_of_the_half_it_is_drawn_from_and_its_own() -> None:
    rng, found, direct = np.random.default_rng(0), [], []
    for i in range(60):
        one = null(drawn(rng, P, 8, 100, 1e9), 200, n_null=2, seed=i)
        found.append(one.total_variation.mean())
        a, b = rng.multinomial(400, P, size=2) / 400
        direct.append(plug_in_distances(a, rng.multinomial(200, b) / 200)[0])
    sem = (np.var(found) / 60 + np.var(direct) / 60) ** 0.5
    assert abs(np.mean(found) - np.mean(direct)) < 4 * sem


@pytest.mark.parametrize("n_draws", [None, 2000])
def test_the_slope_of_one_law_is_one_and_its_ranks_are_below_one(n_draws: int | None) -> None:
    rng = np.random.default_rng(0)
    found = [null(drawn(rng, P, 16, 400, 1e9), n_draws, n_null=3, seed=i) for i in range(25)]
    slopes = np.array([one.slope.mean() for one in found])
    assert abs(slopes.mean() - 1) < 4 * slopes.std() / 5
    assert slopes.std() < 0.2
    ranks = np.array([one.spearman.mean() for one in found])
    assert 0.7 < ranks.mean() < 0.97


def test_the_noise_of_the_half_that_is_drawn_from_does_not_tilt_the_slope() -> None:
    """Many draws of a noisy half: taken for a law of its own, the half would make the line steeper."""
    rng, p = np.random.default_rng(0), zipf(40, 0.6)
    slopes = [
        null(drawn(rng, p, 16, 80, 1e9), 50_000, n_null=3, least_count=4, seed=i).slope.mean()
        for i in range(60)
    ]
    mean_is(slopes, 1.0)


@pytest.mark.parametrize("n_draws", [None, 3200])
def test_the_functions_ranked_are_those_that_a_comparison_of_all_would_rank(
    n_draws: int | None,
) -> None:
    """Three of a share of 240 draws in 1600; halves by their own draws would want 240 in 800."""
    p = np.append([0.4, 0.28, 0.2], np.full(30, 0.12 / 30))
    one = drawn(np.random.default_rng(0), p, 8, 400, 1e9)
    found = null(one, n_draws, n_null=5, least_count=240)
    np.testing.assert_allclose(found.spearman, 1)


def test_four_replicates_have_ranks_but_no_slope() -> None:
    found = null(drawn(np.random.default_rng(0), P, 4, 2000, 1e9), n_null=5)
    assert np.isfinite(found.spearman).all()
    assert np.isnan(found.slope).all()
    assert np.isnan(found.quantiles("slope")).all()
    assert np.isnan(found.tail("slope", 1.0).share)


def test_the_tail_counts_what_is_as_far_out() -> None:
    values = np.arange(1.0, 11.0) / 10
    made = Null(values, values, values, np.array([0.5, 2.0, 1.1, np.nan]), None)
    assert made.tail("total_variation", 0.8).share == 0.3
    assert made.tail("spearman", 0.2).share == 0.2
    found = made.tail("slope", 1 / 1.5)
    assert (found.share, found.n) == (2 / 3, 3)
    assert made.tail("total_variation", 2.0).interval == pytest.approx((0, 1 - 0.025 ** (1 / 10)))
    assert made.quantiles("total_variation", level=0.8) == pytest.approx((0.19, 0.55, 0.91))


def test_an_equal_law_does_not_stand_out() -> None:
    """All replicates have less noise than halves, so it does so less often than 5 % of the time."""
    rng, tails = np.random.default_rng(0), []
    for i in range(40):
        p, q = drawn(rng, P, 8, 100, 100), counted(rng, P, 4, 800)
        observed = float(plug_in_distances(p.probabilities, q.probabilities)[0])
        tails.append(null(p, 800, n_null=15, seed=i).tail("total_variation", observed).share)
    assert np.mean(np.array(tails) <= 0.05) < 0.05 + 4 * (0.05 * 0.95 / 40) ** 0.5
    assert np.mean(tails) > 0.5


def test_the_same_seed_gives_the_same_null() -> None:
    p = drawn(np.random.default_rng(0), P, 6, 100, 50)
    one, same, other = (null(p, 50, n_null=4, seed=s) for s in (3, 3, 4))
    np.testing.assert_array_equal(one.total_variation, same.total_variation)
    assert (one.total_variation != other.total_variation).any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_null": 0}, "n_null=0"),
        ({"n_draws": 3}, "n_draws=3 .* at least 6"),
        ({"side": "neither"}, "side='neither'"),
        ({"least_count": 0}, "least_count=0"),
    ],
)
def test_settings_that_are_none_are_refused(settings: dict, message: str) -> None:
    p = drawn(np.random.default_rng(0), P, 6, 100, 50)
    with pytest.raises(ValueError, match=message):
        null(p, **settings)


def test_an_unknown_measure_is_refused() -> None:
    p = drawn(np.random.default_rng(0), P, 6, 100, 50)
    with pytest.raises(ValueError, match="measure='kendall'"):
        null(p, n_null=1).tail("kendall", 0.5)  # type: ignore[arg-type]
