"""The study on linear models, whose curves are theorems."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayes_vs_sgd import runs
from bayes_vs_sgd.double_descent.theory import minimum_norm_risk
from studies import double_descent

pytestmark = pytest.mark.usefixtures("compiled_fast")

N, D, NOISE = 30, 80, 0.5
LINEAR = [
    *("--model", "linear", "--data", "isotropic", "--n-features", str(D), "--n-train", str(N)),
    *("--noise-std", str(NOISE), "--batch-size", str(N), "--n-test", "400", "--prior-std", "1"),
]


def table_of(tmp_path: Path, *arguments: str) -> pd.DataFrame:
    out = tmp_path / "run"
    config = runs.parse(double_descent.PRESETS, [*LINEAR, *arguments, "--out", str(out)], prog="x")
    runs.run_study(lambda: double_descent.main(config))
    return pd.read_csv(out / "summary.csv").set_index(["arm", "metric", "complexity"])


@pytest.mark.slow
def test_minimum_norm_lies_on_the_formula_and_a_ridge_has_no_peak(tmp_path: Path) -> None:
    widths = (6, 12, 80)
    table = table_of(
        tmp_path,
        "--widths",
        *map(str, widths),
        "--n-splits",
        "8",
        "--arms",
        "min_norm",
        "exact_map",
    )
    for p in widths:
        found = table.loc["min_norm", "mse", p]
        exact = minimum_norm_risk(p, N, D, signal=1.0, noise_std=NOISE)
        assert abs(found["value"] - exact) < 5 * found["sem"]
        assert found["sem"] < 0.2 * exact
        assert table.loc["exact_map", "mse", p]["value"] < 1.1 * exact
        train = table.loc["min_norm", "train_mse", p]["value"]
        assert train == pytest.approx(0, abs=1e-6) if p >= N else train > 0.3


@pytest.mark.slow
def test_chains_and_maxima_find_what_is_exact(tmp_path: Path) -> None:
    """HMC, MAP and full-batch descent on the very problems that are solved in closed form."""
    table = table_of(
        tmp_path,
        *("--widths", "5", "15", "60", "--n-splits", "2", "--map.n-steps", "1500"),
        *("--arms", "exact_map", "exact_bma", "exact_draw", "map", "bma", "draw"),
        *("--hmc.n-leapfrog", "15", "--n-warmup", "150", "--n-draws", "300", "--n-chains", "2"),
    )
    for p in (5, 15, 60):
        for ours, exact in (("map", "exact_map"), ("bma", "exact_bma"), ("draw", "exact_draw")):
            for metric in ("mse", "nll"):
                one, other = (table.loc[arm, metric, p]["value"] for arm in (ours, exact))
                assert one == pytest.approx(other, rel=0.03)
        assert (
            table.loc["exact_bma", "mse", p]["value"] < table.loc["exact_draw", "mse", p]["value"]
        )


@pytest.mark.slow
@pytest.mark.parametrize("learnt", ["--sample-noise", "--hierarchical"])
def test_a_noise_level_or_a_scale_that_is_learnt_predicts_nearly_as_well(
    learnt: str, tmp_path: Path
) -> None:
    table = table_of(
        tmp_path,
        *("--widths", "5", "10", "15", "--arms", "bma", learnt, "--n-train", "200"),
        *("--batch-size", "200", "--hmc.n-leapfrog", "15", "--n-warmup", "300", "--n-draws", "300"),
        *("--n-chains", "2"),
    )
    for p in (5, 10, 15):
        known = NOISE**2 + 1 - p / D
        assert table.loc["bma", "mse", p]["value"] == pytest.approx(known * (1 + p / 200), rel=0.25)
    # The likelihood's noise is the half of what it is, but where it is sampled it finds the rest.
    nll = table.loc["bma", "nll", 5]["value"]
    if learnt == "--sample-noise":
        best = 0.5 * np.log(2 * np.pi * np.e * (NOISE**2 + 1 - 5 / D))
        assert nll == pytest.approx(best, abs=0.12)
