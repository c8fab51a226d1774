"""The study of agreement along an axis: its parts on known laws, and from end to end as a user runs it."""

import importlib
from dataclasses import asdict, replace
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayes_vs_sgd import data, functions, report, runs
from studies import function_volume
from studies import volume_axes as study
from studies._functions import Problem, Training
from studies.volume_axes.axes import AXES, at_rate, line
from studies.volume_axes.differences import MEASURES, differences, finding, trends
from studies.volume_axes.places import Place, places
from studies.volume_axes.results import Found, finding_of, too_few, verdict
from studies.volume_axes.statement import statement
from tests.conftest import within

from .folders import read_table, read_verdict, refused, resumed, runner

SMALL = [
    *("--n-variables", "4", "--n-train", "8", "--hidden", "8", "--n-sgd", "200", "--thin", "5"),
    *("--max-epochs", "400", "--n-runs", "4", "--n-particles", "256", "--n-blocks", "8"),
]
TINY = [*SMALL, "--axis", "lr", "--values", "0.2", "0.02", "--sgd", "sgd lr=0.5 batch=1"]
run = runner(study, TINY)
targets = runner(study, SMALL)


@pytest.mark.slow
def test_the_run_folder_is_complete(finished: Path) -> None:
    names = {p.name for p in finished.iterdir()}
    wanted = {"config.json", "provenance.json", "cells", "summary.csv", "verdict.json", "figures"}
    assert names == wanted | {"report.html"}
    cells = {"volume", "0.02-sgd_lr0.02_b1", "0.2-sgd_lr0.2_b1"}
    assert set(runs.RunFolder(finished).cells()) == cells


@pytest.mark.slow
def test_along_the_learning_rate_the_posterior_is_one(verdict: dict, table: pd.DataFrame) -> None:
    first, last = verdict["problems"]
    assert [first["x"], last["x"]] == [0.02, 0.2]
    for name in ("log_evidence", "target_posterior", "mean_test_error", "complexity"):
        assert first[name] == last[name]
    assert verdict["lines"] == {"sgd_b1": "SGD, batch 1"}
    assert first["trainings"]["sgd_b1"]["target_probability"] == table["target_probability"][0]


@pytest.mark.slow
def test_the_table_has_a_row_a_value_and_training(verdict: dict, table: pd.DataFrame) -> None:
    assert table[["value", "training"]].to_numpy().tolist() == [[0.02, "sgd_b1"], [0.2, "sgd_b1"]]
    for row, problem in zip(table.to_dict("records"), verdict["problems"], strict=True):
        entry = problem["trainings"]["sgd_b1"]
        assert row["mean_test_error"] == pytest.approx(entry["mean_test_error"])
        assert row["posterior_mean_test_error"] == pytest.approx(problem["mean_test_error"])
        assert row["verdict"] == entry["verdict"]


@pytest.mark.slow
def test_numbers_are_those_of_the_cells(finished: Path, verdict: dict) -> None:
    y = data.boolean(verdict["problems"][0]["target"], n_train=8, seed=0).y_test
    tree = runs.RunFolder(finished).read("0.2-sgd_lr0.2_b1")
    errors = (functions.unpack(tree["words"].to_numpy().astype(np.uint32), 8) != y).mean(axis=1)
    entry = verdict["problems"][1]["trainings"]["sgd_b1"]
    assert entry["n_fit"] + entry["n_unfit"] + entry["n_failed"] == entry["n_runs"] == 200
    assert entry["target_probability"] == pytest.approx((errors == 0).mean())
    assert entry["mean_test_error"] == pytest.approx(errors.mean())
    assert entry["mean_test_error_sem"] == pytest.approx(errors.std(ddof=1) / len(errors) ** 0.5)


@pytest.mark.slow
def test_a_finished_run_resumed_draws_its_report_again_and_computes_nothing(
    finished: Path, verdict: dict, capsys: pytest.CaptureFixture[str]
) -> None:
    (finished / "report.html").unlink()
    assert "3 of 3 cells are finished already" in resumed(run, finished, capsys)
    page = (finished / "report.html").read_text()
    for text in ("Volume axes", "learning rate", "SGD, batch 1", "SGD less posterior"):
        assert text in page
    for problem in verdict["problems"]:
        assert f"{problem['trainings']['sgd_b1']['target_difference']:+.4f}" in page
    assert page.count("<svg") == 4


def test_a_dry_run_computes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("--out", str(tmp_path / "none"), "--dry-run")
    text = capsys.readouterr().out
    # 4·8 + 8 + 8 + 1 parameters.
    assert "3 cells: 1 posteriors" in text
    assert "0.2: 49 parameters, 8 rows, told apart on 8" in text
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--axis", "target", "--values", "beauty", "parity"], "target='beauty' is neither"),
        (["--axis", "target", "--values", "0110", "011"], "target has 3 bits"),
        (["--axis", "target", "--values", "parity"], "must be two or more that differ"),
        (["--axis", "target", "--values", "parity", "0110100110010110"], "two or more that differ"),
        (["--axis", "target", "--data", "digits"], "data='digits' has one target only"),
        (["--axis", "n_train", "--values", "4", "16"], "n_train=16 leaves none of the 16 rows"),
        (["--axis", "n_train", "--values", "4", "0"], "n_train=0 is not possible"),
        (["--axis", "n_train", "--train-mask", "01" * 8], "leave it out along n_train"),
        (
            ["--axis", "width", "--values", "4", "many"],
            "width=many is not possible; pass an integer",
        ),
        (["--axis", "width", "--values", "4", "4.5"], "width=4.5 is not possible; pass an integer"),
        (["--axis", "depth", "--values", "1", "-1"], "depth=-1 is not possible"),
        (["--axis", "sigma_w", "--values", "1", "nan"], "sigma_w=nan is not possible"),
        (["--values", "0.1", "0"], "lr=0.0 is not possible"),
        (["--values", "0.1", "0.10"], "must be two or more that differ"),
        (["--sgd", "rmsprop"], "begins with no optimiser"),
        (["--n-runs", "2"], "n_runs=2 is not possible"),
        (["--max-rungs", "0"], "max_rungs=0 is not possible"),
        (["--complexity", "beauty"], "complexity='beauty' is unknown"),
        (["--target", "beauty"], "target='beauty' is neither"),
    ],
)
def test_what_is_not_possible_ends_with_one_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sentence in refused(run, arguments, tmp_path / "none", capsys)


@pytest.mark.parametrize(
    ("axis", "values", "name", "expected"),
    [
        ("target", ("parity", "0011" * 4), "target", ["0110100110010110", "0011" * 4]),
        ("n_train", ("9", "4"), "n_train", [4, 9]),
        ("width", ("9", "10"), "hidden", [(9, 9), (10, 10)]),
        ("depth", ("3", "1"), "hidden", [(7,), (7, 7, 7)]),
        ("sigma_w", ("2", "0.5"), "sigma_w", [0.5, 2.0]),
        ("lr", ("0.5", "0.01"), "sgd", [("sgd lr=0.01",), ("sgd lr=0.5",)]),
    ],
)
def test_an_axis_changes_one_setting_alone(
    axis: str, values: tuple[str, ...], name: str, expected: list
) -> None:
    config = study.Config(
        axis=axis, values=values, hidden=(7, 5), n_variables=4, n_train=6, sgd=("sgd",)
    )  # type: ignore[arg-type]
    found = [asdict(place.config) for place in places(config)]
    assert [one[name] for one in found] == expected
    kept = [{k: v for k, v in one.items() if k != name} for one in found]
    assert kept[0] == kept[1]
    assert kept[0]["estimators"] == ("splitting",)
    assert kept[0]["n_runs"] == config.n_runs
    assert found[0]["target"] in (data.truth_table("one_variable", 4), expected[0])


def test_every_axis_has_values_that_are_possible() -> None:
    for axis in AXES:
        config = study.Config(axis=axis, n_variables=7)
        found = places(config)
        assert len(found) >= 4
        assert len({place.name for place in found}) == len(found)


def test_fewer_training_rows_are_among_the_more() -> None:
    config = study.Config(axis="n_train", values=("20", "50"))
    few, many = (set(np.flatnonzero(Problem.of(p.config).trained)) for p in places(config))
    assert len(few) == 20
    assert few < many


def test_a_long_truth_table_has_a_short_name_of_its_own() -> None:
    tables = ("0" * 127 + "1", "0" * 126 + "10")
    names = [place.name for place in places(study.Config(values=tables))]
    assert len(set(names)) == 2
    assert all(name.startswith("00000000_") and len(name) == 17 for name in names)


def test_a_way_to_train_keeps_its_name_along_the_learning_rate() -> None:
    texts = ("sgd lr=0.1 batch=4", "sgd batch=4 lr=0.2", "adam batch=4")
    assert at_rate(texts, 0.3) == ("sgd batch=4 lr=0.3", "adam batch=4 lr=0.3")
    training = Training.parse("sgd lr=0.3 batch=4 momentum=0.5")
    assert line("lr", training) == ("sgd_b4_m0.5", "SGD, batch 4, momentum 0.5")
    assert line("width", training) == (training.name, training.label)


def test_differences_have_welch_intervals_and_the_sign_of_sgd_less_posterior() -> None:
    posterior = {"target_posterior": 0.5, "target_posterior_sem": 0.03}
    posterior |= {"mean_test_error": 0.1, "mean_test_error_sem": 0.01}
    trained = {"target_probability": 0.7, "target_probability_sem": 0.04, "n_fit": 21}
    trained |= {"mean_test_error": 0.11, "mean_test_error_sem": 0.02}
    found = differences(study.Config(n_runs=5, level=0.9), posterior, trained)
    assert found["target_difference"] == pytest.approx(0.2)
    assert found["target_difference_sem"] == pytest.approx(0.05)
    degrees = 0.05**4 / (0.03**4 / 4 + 0.04**4 / 20)
    reach = 0.05 * stats.t.ppf(0.95, degrees)
    assert found["target_difference_lower"] == pytest.approx(0.2 - reach)
    assert found["target_difference_upper"] == pytest.approx(0.2 + reach)
    assert (found["target_finding"], found["error_finding"]) == ("above", "undecided")
    assert found["error_difference"] == pytest.approx(0.01)
    assert found["total_variation_lower_by_target"] == pytest.approx(0.2 - reach)
    lower = differences(
        study.Config(n_runs=5, level=0.9), posterior, trained | {"target_probability": 0.3}
    )
    assert lower["total_variation_lower_by_target"] == pytest.approx(0.2 - reach)
    equal = differences(study.Config(n_runs=5), posterior, trained | {"target_probability": 0.5})
    assert equal["total_variation_lower_by_target"] == 0


def test_a_difference_at_the_target_alone_is_one_of_the_distributions() -> None:
    entry = {"verdict": "undecided", "total_variation_lower_by_target": 0.2}
    assert finding_of(entry, 0.1) == "different"
    assert finding_of(entry, 0.3) == "undecided"


def test_a_finding_says_no_more_than_its_interval() -> None:
    assert finding(0.1, 0.3) == "above"
    assert finding(-0.1, 0.3) == "undecided"
    assert finding(-0.3, -0.1) == "below"


def entry_of(difference: float, sem: float = 0.3) -> dict:
    """What a trend reads of a way to train; the posterior's part of the error is 0.4 of 0.5."""
    found = {"n_fit": 101, "target_probability_sem": sem, "mean_test_error_sem": sem}
    for measure in MEASURES:
        found |= {f"{measure}_difference": difference, f"{measure}_difference_sem": 0.5}
        found |= {f"{measure}_difference_degrees_of_freedom": 7.0}
    return found


def test_a_trend_is_per_doubling_of_the_axis() -> None:
    problems = [
        {"x": x, "trainings": {"a": entry_of(1 - 2 * np.log2(x)), "b": {}}} for x in (1, 2, 8)
    ]
    found = trends(study.Config(axis="width"), problems)
    assert found["b"] == {"target": None, "error": None}
    line = found["a"]["target"]
    assert line["slope"] == pytest.approx(-2)
    # Σ(x − x̄)² of 0, 1, 3.
    assert line["slope_sem"] == pytest.approx(0.5 / (14 / 3) ** 0.5)
    assert (line["n"], line["finding"], line["on_a_line"]) == (3, "below", True)
    # The posterior's error is common to all learning rates.
    along_rates = trends(study.Config(axis="lr"), problems)["a"]["target"]
    assert along_rates["slope_sem"] == pytest.approx(0.3 / (14 / 3) ** 0.5)


# Functions of two test rows: both right, the first wrong, both wrong.
PATTERNS = np.array([[1, 0], [0, 0], [0, 1]])
LAW = np.array([0.5, 0.3, 0.2])


def found_at(
    name: str, p_sgd: np.ndarray, *, n_fit: int = 4000, failure: str | None = None
) -> Found:
    """A problem whose posterior is LAW and whose SGD has the law ``p_sgd``, with the noise of both."""
    config = function_volume.Config(
        target="0110", train_mask="1100", hidden=(3,), n_runs=8, n_blocks=16,
        estimators=("splitting",), sgd=("sgd lr=0.1",),
    )  # fmt: skip
    problem = Problem.of(config)
    rng = np.random.default_rng([*name.encode()])
    words = functions.pack_bits(PATTERNS, 2)
    runs_of = [words[rng.choice(3, 2000, p=LAW)] for _ in range(8)]
    log_evidences = np.log(0.25) + 0.05 * rng.standard_normal(8)
    posterior = functions.FunctionPosterior.of(runs_of, log_evidences, 2, 2)
    trained = functions.FunctionFrequencies(words[rng.choice(3, n_fit, p=p_sgd)], 5000, 1000, 0, 2)
    place = Place(name, 0.0, config, f"{name}-volume")
    return Found(
        place, problem, None if failure else posterior, failure, {},
        {config.trainings()[0]: trained},
    )  # fmt: skip


@pytest.fixture(scope="module")
def known() -> dict:
    """The verdict on problems whose laws are known."""
    config = study.Config(n_runs=8, n_blocks=16, sgd=("sgd lr=0.1",))
    other = np.array([0.2, 0.3, 0.5])
    found = [
        found_at("same", LAW),
        found_at("worse", other),
        found_at("better", np.array([0.9, 0.1, 0.0])),
        found_at("hard", other, failure="the best particle makes 2 mistakes; raise n_moves."),
        found_at("unfit", other, n_fit=5),
    ]
    placed = [replace(one, place=replace(one.place, x=float(x))) for x, one in enumerate(found)]
    return verdict(config, placed)


def test_known_laws_are_told_apart_and_equal_ones_are_not(known: dict) -> None:
    entries = {p["value"]: p["trainings"]["sgd_lr0.1_b1"] for p in known["problems"]}
    assert entries["same"]["verdict"] == "indistinguishable"
    for name, distance in (("same", 0.0), ("worse", 0.3), ("better", 0.4)):
        entry = entries[name]
        assert max(entry["total_variation_lower"], 0) <= distance <= entry["total_variation_upper"]
        assert (entry["verdict"] == "different") == (distance > 0.1)
    for name, target, error in (("same", 0.5, 0.35), ("worse", 0.2, 0.65), ("better", 0.9, 0.05)):
        entry = entries[name]
        within(entry["target_probability"], target, entry["target_probability_sem"])
        within(entry["mean_test_error"], error, entry["mean_test_error_sem"])
        within(entry["target_difference"], target - 0.5, entry["target_difference_sem"])
        within(entry["error_difference"], error - 0.35, entry["error_difference_sem"])
    assert (entries["worse"]["target_finding"], entries["worse"]["error_finding"]) == (
        "below",
        "above",
    )
    assert (entries["better"]["target_finding"], entries["better"]["error_finding"]) == (
        "above",
        "below",
    )


def test_the_posterior_is_that_of_its_law(known: dict) -> None:
    for problem in known["problems"][:3]:
        within(problem["target_posterior"], 0.5, problem["target_posterior_sem"])
        within(problem["mean_test_error"], 0.35, problem["mean_test_error_sem"])
        within(problem["log_evidence"], np.log(0.25), problem["log_evidence_sem"])
        assert problem["doubts"] == []


def test_what_cannot_be_compared_is_named_and_the_others_go_on(known: dict) -> None:
    hard, unfit = known["problems"][3:]
    assert hard["no_posterior"].startswith("the best particle makes 2 mistakes")
    assert hard["log_evidence"] is None
    entry = hard["trainings"]["sgd_lr0.1_b1"]
    within(entry["target_probability"], 0.2, entry["target_probability_sem"])
    assert entry["verdict"] is None
    assert unfit["trainings"]["sgd_lr0.1_b1"]["n_fit"] == 5
    assert unfit["trainings"]["sgd_lr0.1_b1"]["verdict"] is None
    text = known["statement"]
    assert "hard (6 bits): no posterior found, the best particle makes 2 mistakes" in text
    assert "of 4000 of 5000 runs that fit" in text
    assert "not compared at hard, unfit" in text


def test_the_statement_says_where_differences_have_which_sign(known: dict) -> None:
    text = known["statement"]
    assert "by more than 0.1 in total variation at worse, better, by less at same" in text
    assert "Its mean test error is above the posterior's at worse, below it at better" in text
    assert "of 95 % by itself, not of all together" in text
    assert "not to be trusted" not in text
    doubted = known["problems"][0] | {"doubts": ["its runs differ"]}
    again = statement(known | {"problems": [doubted, *known["problems"][1:]]})
    assert again.startswith("At same the posterior is not to be trusted: its runs differ.")


def test_a_report_is_drawn_of_what_could_not_be_measured_too(known: dict, tmp_path: Path) -> None:
    settings = asdict(study.Config(n_runs=8)) | {"target": "0110"}
    folder = runs.RunFolder(tmp_path)
    folder.write_json("config.json", {"study": "volume_axes", "settings": settings})
    folder.write_json("provenance.json", {})
    entry = known["problems"][0]["trainings"]["sgd_lr0.1_b1"]
    entry |= {"slope": 1.5, "slope_sem": None, "slope_lower": None, "slope_upper": None}
    folder.write_json("verdict.json", known)
    page = report.write(folder).read_text()
    assert "hard: no posterior found; the best particle makes 2 mistakes" in page
    assert "1.50 (no interval)" in page
    assert page.count("not compared: no posterior was found") == 1
    assert page.count("not compared: too few runs fit") == 1


def test_runs_that_lost_their_particles_are_no_posterior() -> None:
    found = found_at("lost", LAW).posterior
    assert found is not None
    evidences = found.log_evidences.copy()
    evidences[:3] = -np.inf
    assert too_few(replace(found, log_evidences=evidences)) is None
    evidences[3] = -np.inf
    sentence = too_few(replace(found, log_evidences=evidences))
    assert sentence is not None
    assert sentence.startswith("4 of 8 runs lost all their particles")


def test_only_a_posterior_that_is_not_found_is_forgiven(monkeypatch: pytest.MonkeyPatch) -> None:
    found = found_at("hard", LAW)
    steps = importlib.import_module("studies.volume_axes.main")

    def fails(error: Exception) -> None:
        def volume(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(steps, "volume", volume)

    fails(RuntimeError("no way to zero training error"))
    tree = steps.posterior(study.Config(), found.place, found.problem, 0)
    assert tree.attrs["failure"] == "no way to zero training error"
    fails(jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED"))
    with pytest.raises(RuntimeError, match="RESOURCE_EXHAUSTED"):
        steps.posterior(study.Config(), found.place, found.problem, 0)


@pytest.mark.slow
def test_a_target_that_no_particle_fits_leaves_the_others_alone(tmp_path: Path) -> None:
    """Along targets, from end to end: one is measured, and 20 tries do not reach the parity of all."""
    out = tmp_path / "targets"
    arguments = ["--values", "one_variable", "parity", "--max-rungs", "20"]
    targets(
        "--out", str(out), "--n-train", "12", *arguments, "--sgd", "adam lr=0.02 batch=4 loss=mse"
    )
    found = read_verdict(out)
    easy, parity = found["problems"]
    assert parity["no_posterior"]
    assert easy["no_posterior"] is None
    assert len(read_table(out)) == 2
    for entry in easy["trainings"].values():
        between = entry["total_variation_plug_in"] - entry["total_variation_lower_bound"]
        assert between > -1e-9
    assert "no posterior found" in (out / "report.html").read_text()


@pytest.mark.slow
def test_more_training_rows_leave_less_of_the_prior(tmp_path: Path) -> None:
    """P(S) falls with rows that are added to S, beyond its errors."""
    out = tmp_path / "rows"
    arguments = ["--axis", "n_train", "--values", "12", "4", "--sgd", "sgd lr=0.05 batch=1"]
    targets("--out", str(out), *arguments)
    found = read_verdict(out)
    rows = found["problems"]
    assert [row["n_train"] for row in rows] == [4, 12]
    assert [row["n_test"] for row in rows] == [12, 4]
    few, many = rows
    error = np.hypot(few["log_evidence_sem"], many["log_evidence_sem"])
    assert few["log_evidence"] - many["log_evidence"] > 5 * error
    trend = found["trends"]["sgd_lr0.05_b1"]["error"]
    assert trend["n"] == 2
    assert trend["slope_lower"] <= trend["slope"] <= trend["slope_upper"]
    assert "with every doubling of the axis" in found["statement"]
