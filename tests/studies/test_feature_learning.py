"""The study of feature learning: its parts, and a run from end to end at its smallest size."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import models
from bayes_vs_sgd import Estimate, Network, functions, likelihoods, runs, sgd
from studies import feature_learning as study
from studies._functions import Problem
from studies.feature_learning import arms, scaling, widths
from tests.conftest import within

from .folders import refused, resumed, runner

TARGET, MASK = "0011001100110011", "1110010011001010"
TINY = [
    *("--target", TARGET, "--train-mask", MASK, "--hidden", "8", "--sgd", "sgd lr=0.1 batch=1"),
    *("--sgd-last", "sgd lr=0.3 batch=1"),
    *("--n-sgd", "300", "--max-epochs", "400", "--n-runs", "4", "--n-particles", "512"),
    *("--n-moves", "20", "--n-draws", "5", "--thin", "5", "--n-features", "32", "--n-blocks", "8"),
    *("--n-feature-particles", "128", "--n-infinite", "1000", "--n-tangent", "1000"),
    *(
        "--parameterizations",
        "ntk",
        "mup",
        "--widths",
        "8",
        "16",
        "32",
        "--n-networks",
        "4",
        "--n-steps",
        "100",
        "--step",
        "0.2",
    ),
]
run = runner(study, TINY)


def problem(**options: object) -> tuple[study.Config, Problem]:
    config = study.Config(target=TARGET, train_mask=MASK, hidden=(8,), **options)  # type: ignore[arg-type]
    return config, Problem.of(config)


def test_an_exact_power_of_the_width_is_found() -> None:
    sizes = (8, 16, 64, 256)
    movements = [Estimate(3.0 * n**-0.5, 0.01 * n**-0.5) for n in sizes]
    found, freedom = scaling.power(sizes, movements)
    assert found.value == pytest.approx(-0.5)
    assert freedom == 2


def test_the_error_of_the_power_is_its_spread() -> None:
    rng, sizes, sem = np.random.default_rng(0), np.array([8, 16, 32, 64, 128]), 0.02
    noisy = np.exp(-0.5 * np.log(sizes) + sem * rng.normal(size=(2000, 5)))
    found = [scaling.power(sizes, [Estimate(v, sem * v) for v in row])[0] for row in noisy]
    # By least squares without the factor for points off the line.
    exact = sem / np.sqrt(((np.log(sizes) - np.log(sizes).mean()) ** 2).sum())
    values = np.array([f.value for f in found])
    assert abs(values.mean() + 0.5) < 5 * exact / np.sqrt(len(values))
    assert values.std() == pytest.approx(exact, rel=0.1)
    assert min(f.sem for f in found) == pytest.approx(exact)


def test_movements_off_any_power_widen_the_interval() -> None:
    sizes, values = (8, 16, 32, 64), (1.0, 0.2, 0.9, 0.3)
    exact = [Estimate(v, 1e-3 * v) for v in values]
    straight = [Estimate(1.0 / n, 1e-3 / n) for n in sizes]
    assert scaling.power(sizes, exact)[0].sem > 100 * scaling.power(sizes, straight)[0].sem


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (-0.7, -0.3, "vanishes"),
        (-0.7, -0.1, "undecided"),
        (-0.1, 0.1, "stays"),
        (-0.3, 0.1, "undecided"),
        (0.25, 0.4, "grows"),
    ],
)
def test_a_power_says_what_its_interval_says(low: float, high: float, said: str) -> None:
    assert scaling.finding(low, high, 0.2) == said


def test_a_layer_that_does_not_move_has_no_power() -> None:
    found = scaling.described((8, 16, 32), [Estimate(0.0, 0.0)] * 3, level=0.95, tolerance=0.2)
    assert found["power"] is None
    assert found["finding"] == "undecided"
    assert "no power of the width is fitted" in found["no_power"]


def test_the_last_layer_alone_is_not_frozen() -> None:
    _, small = problem()
    assert arms.last_layer_frozen(small) == ("1.weight", "1.bias")


def test_hidden_weights_step_alike_at_the_smallest_width() -> None:
    """As they are used: the multiplier 1/√width of the NTK parameterization counts twice."""
    config, small = problem(widths=(16, 32, 64))
    steps = {}
    for name in config.parameterizations:
        module = widths.network(config, small, name, 16)
        factor = models.lr_factors(module)["layers.3.weight"]
        multiplier = 16**-0.5 if name == "ntk" else 1.0
        steps[name] = widths.learning_rate(config, name, 16) * factor * multiplier**2
    assert steps["standard"] == pytest.approx(steps["ntk"]) == pytest.approx(steps["mup"])


def test_draws_after_training_have_the_error_of_the_closed_form() -> None:
    config, small = problem(n_tangent=20_000)
    law, signs = arms.trained_law(small), 2.0 * small.dataset.y_test - 1
    exact = stats.norm.cdf(-signs * law.mean / law.std).mean()
    found = arms.of_training(arms.tangent(config, small, 0), small, config)
    patterns = functions.unpack(found.words, len(signs))
    error = found.mean((patterns != small.dataset.y_test).mean(axis=1))
    # One input decides this target, which gradient flow finds.
    assert exact < 0.1
    assert 0 < error.sem < 0.005
    assert abs(error.value - exact) < 5 * error.sem


@pytest.mark.slow
def test_wide_networks_in_ntk_parameterization_follow_gradient_flow_of_that_time() -> None:
    config, small = problem(step=0.1, n_steps=40, widths=(256, 300, 400), n_networks=100)
    module = widths.network(config, small, "ntk", 256)
    network = Network(module, small.dataset.x_train[:1])
    trained = sgd.train(
        network, small.dataset, n_seeds=config.n_networks, initial=models.prior(module),
        optimizer=sgd.SGD(lr=widths.learning_rate(config, "ntk", 256), momentum=0.0),
        lr_factors=models.lr_factors(module), likelihood=likelihoods.Signs(),
        max_steps=config.n_steps, progress=False,
        collect=lambda params: {"f": network.apply(params, jnp.asarray(small.dataset.x_test))},
    )  # fmt: skip
    outputs = np.asarray(trained.params["f"])[:, -1, :, 0]
    time = widths.flow_time(config, len(small.dataset.y_train))
    law = arms.trained_law(small, depth=widths.DEPTH, time=time)
    sem = outputs.std(axis=0, ddof=1) / np.sqrt(len(outputs))
    assert abs(law.mean).max() > 20 * sem.max()
    # Corrections of order 1/width, of a mean of order 1.
    within(outputs.mean(axis=0), law.mean, np.hypot(sem, 0.01))
    np.testing.assert_allclose(outputs.std(axis=0), law.std, rtol=0.25)


@pytest.mark.slow
def test_the_run_folder_is_complete(finished: Path) -> None:
    wanted = {"config.json", "provenance.json", "cells", "summary.csv", "verdict.json", "figures"}
    assert wanted | {"report.html"} <= {p.name for p in finished.iterdir()}
    grid = [f"{name}-{n}" for name in ("ntk", "mup") for n in (8, 16, 32)]
    assert set(runs.RunFolder(finished).cells()) == {*arms.CELLS, *grid}


@pytest.mark.slow
def test_every_arm_is_a_distribution_with_the_numbers_of_the_verdict(
    table: pd.DataFrame, verdict: dict
) -> None:
    for name, row in verdict["arms"].items():
        p = table[f"p_{name}"]
        assert p.sum() == pytest.approx(1)
        assert (p * table["test_error"]).sum() == pytest.approx(row["mean_test_error"])
        at_target = p[table["test_error"] == 0].sum()
        assert at_target == pytest.approx(row["target_probability"])
        assert row["label"][1:] in verdict["statement"]


@pytest.mark.slow
def test_random_features_by_evidence_are_the_whole_network(verdict: dict) -> None:
    apart = verdict["evidence"]
    assert abs(apart["apart"]) < 4 * apart["apart_sem"]
    identity = verdict["comparisons"]["identity"]
    for number in ("target_probability", "mean_test_error"):
        assert abs(identity[f"{number}_difference"]) < 4 * identity[f"{number}_difference_sem"]
    assert identity["verdict"] != "different"


@pytest.mark.slow
def test_differences_are_second_minus_first(verdict: dict) -> None:
    for pair in verdict["comparisons"].values():
        first, second = (verdict["arms"][pair[side]] for side in ("first", "second"))
        difference = second["mean_test_error"] - first["mean_test_error"]
        assert pair["mean_test_error_difference"] == pytest.approx(difference)


@pytest.mark.slow
def test_a_finished_run_resumed_draws_its_report_again_and_computes_nothing(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (finished / "report.html").unlink()
    assert "12 of 12 cells are finished already" in resumed(run, finished, capsys)
    page = (finished / "report.html").read_text()
    assert page.count("<svg") >= 5
    for text in ("Feature learning", "maximal update", "identity", "NNGP", "width^"):
        assert text in page


def test_a_dry_run_computes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("--out", str(tmp_path / "none"), "--dry-run")
    assert "Nothing was computed or written" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--sgd", "rmsprop lr=1"], "begins with no optimiser"),
        (["--sgd-last", "sgd lr=fast"], "no number behind the sign"),
        (["--n-features", "60"], "n_features=60 draws of features do not make n_blocks=8 blocks"),
        (["--widths", "8", "8", "16"], "widths=(8, 8, 16) must be at least three that differ"),
        (["--parameterizations", "beauty"], "must be some of standard, ntk, mup"),
        (["--step", "0"], "step=0.0 is not possible"),
        (["--n-networks", "1"], "n_networks=1 is not possible"),
        (["--complexity", "beauty"], "complexity='beauty' is unknown"),
        (["--hidden", "0"], "hidden=0 is not possible"),
    ],
)
def test_what_is_not_possible_ends_with_one_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sentence in refused(run, arguments, tmp_path / "none", capsys)
