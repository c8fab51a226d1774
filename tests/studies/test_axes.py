"""The study along every axis, and with every arm, at its smallest size."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayes_vs_sgd import runs
from studies import double_descent
from studies.double_descent import problem
from studies.double_descent import study as study_module

from .tiny import TINY, run

pytestmark = pytest.mark.usefixtures("compiled_fast")


@pytest.mark.parametrize(
    ("axis", "arguments", "arms", "places"),
    [
        pytest.param(
            "epochs",
            ["--epochs", "1", "5", "20", "100", "200"],
            {"sgd", "draw", "bma"},
            {1, 5, 20, 100, 200},
            marks=pytest.mark.slow,
        ),
        ("samples", ["--samples", "20", "30", "50"], {"sgd", "map"}, {20, 30, 50}),
    ],
)
def test_the_axes_of_training_and_of_data_run_from_end_to_end(
    axis: str, arguments: list[str], arms: set[str], places: set[float], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    run("--axis", axis, *arguments, "--arms", *sorted(arms), "--width", "4", "--out", str(out))
    table = pd.read_csv(out / "summary.csv")
    assert set(table["arm"]) == arms
    assert set(table["complexity"]) <= places
    verdict = json.loads((out / "verdict.json").read_text())
    assert verdict["axis"]["name"] == axis
    assert f"along {axis}" in verdict["statement"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("axis", "arguments"),
    [
        ("depth", ["--depths", "1", "2", "3"]),
        ("sparsity", ["--densities", "0.2", "0.5", "1"]),
        ("temperature", ["--temperatures", "0.1", "0.5", "1"]),
        ("prior", ["--prior-stds", "1", "2", "4"]),
        ("warmup", ["--warmups", "5", "10", "20"]),
        ("draws", ["--draw-counts", "20", "25", "30"]),
    ],
)
def test_the_other_axes_run_from_end_to_end(
    axis: str, arguments: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    run("--axis", axis, *arguments, "--arms", "draw", "bma", "--width", "3", "--out", str(out))
    assert set(pd.read_csv(out / "summary.csv")["arm"]) == {"draw", "bma"}


@pytest.mark.slow
def test_every_arm_is_found_and_stored_with_all_its_losses(tmp_path: Path) -> None:
    """At one place: what a sweep over it needs beyond has its own tests."""
    config = runs.parse(
        double_descent.PRESETS,
        [
            *TINY,
            *("--arms", "all", "--tuned-factors", "0.5", "1", "--average-epochs", "4"),
            *("--n-gaussian-draws", "4", "--nuts.max-tree-depth", "3", "--mclmc-thin", "2"),
            *("--minibatch-warmup", "10", "--minibatch-thin", "1", "--cycles.cycle-length", "20"),
            *("--smc.n-particles", "20", "--smc.n-moves", "2", "--n-runs", "2"),
        ],
        prog="x",
    )
    assert set(config.arm_names) == {
        "sgd", "deep_ensemble", "map", "draw", "bma", "sgd_early", "swa", "swag", "multiswag",
        "laplace", "map_tuned", "nuts", "mclmc", "sghmc", "csgld", "smc",
    }  # fmt: skip
    study_ = study_module.Study(config, "cpu", [problem.load(config, 0, config.n_train)])
    folder = runs.RunFolder(tmp_path)
    found = set()
    for cell in study_.cells():
        if cell.settings["value"] != 3:
            continue
        folder.write(cell.key, study_.compute(cell))
        for arm in study_.arms(cell.settings["method"]):
            losses = folder.read_group(cell.key, f"arms/{arm}").isel(place=0)
            assert losses.sizes["replicate"] >= 2
            for metric in ("error", "nll", "brier", "ece", "nll_noisy", "train_error"):
                assert np.isfinite(losses[metric]).all()
                assert np.isfinite(losses[f"{metric}_estimate"]).all()
            assert ("log_evidence" in losses) == (arm == "smc")
            found.add(arm)
    assert found == set(config.arm_names)


@pytest.mark.slow
def test_variants_and_the_capacity_stand_in_the_report(tmp_path: Path) -> None:
    out = tmp_path / "run"
    run(
        *("--arms", "map", "sgd", "--prior-factors", "0.5", "4", "--capacity-rows", "20", "40"),
        *("--out", str(out)),
    )
    verdict = json.loads((out / "verdict.json").read_text())
    assert set(verdict["arms"]) == {"sgd", "map", "map@prior0.5", "map@prior4"}
    heights = [row for row in verdict["variants"] if row["metric"] == "nll"]
    assert [(row["varied"], row["value"]) for row in heights] == [
        ("prior", 0.5), ("prior", 1), ("prior", 4),
    ]  # fmt: skip
    assert [row["complexity"] for row in verdict["effective_model_complexity"]] == [2, 3, 5]
    assert {f.stem for f in (out / "figures").glob("*.png")} == {
        "curves", "metrics", "variants", "heat_map", "capacity",
    }  # fmt: skip
    page = (out / "report.html").read_text()
    assert "Between SGD and Bayes" in page
    assert "Effective model complexity" in page
    assert "No chains were run" in page


def test_a_variant_changes_what_it_says_and_nothing_else() -> None:
    config = double_descent.Config(tempered=(0.1,), prior_factors=(4.0,), temperature=0.5)
    dataset = problem.load(config, 0, config.n_train)
    study_ = study_module.Study(config, "cpu", [dataset])
    cells = {cell.key: study_.problem(cell) for cell in study_.cells()}
    base = cells["hmc-w8-s0"]
    cold, wide = cells["hmc@T0.1-w8-s0"], cells["hmc@prior4-w8-s0"]
    assert cold.config == dataclasses.replace(base.config, temperature=0.05)
    assert wide.config == dataclasses.replace(base.config, prior_std=8.0, bias_std=4.0)
    assert base.seed == cold.seed == wide.seed
    assert "map@prior4-w8-s0" in cells
    assert not any(key.startswith(("map@T", "sgd@")) for key in cells)
