"""Sweeps put together from cells, their tables and their verdicts."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from bayes_vs_sgd import double_descent
from bayes_vs_sgd.double_descent import AXES, Arm, ClassMembers, Rise, Sweep

PEAKED, FALLING = (1, 0.5, 2, 1, 0.3), (1, 0.5, 0.4, 0.35, 0.3)
PLACES = (1.0, 2.0, 4.0, 8.0, 16.0)
Y = np.zeros(12, dtype=int)


def losses(height: float, rng: np.random.Generator, n: int = 4) -> xr.Dataset:
    """An arm whose NLL is ``height``, with a little noise of its own."""
    rest = (1 - np.exp(-height)) / 2
    log_probs = np.log(np.array([np.exp(-height), rest, rest])) * np.ones((n, 1, 12, 1))
    members = ClassMembers(log_probs, Y)
    one = Arm().losses(members, members)
    return one.assign(nll=one["nll"] + 0.001 * rng.normal(size=(n, 12)))


def sweep(
    unconverged: dict[str, list[str]] | None = None,
    axis: str = "width",
    **heights: tuple[float, ...],
) -> Sweep:
    """Arms over five places; by default the five, of which only SGD rises again."""
    rng = np.random.default_rng(1)
    curves = heights or {"sgd": PEAKED} | dict.fromkeys(double_descent.FIVE[1:], FALLING)
    arms = {
        arm: [{c: losses(h, rng) for c, h in zip(PLACES, curve, strict=True)}]
        for arm, curve in curves.items()
    }
    return Sweep.of(AXES[axis], arms, unconverged)


MARGINS = {"error": 0.02, "nll": 0.1}


def test_the_verdict_has_every_arm_and_metric() -> None:
    verdict = double_descent.verdict(sweep(), MARGINS)
    assert verdict["converged"] is True
    assert tuple(verdict["arms"]) == double_descent.FIVE
    assert verdict["arms"]["sgd"]["nll"]["verdict"] == "present"
    assert verdict["arms"]["bma"]["nll"]["verdict"] == "absent"
    assert verdict["arms"]["sgd"]["nll"]["height"] == pytest.approx(1.5, abs=0.01)
    lower, upper = verdict["arms"]["bma"]["nll"]["lower_than_reference"]["interval"]
    assert lower < 1.5 < upper


def test_the_statement_attributes_only_what_the_arms_show() -> None:
    said = double_descent.verdict(sweep(), {"nll": 0.1})["statement"]
    assert "averaging is not needed" in said
    assert "no posterior spread is needed" in said
    along_time = double_descent.verdict(sweep(axis="epochs"), {"nll": 0.1})["statement"]
    assert "averaging is not needed" not in along_time
    assert "Rise of the test NLL along epochs: present for SGD, one network;" in along_time
    assert "A rise that is followed by a descent: present for SGD" in along_time


def test_unconverged_cells_are_named_first_and_only_their_arms_are_in_doubt() -> None:
    found = sweep({"draw": ["hmc-w2-s0"], "bma": ["hmc-w2-s0"], "map": []})
    verdict = double_descent.verdict(found, {"nll": 0.1})
    assert verdict["converged"] is False
    assert verdict["unconverged_cells"] == ["hmc-w2-s0"]
    assert verdict["statement"].startswith(
        "Not converged: hmc-w2-s0; what is said of one posterior draw and BMA rests"
    )
    assert verdict["arms"]["bma"]["nll"]["statement"].startswith("On draws that have not converged")
    assert not verdict["arms"]["sgd"]["nll"]["statement"].startswith("On draws")


def test_along_samples_a_rise_counts_and_its_descent_is_judged_beside_it() -> None:
    rising = (1, 0.5, 0.7, 1.2, 1.5)
    verdict = double_descent.verdict(sweep(axis="samples", sgd=rising), {"nll": 0.1})
    entry = verdict["arms"]["sgd"]["nll"]
    assert entry["height"] == pytest.approx(1.0, abs=0.01)
    assert entry["verdict"] == "present"
    assert "at samples 16" in entry["statement"]
    assert entry["peak"]["height"] == 0
    assert entry["peak"]["verdict"] == "absent"
    assert verdict["families"]["n_spoken"] == 2
    assert (
        double_descent.verdict(sweep(sgd=rising), {"nll": 0.1})["arms"]["sgd"]["nll"]["height"] == 0
    )


def test_a_bridge_says_where_the_rise_comes_back() -> None:
    found = sweep(**{"sgd": PEAKED, "bma": FALLING, "bma@T0.1": FALLING, "bma@T0.01": PEAKED})
    verdict = double_descent.verdict(found, {"nll": 0.1})
    assert "(test NLL, BMA) present at T = 0.01; absent at T = 0.1, 1." in verdict["statement"]
    rows = [row for row in verdict["variants"] if row["metric"] == "nll"]
    assert [row["value"] for row in rows] == [0.01, 0.1, 1.0]
    assert [row["verdict"] for row in rows] == ["present", "absent", "absent"]


def test_arms_need_not_have_the_same_places() -> None:
    rng = np.random.default_rng(0)
    whole = {c: losses(h, rng) for c, h in zip(PLACES, PEAKED, strict=True)}
    part = {c: whole[c] for c in PLACES[1:]}
    found = Sweep.of(AXES["epochs"], {"sgd": [whole], "bma": [part]})
    assert found.complexity("bma") == list(PLACES[1:])
    table = found.table()
    assert set(table[table["arm"] == "bma"]["complexity"]) == set(PLACES[1:])


def test_cells_with_fewer_replicates_decide_how_many_are_kept() -> None:
    rng = np.random.default_rng(0)
    cells = {c: losses(1.0, rng, n) for c, n in zip(PLACES, (4, 3, 4, 5, 4), strict=True)}
    found = Sweep.of(AXES["width"], {"sgd": [cells]})
    assert found.replicates("sgd", "nll").shape == (1, 3, 5, 12)


def test_the_table_has_a_standard_error_for_every_number() -> None:
    table = sweep().table()
    assert set(table["metric"]) == {"error", "nll", "brier", "ece", "train_error"}
    assert len(table) == 5 * 5 * 5
    assert table["sem"].notna().all()
    assert (table["lower"] <= table["value"]).all()


def test_the_interval_of_a_median_holds_it_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_cauchy(size=(11, 4000))
    lower, upper = double_descent.median_interval(rows, 0.95)
    share = np.mean((lower <= 0) & (upper >= 0))
    exact = 1 - 2 * stats.binom.cdf(1, 11, 0.5)
    assert abs(share - exact) < 5 * (exact * (1 - exact) / 4000) ** 0.5
    assert exact >= 0.95


def test_five_rows_are_too_few_for_the_interval_of_a_median() -> None:
    lower, _ = double_descent.median_interval(np.arange(5.0)[:, None], 0.95)
    assert np.isnan(lower).all()
    lower, upper = double_descent.median_interval(np.arange(6.0)[:, None], 0.95)
    assert (lower.item(), upper.item()) == (0, 5)


def test_a_curve_of_medians_is_not_moved_by_a_few_wild_splits() -> None:
    rng = np.random.default_rng(0)
    splits = [{c: losses(h, rng) for c, h in zip(PLACES, PEAKED, strict=True)} for _ in range(7)]
    wild = splits[0][4.0]
    splits[0][4.0] = wild.assign(nll=wild["nll"] * 1e6, nll_estimate=wild["nll_estimate"] * 1e6)
    found = {
        center: Sweep.of(AXES["width"], {"sgd": splits}, center=center).curve("sgd", "nll")
        for center in ("mean", "median")
    }
    np.testing.assert_allclose(found["median"], PEAKED, atol=0.01)
    assert found["mean"][2] > 1e5


def rise_of(curve: tuple[float, ...], std: float, seed: int) -> Rise:
    rng = np.random.default_rng(seed)
    replicates = np.asarray(curve) + std * rng.normal(size=(10, 5))
    return Rise.of(replicates.mean(0), replicates, n_bootstrap=500)


def test_holm_holds_what_is_certain_and_no_more_than_bonferroni_loses() -> None:
    rises = {("sgd", "nll", "peak"): rise_of(PEAKED, 0.01, 0)}
    rises |= {(f"arm{i}", "nll", "peak"): rise_of(FALLING, 0.4, i) for i in range(9)}
    held = double_descent.holm(rises, MARGINS, level=0.95)
    assert ("sgd", "nll", "peak") in held
    alone = {key for key, rise in rises.items() if rise.at(0.95, 0.1).verdict != "undecided"}
    strictest = {
        key for key, rise in rises.items() if rise.at(1 - 0.05 / 10, 0.1).verdict != "undecided"
    }
    assert strictest <= held <= alone


def test_noise_alone_makes_no_verdict_of_a_family_more_often_than_the_level_allows() -> None:
    """Ten flat and noisy arms: any "present" that holds in the family is wrong."""
    n_families, wrong = 60, 0
    for i in range(n_families):
        rises = {(f"arm{k}", "nll", "peak"): rise_of((0,) * 5, 3.0, 100 * i + k) for k in range(10)}
        held = double_descent.holm(rises, MARGINS, level=0.9)
        wrong += any(rises[key].at(0.9, 0.1).verdict == "present" for key in held)
    assert wrong / n_families < 0.1 + 3 * (0.1 * 0.9 / n_families) ** 0.5


def test_the_statement_names_the_verdicts_that_do_not_hold_together() -> None:
    rng = np.random.default_rng(3)
    cells = {}
    for arm, curve, std in (("sgd", PEAKED, 0.001), ("map", (1, 0.5, 0.78, 0.5, 0.3), 0.05)):
        cells[arm] = [{}]
        for c, h in zip(PLACES, curve, strict=True):
            one = losses(h, rng)
            cells[arm][0][c] = one.assign(nll=one["nll"] + std * rng.normal(size=(4, 1)))
    verdict = double_descent.verdict(Sweep.of(AXES["width"], cells), {"nll": 0.3}, level=0.9)
    lost = [
        arm
        for arm, by_metric in verdict["arms"].items()
        if by_metric["nll"]["verdict"] != "undecided" and not by_metric["nll"]["holds_in_family"]
    ]
    for arm in lost:
        assert f"{double_descent.ARMS[arm].label} (nll)" in verdict["statement"]
    assert verdict["arms"]["sgd"]["nll"]["holds_in_family"]
    assert verdict["families"] == {"method": "Holm", "level": 0.9, "n_spoken": 2, "n_others": 0}


def fitting(error: float, n: int = 6) -> xr.Dataset:
    """An arm of which ``error`` is the share of training rows that is wrong, about."""
    one = losses(1.0, np.random.default_rng(0), n)
    errors = error * np.linspace(0.9, 1.1, n)
    return one.assign(train_error=("replicate", errors), train_error_estimate=((), errors.mean()))


@pytest.mark.parametrize(
    ("axis", "errors", "value"),
    [
        ("width", (0.4, 0.2, 0.008, 0.0, 0.0), 4.0),
        ("epochs", (0.4, 0.2, 0.1, 0.005, 0.0), 8.0),
        # Between 4 rows, of which 0 are wrong, and 8, of which 2 % are: half the way.
        ("samples", (0.0, 0.0, 0.0, 0.02, 0.4), 6.0),
    ],
)
def test_the_effective_model_complexity_is_marked_on_every_axis(
    axis: str, errors: tuple[float, ...], value: float
) -> None:
    cells = {c: fitting(e) for c, e in zip(PLACES, errors, strict=True)}
    found = double_descent.verdict(Sweep.of(AXES[axis], {"sgd": [cells]}), MARGINS)
    assert found["interpolation"]["value"] == pytest.approx(value)
    lower, upper = found["interpolation"]["interval"]
    assert lower <= value <= upper


def test_arms_with_fewer_than_three_places_have_curves_and_no_verdict() -> None:
    rng = np.random.default_rng(0)
    whole = {c: losses(h, rng) for c, h in zip(PLACES, PEAKED, strict=True)}
    short = {c: whole[c] for c in PLACES[:2]}
    found = Sweep.of(AXES["epochs"], {"sgd": [short], "bma": [whole]})
    verdict = double_descent.verdict(found, MARGINS)
    assert set(verdict["arms"]) == {"bma"}
    assert verdict["reference"] == "bma"
    assert set(found.table()["arm"]) == {"sgd", "bma"}
    with pytest.raises(ValueError, match="no arm was measured at 3 places along epochs"):
        double_descent.verdict(Sweep.of(AXES["epochs"], {"sgd": [short]}), MARGINS)
