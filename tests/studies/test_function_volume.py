"""The study of function volume from end to end at its smallest size, as a user runs it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayes_vs_sgd import functions, report, runs
from studies import function_volume as study
from studies._functions import Training

from .folders import read_table, refused, resumed, runner

TARGET, MASK = "0011001100110011", "1110010011001010"
TINY = [
    *("--target", TARGET, "--train-mask", MASK, "--hidden", "12", "--n-sgd", "200"),
    *("--max-epochs", "400", "--n-runs", "4", "--n-particles", "256", "--n-moves", "20"),
    *("--n-draws", "20", "--thin", "5", "--n-prior", "50000", "--n-blocks", "8"),
    *("--estimators", "splitting", "rejection"),
    *("--sgd", "sgd lr=0.05 batch=1", "adam lr=0.02 batch=4 loss=mse"),
]
NAMES = ("sgd_lr0.05_b1", "adam_lr0.02_b4_mse")
run = runner(study, TINY)


def test_the_run_folder_is_complete(finished: Path) -> None:
    names = {p.name for p in finished.iterdir()}
    wanted = {"config.json", "provenance.json", "cells", "summary.csv", "verdict.json", "figures"}
    assert wanted | {"report.html"} <= names
    assert set(runs.RunFolder(finished).cells()) == {"volume-splitting", "volume-rejection", *NAMES}


def test_the_table_has_a_row_a_function_and_columns_for_every_training(table: pd.DataFrame) -> None:
    wanted = ["function", "p_posterior", "p_posterior_sem"]
    for name in NAMES:
        wanted += [f"p_sgd_{name}", f"p_sgd_{name}_sem"]
    assert list(table) == [*wanted, "test_error", "complexity"]
    assert table["function"].is_unique
    for column in ("p_posterior", *(f"p_sgd_{name}" for name in NAMES)):
        assert table[column].sum() == pytest.approx(1)
    assert (table["p_posterior"].diff().dropna() <= 0).all()


def test_functions_hold_the_training_rows_and_their_own_numbers(table: pd.DataFrame) -> None:
    trained = np.array(list(MASK)) == "1"
    target = np.array([int(bit) for bit in TARGET])
    found = np.array([[int(bit) for bit in text] for text in table["function"]])
    np.testing.assert_array_equal(found[:, trained], np.tile(target[trained], (len(found), 1)))
    errors = (found != target)[:, ~trained].mean(axis=1)
    np.testing.assert_allclose(table["test_error"], errors)
    np.testing.assert_allclose(
        table["complexity"], functions.complexity.measure("lempel_ziv", found.astype(np.uint8))
    )


def test_the_verdict_has_the_numbers_of_the_table(table: pd.DataFrame, verdict: dict) -> None:
    for name in ("log_evidence", "target_posterior", "mean_test_error"):
        assert verdict[f"{name}_sem"] > 0
    row = table[table["function"] == TARGET].iloc[0]
    assert verdict["target_posterior"] == pytest.approx(row["p_posterior"])
    mean = (table["p_posterior"] * table["test_error"]).sum()
    assert verdict["mean_test_error"] == pytest.approx(mean)
    for name in NAMES:
        entry = verdict["comparison"][name]
        assert entry["n_fit"] + entry["n_unfit"] + entry["n_failed"] == entry["n_runs"] == 200
        assert entry["target_probability"] == pytest.approx(row[f"p_sgd_{name}"])
        assert entry["label"] in verdict["statement"]


def test_the_estimators_agree(verdict: dict) -> None:
    other = verdict["estimators"]["rejection"]
    assert not other["doubts"]
    assert abs(other["standard_errors_from_first"]) < 5
    apart = other["target_posterior"] - verdict["target_posterior"]
    assert abs(apart) < 5 * np.hypot(other["target_posterior_sem"], verdict["target_posterior_sem"])


def test_the_report_is_drawn_again_from_the_folder_alone(finished: Path, verdict: dict) -> None:
    page = report.write(runs.RunFolder(finished)).read_text()
    for text in ("Function volume", f"{verdict['log_evidence']:.3f}", "SGD, lr 0.05, batch 1"):
        assert text in page
    assert page.count("<svg") >= 5


def test_a_finished_run_resumed_computes_nothing(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "4 of 4 cells are finished already" in resumed(run, finished, capsys)


def test_a_dry_run_computes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("--out", str(tmp_path / "none"), "--dry-run")
    assert "Nothing was computed or written" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_images_become_two_classes(tmp_path: Path) -> None:
    arguments = ["--data", "digits", "--n-train", "20", "--n-test", "30", "--hidden", "8"]
    arguments += ["--estimators", "splitting", "--n-sgd", "40", "--sgd", "adam lr=0.01 batch=5"]
    run("--out", str(tmp_path / "digits"), *arguments)
    table = read_table(tmp_path / "digits")
    assert set(table["function"].str.len()) == {30}
    assert set("".join(table["function"])) == {"0", "1"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--target", "0120", "--train-mask", "0110"], "no string of 0 and 1"),
        (["--train-mask", "01"], "train_mask has 2 bits and target has 16"),
        (["--sgd", "rmsprop lr=1"], "begins with no optimiser"),
        (["--sgd", "sgd lr=fast"], "no number behind the sign"),
        (["--sgd", "sgd speed=1"], "'speed=1' in 'sgd speed=1' is unknown"),
        (["--sgd", "sgd lr=0.1", "sgd lr=0.1"], "ways to train that differ"),
        (["--estimators", "guessing"], "must be some of splitting"),
        (["--complexity", "beauty"], "complexity='beauty' is unknown"),
        (["--hidden", "0"], "hidden=0 is not possible"),
        (["--sigma-w", "-1"], "sigma_w=-1.0 is not possible"),
        (["--n-runs", "2"], "n_runs=2 is not possible"),
        (["--data", "nothing.npz"], "nothing.npz"),
    ],
)
def test_what_is_not_possible_ends_with_one_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sentence in refused(run, arguments, tmp_path / "none", capsys)


def test_a_training_is_read_and_named() -> None:
    read = Training.parse("sgd lr=0.01 batch=0 momentum=0.9 longer=20")
    assert read == Training("sgd", 0.01, 0, 0.9, "ce", 20)
    assert read.name == "sgd_lr0.01_ball_m0.9_e20"
    assert read.label == "SGD, lr 0.01, full batch, momentum 0.9, 20 epochs"
    with pytest.raises(ValueError, match="gives Adam a momentum"):
        Training.parse("adam momentum=0.5")
    with pytest.raises(ValueError, match="lr must be positive"):
        Training.parse("sgd lr=-1")
