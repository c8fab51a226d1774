"""Every study from end to end at its smallest size, as a user runs it."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import arviz as az
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_vs_sgd import runs
from bayes_vs_sgd.types import StoppedChainWarning
from studies import double_descent
from studies.double_descent import problem
from studies.double_descent import study as study_module

from .folders import refused, resumed
from .tiny import TINY, run

ROOT = Path(__file__).parents[2]


def command(*args: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *args], cwd=ROOT, capture_output=True, text=True, timeout=timeout
    )


def test_the_run_folder_is_complete_and_holds_no_pickle(finished: Path) -> None:
    names = {p.name for p in finished.iterdir()}
    assert {
        "config.json", "provenance.json", "cells", "summary.csv", "verdict.json", "figures", "report.html",
    } <= names  # fmt: skip
    assert len(list((finished / "cells").glob("*.nc"))) == 9
    assert {p.suffix for p in finished.rglob("*") if p.is_file()} == {
        ".json", ".nc", ".csv", ".png", ".svg", ".html",
    }  # fmt: skip


def test_the_verdict_has_the_agreed_form(finished: Path) -> None:
    verdict = json.loads((finished / "verdict.json").read_text())
    assert verdict["converged"] in (True, False)
    assert set(verdict["arms"]) == {"sgd", "deep_ensemble", "map", "draw", "bma"}
    for by_metric in verdict["arms"].values():
        for metric in ("error", "nll"):
            entry = by_metric[metric]
            assert entry["verdict"] in ("present", "absent", "undecided")
            lower, upper = entry["interval"]
            assert lower <= entry["height"] <= upper


def test_chains_this_short_are_called_unconverged_first(finished: Path) -> None:
    verdict = json.loads((finished / "verdict.json").read_text())
    assert verdict["statement"].startswith("Not converged:")
    assert "Not converged" in (finished / "report.html").read_text()


def test_the_summary_has_every_width_arm_and_metric(finished: Path) -> None:
    table = pd.read_csv(finished / "summary.csv")
    assert len(table) == 3 * 5 * 8
    assert set(table["complexity"]) == {2, 3, 5}


def test_every_cell_is_an_arviz_datatree(finished: Path) -> None:
    tree = xr.open_datatree(finished / "cells" / "hmc-w3-s0.nc", engine="h5netcdf")
    assert len(az.summary(tree)) > 0
    assert tree["log_likelihood"]["y"].shape == (2, 20, 50)


def test_the_report_is_one_file_that_needs_nothing_else(finished: Path) -> None:
    page = (finished / "report.html").read_text()
    assert "<svg" in page
    for reference in ('src="http', 'href="http', "<script", "@import"):
        assert reference not in page


def test_the_report_is_drawn_again_from_the_folder_alone(finished: Path) -> None:
    before = (finished / "verdict.json").read_text()
    (finished / "report.html").unlink()
    done = command("bayes_vs_sgd", "report", str(finished))
    assert done.returncode == 0, done.stderr
    assert (finished / "report.html").exists()
    assert (finished / "verdict.json").read_text() == before


def test_a_finished_run_resumed_computes_nothing(
    finished: Path, capsys: pytest.CaptureFixture
) -> None:
    assert "9 of 9 cells are finished already." in resumed(run, finished, capsys)


def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been(
    finished: Path, tmp_path: Path
) -> None:
    arguments = ["studies.double_descent", *TINY, "--out", str(tmp_path / "run")]
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 240
    while len(list(tmp_path.glob("run/cells/*.nc"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    run("--out", str(tmp_path / "run"), "--resume")
    ours, theirs = (pd.read_csv(p / "summary.csv") for p in (tmp_path / "run", finished))
    np.testing.assert_allclose(ours["value"], theirs["value"], rtol=1e-4, atol=1e-4)


def nan_file(folder: Path) -> str:
    x = np.random.default_rng(0).random((80, 4))
    x[3, 1] = np.nan
    np.savez(folder / "nan.npz", x=x, y=np.arange(80) % 3)
    return str(folder / "nan.npz")


def label_file(folder: Path) -> str:
    np.savez(
        folder / "labels.npz", x=np.random.default_rng(0).random((80, 4)), y=np.arange(80) % 3 - 1
    )
    return str(folder / "labels.npz")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--widths", "0", "2", "4"], "width of 0; pass at least 1"),
        (["--widths", "4", "2", "8"], "increasing order"),
        (["--data", "nan"], "NaN or infinite; remove or impute"),
        (["--data", "labels"], "integer classes 0, 1, …"),
        (["--data", "missing.npz"], "there is no file missing.npz"),
        (["--n-train", "5000"], "exceed the 1797 rows of digits"),
        (["--batch-size", "999"], "batch_size=999 exceeds the 50 training rows"),
        (["--n-seeds", "3"], "pass at least 4"),
        (["--device", "abacus"], "abacus"),
        (["--hmc.step-size", "0"], "step_size=0"),
        (["--temperature", "0"], "temperature=0"),
        (["--preset", "huge"], "huge"),
        (["--executor", "abacus"], "abacus"),
        (["--axis", "abacus"], "abacus"),
        (["--arms", "abacus"], "arms=['abacus'] are none of the arms; pass some of sgd,"),
        (["--axis", "epochs", "--arms", "swag"], "arms=['swag'] are not possible with axis=epochs"),
        (["--axis", "temperature", "--arms", "sgd"], "possible are map, draw, bma"),
        (["--arms", "exact_bma"], "['exact_bma'] are not possible with axis=width, model=mlp"),
        (["--model", "linear"], "model='linear' is the exact test bed for real targets"),
        (["--model", "decoder"], "text is for the decoder"),
        (["--model", "translator"], "two files of sentences"),
        (["--model", "linear", "--data", "isotropic", "--widths", "5", "50", "500"],
         "width=500 exceeds the 100 features"),
        (["--model", "linear", "--data", "isotropic", "--arms", "min_norm"], "n_splits=1 repeats"),
        (["--axis", "sparsity", "--densities", "0.5", "1", "2"], "pass at most 1"),
        (["--axis", "samples", "--samples", "10", "20", "5000"], "exceed the 1797 rows of digits"),
        (["--axis", "epochs", "--epochs", "1", "2", "30"], "2 of at most max_epochs=20, where SGD ends"),
        (["--axis", "epochs", "--epochs", "1", "5", "20", "--hmc.n-leapfrog", "9"],
         "1 of at least hmc.n_leapfrog=9"),
        (["--tempered", "0"], "tempered=(0.0,) has a value that is not positive"),
        (["--validation", "1"], "validation=1.0 is no share"),
        (["--noise-file", "missing.npy"], "missing.npy"),
        (["--sparsity", "1"], "sparsity=1.0 leaves no weights"),
    ],
)  # fmt: skip
def test_bad_input_ends_in_one_sentence_and_exit_code_2(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    files = {"nan": nan_file, "labels": label_file}
    arguments = [files[a](tmp_path) if a in files else a for a in arguments]
    assert message in refused(run, arguments, tmp_path / "run", capsys)


def test_networks_that_fail_are_named_and_left_out(tmp_path: Path) -> None:
    """A learning rate at which some of them leave the finite numbers."""
    out = tmp_path / "run"
    with pytest.warns(StoppedChainWarning):
        run("--sgd.lr", "1e5", "--n-seeds", "12", "--arms", "sgd", "--out", str(out))
    table = pd.read_csv(out / "summary.csv")
    assert np.isfinite(table["value"]).all()
    folder = runs.RunFolder(out)
    stopped = {key: folder.read_group(key).attrs for key in folder.cells() if key[:3] == "sgd"}
    assert any(0 < a["nonfinite"] < 12 for a in stopped.values())
    page = (out / "report.html").read_text()
    for attributes in stopped.values():
        if attributes["nonfinite"]:
            assert f"{attributes['nonfinite']} ({attributes['stopped_chains']})" in page


def test_too_many_networks_that_fail_end_the_study_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    with pytest.warns(StoppedChainWarning), pytest.raises(SystemExit) as stopped:
        run("--sgd.lr", "1e20", "--out", str(tmp_path / "run"))
    assert stopped.value.code == 2
    assert "networks ceased to be finite, and two ensembles of 2 need 4" in capsys.readouterr().err


def test_a_folder_of_other_settings_is_refused_and_not_touched(
    finished: Path, capsys: pytest.CaptureFixture
) -> None:
    before = {p: p.stat().st_mtime_ns for p in finished.rglob("*")}
    for arguments in (["--seed", "1", "--resume"], ["--seed", "1"], []):
        with pytest.raises(SystemExit) as stopped:
            run("--out", str(finished), *arguments)
        assert stopped.value.code == 2
    assert "settings.seed is 0 there and 1 now" in capsys.readouterr().err
    assert {p: p.stat().st_mtime_ns for p in finished.rglob("*")} == before


def test_the_studies_are_listed_with_their_questions() -> None:
    done = command("studies")
    assert done.returncode == 0
    assert "Does the double-descent peak" in done.stdout


def test_help_shows_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        runs.parse(double_descent.PRESETS, ["--help"], prog="python -m studies.double_descent")
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    for flag in (
        "--preset",
        "--out",
        "--device",
        "--executor",
        "--resume",
        "--widths",
        "--hmc.n-leapfrog",
    ):
        assert flag in shown


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_fast")
def test_a_file_of_images_runs_from_end_to_end(shared_data: Path, tmp_path: Path) -> None:
    run(
        *("--data", str(shared_data / "fashion_mnist.npz"), "--n-test", "40"),
        *("--out", str(tmp_path / "run")),
    )
    assert (tmp_path / "run" / "report.html").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_fast")
def test_several_splits_nuts_and_adam_run_from_end_to_end(tmp_path: Path) -> None:
    run(
        *(
            "--n-splits",
            "2",
            "--sampler",
            "nuts",
            "--nuts.max-tree-depth",
            "3",
            "--optimizer",
            "adam",
        ),
        *("--initial", "prior", "--out", str(tmp_path / "run")),
    )
    assert len(list((tmp_path / "run" / "cells").glob("*.nc"))) == 18
    assert "the 2 data splits" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.slow
def test_the_default_run_shows_sgds_peak_and_none_for_the_bma(tmp_path: Path) -> None:
    done = command("studies.double_descent", "--out", str(tmp_path / "run"), timeout=1200)
    assert done.returncode == 0, done.stderr
    verdict = json.loads((tmp_path / "run" / "verdict.json").read_text())
    table = pd.read_csv(tmp_path / "run" / "summary.csv").set_index(["arm", "metric", "complexity"])
    nll = table["value"].xs("nll", level="metric")
    assert verdict["arms"]["sgd"]["nll"]["verdict"] == "present"
    assert 6 <= verdict["arms"]["sgd"]["nll"]["complexity"] <= 12
    assert verdict["arms"]["bma"]["nll"]["verdict"] == "absent"
    # what an independent program found for Adam from He's initialisation and for HMC
    assert nll["sgd", 8] > 2 * nll["sgd", 4]
    assert max(nll["sgd", w] for w in (8, 10, 12)) > 2.3 * nll["sgd", 4]
    assert nll["sgd", 28] < nll["sgd", 4]
    assert nll["bma", 4] == pytest.approx(0.77, abs=0.1)
    assert nll["bma", 8] == pytest.approx(0.60, abs=0.06)
    for width in (8, 10, 12, 16, 20, 28):
        assert f"hmc-w{width}-s0" not in verdict["unconverged_cells"]


def test_a_dry_run_says_what_it_would_cost_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    run("--dry-run", "--arms", "five", "smc", "--out", str(tmp_path / "run"))
    said = capsys.readouterr().out
    assert "12 cells along width on digits; nothing was computed or written." in said
    assert "GPU" in said
    assert not (tmp_path / "run").exists()


def test_the_same_settings_at_a_place_are_the_same_cell_whatever_else_is_swept() -> None:
    config = double_descent.Config(preset="quick")
    dataset = problem.load(config, 0, config.n_train)
    seeds = []
    for widths in ((4, 8, 12), (2, 8, 30)):
        study_ = study_module.Study(dataclasses.replace(config, widths=widths), "cpu", [dataset])
        cells = {cell.key: study_.problem(cell).seed for cell in study_.cells()}
        seeds.append({method: cells[f"{method}-w8-s0"] for method in ("sgd", "map", "hmc")})
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0].values())) == 3


def test_training_rows_along_samples_are_the_first_of_the_same_rows() -> None:
    config = double_descent.Config(axis="samples", samples=(20, 40, 60))
    dataset = problem.load(config, 0, 60)
    study_ = study_module.Study(config, "cpu", [dataset])
    cells = [cell for cell in study_.cells() if cell.settings["method"] == "sgd"]
    for cell, n in zip(cells, (20, 40, 60), strict=True):
        found = study_.problem(cell).dataset
        np.testing.assert_array_equal(found.x_train, dataset.x_train[:n])
        np.testing.assert_array_equal(found.x_test, dataset.x_test)
