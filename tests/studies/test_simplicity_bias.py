"""The study of simplicity bias from end to end at its smallest size, as a user runs it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayes_vs_sgd import functions, report, runs
from studies import simplicity_bias as study
from studies.simplicity_bias.results import distribution, finding, of_perceptron
from tests.conftest import within

from .folders import refused, resumed, runner

TINY = [
    *("--n-variables", "3", "--width", "8", "--depth", "2", "--sigma-w", "1", "20"),
    *("--n-draws", "20000", "--n-bootstrap", "50"),
]
run = runner(study, TINY)


def test_the_run_folder_is_complete(finished: Path) -> None:
    names = {p.name for p in finished.iterdir()}
    wanted = {"config.json", "provenance.json", "cells", "summary.csv", "verdict.json", "figures"}
    assert names == wanted | {"report.html"}
    assert set(runs.RunFolder(finished).cells()) == {"prior-1", "prior-20", "perceptron"}


def test_the_table_has_the_functions_found_twice(table: pd.DataFrame) -> None:
    assert (table["count"] >= 2).all()
    np.testing.assert_allclose(table["p"], table["count"] / 20_000)
    patterns = np.array([[int(bit) for bit in text] for text in table["function"]], np.uint8)
    np.testing.assert_array_equal(table["ones"], patterns.sum(axis=1))
    expected = functions.complexity.measure("lempel_ziv", patterns)
    np.testing.assert_allclose(table["complexity"], expected)
    for _, own in table.groupby("sigma_w"):
        assert own["function"].is_unique
        assert (own["count"].diff().dropna() <= 0).all()


def test_all_256_functions_of_three_variables_stand_in_the_verdict(
    table: pd.DataFrame, verdict: dict
) -> None:
    """Where every function was found often, the verdict's means are those of the table."""
    row = verdict["priors"][1]
    own = table[table["sigma_w"] == 20]
    once = 20_000 - own["count"].sum()
    assert row["n_functions"] == len(own) + once <= 256
    share = own["count"] / 20_000
    assert row["mean_complexity"] == pytest.approx((share * own["complexity"]).sum(), abs=0.01)
    constant = share[own["ones"].isin([0, 8])].sum()
    assert row["p_constant"] == pytest.approx(constant)
    for one in verdict["priors"]:
        assert sum(one["histogram"]["share"]) == pytest.approx(1)
        assert sum(one["ones"]) == 20_000
        reach = 1.959964 * one["gap_sem"]
        assert one["gap_upper"] == pytest.approx(one["gap"] + reach)
        assert one["gap_lower"] == pytest.approx(one["gap"] - reach)


def test_ordered_weights_are_simpler_than_chaotic_ones_and_both_than_random(verdict: dict) -> None:
    ordered, chaotic = verdict["priors"]
    assert (ordered["phase"], chaotic["phase"]) == ("ordered", "chaotic")
    assert ordered["slope_of_distances"] < 1 < chaotic["slope_of_distances"]
    assert ordered["finding"] == "simpler"
    assert ordered["mean_complexity"] < chaotic["mean_complexity"]
    assert ordered["envelope"]["a"] > 0
    assert ordered["spearman"] < 0
    assert "simpler than random functions by" in verdict["statement"]


def test_the_perceptron_obeys_its_theorem(verdict: dict) -> None:
    perceptron = verdict["perceptron"]
    assert perceptron["n_functions"] == 32
    assert perceptron["p_value"] > 1e-4
    share = np.array(perceptron["ones"][:-1]) / 20_000
    within(share, 1 / 8, np.sqrt(1 / 8 * 7 / 8 / 20_000))
    assert perceptron["ones"][-1] == 0


def test_a_perceptron_that_breaks_the_theorem_is_found_out() -> None:
    patterns = np.array([[0, 0, 0, 0], [0, 1, 0, 1], [0, 1, 1, 1]])
    words = functions.pack_bits(patterns, 2)
    order = np.argsort(words[:, 0])
    counts = functions.FunctionCounts(words[order], np.array([500, 300, 200])[order], 4)
    found = of_perceptron(study.Config(n_variables=2), counts)
    # Shares .5, 0, .3, .2 against a quarter each.
    assert found["chi_squared"] == pytest.approx(1000 * 4 * (0.25**2 * 2 + 0.05**2 * 2))
    assert found["p_value"] < 1e-10


def test_shares_are_those_of_the_draws() -> None:
    values, counts = np.array([1.0, 2.0, 2.0, 5.0]), np.array([4, 3, 2, 1])
    assert distribution(values, counts) == {
        "value": [1.0, 2.0, 5.0], "share": pytest.approx([0.4, 0.5, 0.1]),
    }  # fmt: skip


def test_a_finding_says_no_more_than_its_interval() -> None:
    assert finding(0.1, 0.3) == "simpler"
    assert finding(-0.1, 0.3) == "undecided"
    assert finding(-0.3, -0.1) == "not simpler"


def test_the_report_is_drawn_again_from_the_folder_alone(finished: Path, verdict: dict) -> None:
    page = report.write(runs.RunFolder(finished)).read_text()
    for row in verdict["priors"]:
        assert f"{row['gap']:.2f}" in page
    assert page.count("<svg") == 4


def test_a_finished_run_resumed_computes_nothing(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "3 of 3 cells are finished already" in resumed(run, finished, capsys)


def test_a_dry_run_computes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("--out", str(tmp_path / "none"), "--dry-run")
    # 3·8 + 8 + 8·8 + 8 + 8 + 1 parameters.
    assert "of 113 parameters" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--n-variables", "20"], "pass 10 at most"),
        (["--sigma-w", "0"], "sigma_w=0.0 is not possible"),
        (["--sigma-w", "1", "1"], "must be some numbers that differ"),
        (["--sigma-b", "-1"], "sigma_b=-1.0 is not possible"),
        (["--activation", "cube"], "activation='cube' is unknown"),
        (["--complexity", "beauty"], "complexity='beauty' is unknown"),
        (["--n-draws", "10"], "n_draws=10 is not possible"),
        (["--level", "1"], "level=1.0 is no probability"),
    ],
)
def test_what_is_not_possible_ends_with_one_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sentence in refused(run, arguments, tmp_path / "none", capsys)
