import json

import numpy as np
import pytest

from bayes_vs_sgd.functions.comparison import (
    Distance,
    Sampled,
    StudentEstimate,
    compare,
    distances,
    equality,
    null,
    plug_in_distances,
    unseen_mass,
    verdict,
)
from bayes_vs_sgd.functions.comparison.comparison import _percent
from tests.functions.comparison.laws import counted, drawn, shifted, zipf

P = zipf(30)
QUICK = {"n_splits": 1, "n_null": 5, "n_permutations": 99}


def distance(lower: float, upper: float, sem: float = 0.01) -> Distance:
    plug_in = StudentEstimate(upper, sem, np.inf)
    return Distance(plug_in, plug_in, StudentEstimate(lower, sem, np.inf))


@pytest.mark.parametrize(
    ("lower", "upper", "expected"),
    [
        (0.125, 0.3, "different"),
        (0.115, 0.3, "undecided"),
        (-0.1, 0.075, "indistinguishable"),
        (-0.1, 0.085, "undecided"),
        (0.05, 0.15, "undecided"),
    ],
)
def test_the_verdict_says_no_more_than_the_intervals(
    lower: float, upper: float, expected: str
) -> None:
    """The limits are 1.96 standard errors of .01 inwards of the bracket's ends."""
    assert verdict(distance(lower, upper), margin=0.1) == expected


def test_a_lower_level_decides_more() -> None:
    assert verdict(distance(0.115, 0.3), margin=0.1, level=0.8) == "different"


def test_a_margin_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="margin=0 "):
        verdict(distance(0.1, 0.2), margin=0)


def test_at_the_margin_verdicts_are_as_rarely_wrong_as_stated() -> None:
    rng, q = np.random.default_rng(0), shifted(zipf(8), 0.1)
    found = []
    for i in range(150):
        pair = drawn(rng, zipf(8), 5, 800, 3000), counted(rng, q, 6, 8000, i)
        found.append(verdict(distances(*pair, n_splits=1).total_variation, margin=0.1))
    allowed = 0.025 + 4 * (0.025 * 0.975 / 150) ** 0.5
    assert np.mean([v == "different" for v in found]) <= allowed
    assert np.mean([v == "indistinguishable" for v in found]) <= allowed


@pytest.mark.parametrize(
    ("q", "margin", "expected", "words"),
    [
        (shifted(P, 0.4), 0.1, "different", "P_SGD differs from P_B by more than 0.1"),
        (P, 0.2, "indistinguishable", "P_SGD equals P_B to within 0.2"),
        (shifted(P, 0.1), 0.1, "undecided", "Whether P_SGD differs from P_B by 0.1"),
    ],
)
def test_the_sentence_tells_the_verdict_with_its_interval(
    q: np.ndarray, margin: float, expected: str, words: str
) -> None:
    rng = np.random.default_rng(0)
    found = compare(
        drawn(rng, P, 8, 1500, 1e9), counted(rng, q, 16, 20_000), margin=margin, **QUICK
    )
    lower, upper = found.distances.total_variation.bracket()
    sentence = found.sentence()
    assert found.verdict == expected
    assert sentence.startswith(words)
    assert f"between {max(lower, 0):.3f} and {upper:.3f} (95 %" in sentence
    assert f"Spearman's ρ is {found.ranks.spearman.value:.2f}" in sentence
    assert f"is {found.log_relation.slope.value:.2f}" in sentence


def test_the_parts_are_those_of_the_functions() -> None:
    rng = np.random.default_rng(0)
    p, q = drawn(rng, P, 6, 300, 100), counted(rng, P, 8, 2000)
    found = compare(p, q, seed=3, **QUICK)
    assert found.unseen == (unseen_mass(p), unseen_mass(q))
    assert found.equality == equality(p, q, n_permutations=99, seed=3)
    assert found.distances == distances(p, q, n_splits=1, seed=3)
    halves, sample = null(p, n_null=5, seed=3), null(p, 2000, n_null=5, seed=3)
    np.testing.assert_array_equal(found.null_halves.total_variation, halves.total_variation)
    np.testing.assert_array_equal(found.null_sample.spearman, sample.spearman)
    assert found.as_dict() == compare(p, q, seed=3, **QUICK).as_dict()


def test_the_dictionary_is_flat_and_strict_json_with_an_error_for_every_estimate() -> None:
    rng = np.random.default_rng(0)
    found = compare(drawn(rng, P, 6, 300, 100), counted(rng, P, 8, 2000), **QUICK)
    flat = found.as_dict()
    assert json.loads(json.dumps(flat, allow_nan=False)) == flat
    for name, estimate in found.estimates().items():
        assert flat[name] == estimate.value
        assert flat[f"{name}_sem"] == estimate.sem
        assert (flat[f"{name}_lower"], flat[f"{name}_upper"]) == estimate.interval()
    plug_in = found.distances.total_variation.plug_in.value
    assert flat["null_halves_total_variation_tail"] == (
        np.mean(found.null_halves.total_variation >= plug_in)
    )


def test_what_does_not_exist_is_none_in_the_dictionary_and_is_said() -> None:
    rng = np.random.default_rng(0)
    coin = np.array([0.5, 0.5])
    found = compare(drawn(rng, coin, 4, 300, 100), counted(rng, coin, 4, 2000), **QUICK)
    flat = found.as_dict()
    assert flat["slope"] is None
    assert flat["spearman_sem"] is None
    assert flat["null_halves_slope_tail"] is None
    json.dumps(flat, allow_nan=False)
    assert "Too few functions are common enough to be ranked." in found.sentence()
    assert "slope of log P_SGD on log P_B is not determined" in found.sentence()


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [
        (1.0, 2, "100"), (0.996, 2, "100"), (0.99, 2, "99"), (0.1134, 2, "11"), (0.00567, 2, "0.57"),
        (0.12, 1, "12"), (0.002, 1, "0.2"), (2e-14, 1, "<0.001"), (0.0, 1, "0"),
    ],
)  # fmt: skip
def test_shares_are_read_without_exponents(share: float, digits: int, text: str) -> None:
    assert _percent(share, digits) == text


def test_masses_and_numbers_of_functions_are_those_of_the_table() -> None:
    p = Sampled(np.tile([0.5, 0.3, 0.2, 0.0, 0.0], (4, 1)))
    q = Sampled(np.tile([0.6, 0.0, 0.0, 0.4, 0.0], (4, 1)), np.full(4, 10))
    flat = compare(p, q, names=("volume", "runs"), **QUICK).as_dict()
    assert (flat["name_p"], flat["name_q"]) == ("volume", "runs")
    numbers = [flat[f"n_functions_{which}"] for which in ("both", "only_p", "only_q")]
    assert numbers == [1, 2, 1]
    assert flat["mass_p_not_found_by_q"] == pytest.approx(0.5)
    assert flat["mass_q_not_found_by_p"] == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"margin": 1.5}, "margin=1.5"),
        ({"level": 0}, "level=0"),
        ({"side": "P"}, "side='P'"),
        ({"least_count": 0}, "least_count=0"),
        ({"n_null": 0}, "n_null=0"),
        ({"n_folds": 1}, "n_folds=1"),
        ({"n_permutations": 2}, "n_permutations=2"),
    ],
)
def test_settings_that_are_none_are_refused(settings: dict, message: str) -> None:
    one = counted(np.random.default_rng(0), P, 4, 400)
    with pytest.raises(ValueError, match=message):
        compare(one, one, **settings)


@pytest.mark.slow
def test_a_hundred_thousand_functions_in_sixteen_replicates_are_compared() -> None:
    rng, p = np.random.default_rng(0), zipf(100_000, 1.3)
    q = p**1.1 / (p**1.1).sum()
    a = Sampled(rng.multinomial(5000, p, size=16) / 5000)
    found = compare(a, counted(rng, q, 16, 1_000_000))
    truth = plug_in_distances(p, q)
    for one, exact in zip(
        (found.distances.total_variation, found.distances.jensen_shannon), truth, strict=True
    ):
        lower, upper = one.bracket()
        assert lower < exact < upper
    slope = found.log_relation.slope
    assert abs(slope.value - 1.1) < 4 * slope.sem
    assert found.equality.p_value == 0.001
