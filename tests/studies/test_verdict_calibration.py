"""The calibration of the verdict from end to end at its smallest size, as a user runs it."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayes_vs_sgd import double_descent, runs
from bayes_vs_sgd.double_descent import theory
from studies import verdict_calibration as study
from tests.conftest import within

from .folders import read_table, read_verdict, refused, resumed, runner

TINY = [
    *("--n-sweeps", "5", "--block", "2", "--n-replicates", "4", "--n-train", "10"),
    *("--n-features", "20", "--widths", "2", "7", "14", "20", "--n-bootstrap", "200"),
]
run = runner(study, TINY)


def test_the_run_folder_is_complete_and_holds_a_cell_a_block(finished: Path) -> None:
    names = {p.name for p in finished.iterdir()}
    assert {"config.json", "provenance.json", "cells", "summary.csv", "verdict.json"} <= names
    assert runs.RunFolder(finished).cells() == [
        f"{kind}-b{b}" for kind in ("flat", "minimum_norm", "ridge") for b in range(3)
    ]


def test_the_rates_are_those_of_the_verdicts_in_the_cells(finished: Path) -> None:
    table, verdict = read_table(finished).set_index("kind"), read_verdict(finished)
    folder = runs.RunFolder(finished)
    for kind, wrong in study.WRONG.items():
        found = np.concatenate(
            [folder.read_group(f"{kind}-b{b}")["verdict"].to_numpy() for b in range(3)]
        )
        row, n_wrong = table.loc[kind], int((found == wrong).sum())
        assert row["n_sweeps"] == len(found) == 5
        assert row["present"] + row["absent"] + row["undecided"] == 5
        assert row["wrong_rate"] == n_wrong / 5
        assert row["undecided_rate"] == (found == "undecided").mean()
        # Clopper and Pearson's limits are quantiles of beta distributions.
        upper = stats.beta.ppf(0.975, n_wrong + 1, 5 - n_wrong)
        lower = stats.beta.ppf(0.025, n_wrong, 6 - n_wrong) if n_wrong else 0
        np.testing.assert_allclose(
            row[["wrong_lower", "wrong_upper"]].astype(float), [lower, upper]
        )
        name = "false_negatives" if kind == "minimum_norm" else "false_positives"
        assert verdict["kinds"][kind][name]["rate"] == n_wrong / 5
    assert len(verdict["statements"]) == 3


def test_a_finished_run_resumed_computes_nothing(
    finished: Path, capsys: pytest.CaptureFixture
) -> None:
    printed = resumed(run, finished, capsys)
    assert "9 of 9 cells are finished already." in printed
    assert "wrong_rate" in printed


def test_blocks_do_not_change_the_sweeps(finished: Path, tmp_path: Path) -> None:
    run("--block", "5", "--out", str(tmp_path / "run"))
    one, many = runs.RunFolder(tmp_path / "run"), runs.RunFolder(finished)
    for kind in study.WRONG:
        whole = one.read_group(f"{kind}-b0")
        parts = [many.read_group(f"{kind}-b{b}") for b in range(3)]
        for name in ("curve", "height", "upper", "verdict"):
            again = np.concatenate([part[name].to_numpy() for part in parts])
            np.testing.assert_array_equal(whole[name].to_numpy(), again)


CONFIG = study.Config(n_train=12, n_features=30, widths=(3, 6, 20, 30))


def replicates(kind: str, n: int) -> np.ndarray:
    root = np.random.SeedSequence(0)
    return np.stack([study.replicate(CONFIG, kind, child) for child in root.spawn(n)])


def test_sweeps_of_minimum_norm_scatter_about_the_theorem() -> None:
    found = replicates("minimum_norm", 300)
    exact = [theory.minimum_norm_risk(p, 12, 30) for p in CONFIG.widths]
    within(found.mean(axis=0), np.array(exact), found.std(axis=0) / 300**0.5)


def test_sweeps_of_ridge_fall_all_the_way_and_are_the_optimum() -> None:
    found = replicates("ridge", 200)
    best = found.mean(axis=0)
    assert (np.diff(best) < 0).all()
    for p, risk in zip(CONFIG.widths, best, strict=True):
        assert risk < theory.minimum_norm_risk(p, 12, 30)


def test_flat_sweeps_have_no_shape() -> None:
    found = replicates("flat", 400)
    within(found.mean(axis=0), np.ones(4), np.full(4, 0.1 / 400**0.5))
    within(found.std(axis=0), np.full(4, 0.1), np.full(4, 0.1 / 800**0.5))


def test_the_true_height_is_what_the_verdict_measures_on_the_exact_curve() -> None:
    config = study.Config()
    exact = np.array([theory.minimum_norm_risk(p, 30, 80) for p in config.widths])
    measured = double_descent.peak(exact, np.stack([exact, exact]), margin=0.2)
    assert study.true_height(config) == pytest.approx(measured.height)


def test_wrong_verdicts_are_called_by_what_the_interval_allows() -> None:
    def sentence(n_wrong: int, n: int) -> str:
        interval = stats.binomtest(n_wrong, n).proportion_ci(0.95, "exact")
        row = {
            "kind": "ridge", "second_rise": False, "n_sweeps": n, "wrong_rate": n_wrong / n,
            "wrong_lower": interval.low, "wrong_upper": interval.high,
            "undecided_rate": 0.0, "undecided_lower": 0.0, "undecided_upper": 0.1,
        }  # fmt: skip
        verdict = study.conclusion(study.Config(), pd.DataFrame([row]))
        return verdict["statements"][0]

    assert "as promised" in sentence(0, 200)
    assert "more than promised" in sentence(40, 200)
    assert "too few sweeps" in sentence(0, 10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--n-sweeps", "0"], "n_sweeps=0 is too few; pass at least 1"),
        (["--n-replicates", "1"], "n_replicates=1 is too few; pass at least 2"),
        (["--widths", "2", "7"], "pass at least 3 different widths in increasing order"),
        (["--widths", "2", "14", "7"], "increasing order"),
        (["--widths", "2", "14", "21"], "must lie between 1 and n_features=20"),
        (["--widths", "2", "11", "20"], "within 1 of n_train=10"),
        (["--widths", "2", "3", "4"], "below margin=0.2; lower the margin"),
        (["--margin", "0"], "margin=0.0 is not possible"),
        (["--noise-std", "-1"], "noise_std=-1.0 is not possible"),
        (["--level", "1"], "level=1.0 is no confidence level"),
        (["--device", "abacus"], "abacus"),
    ],
)
def test_bad_input_ends_in_one_sentence_and_exit_code_2(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert message in refused(run, arguments, tmp_path / "run", capsys)


@pytest.mark.slow
def test_wrong_verdicts_are_as_rare_as_the_level_promises(tmp_path: Path) -> None:
    config = dataclasses.replace(study.Config(), out=tmp_path / "run")
    study.main(config)
    table = pd.read_csv(tmp_path / "run" / "summary.csv")
    assert (table["wrong_rate"] <= 0.05).all()


def test_a_dry_run_computes_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    run("--dry-run", "--out", str(tmp_path / "run"))
    assert "nothing was computed or written" in capsys.readouterr().out
    assert not (tmp_path / "run").exists()
