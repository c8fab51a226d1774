"""The study of function volume from end to end at its smallest size, as a user runs it."""

import shutil
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest

from bayes_vs_sgd import Estimate, functions, priors, report, runs
from bayes_vs_sgd.functions import gaussian_process
from studies import function_volume as study
from studies._functions import Problem, Training, frequencies_of
from studies.function_volume import infinite
from studies.function_volume.difference import common, relation
from studies.function_volume.infinite import Infinite, Process
from studies.function_volume.results import Results, against_sgd

from .folders import read_table, read_verdict, refused, resumed, runner

TARGET, MASK = "0011001100110011", "1110010011001010"
TINY = [
    *("--target", TARGET, "--train-mask", MASK, "--hidden", "12", "--n-sgd", "200"),
    *("--max-epochs", "400", "--n-runs", "4", "--n-particles", "256", "--n-moves", "20"),
    *("--n-draws", "20", "--thin", "5", "--n-prior", "50000", "--n-blocks", "8"),
    *("--estimators", "splitting", "rejection", "nngp", "ep", "--n-orthant", "4000"),
    *("--sgd", "sgd lr=0.05 batch=1", "adam lr=0.02 batch=4 loss=mse"),
]
NAMES = ("sgd_lr0.05_b1", "adam_lr0.02_b4_mse")
run = runner(study, TINY)


@pytest.mark.slow
def test_the_run_folder_is_complete(finished: Path) -> None:
    names = {p.name for p in finished.iterdir()}
    wanted = {"config.json", "provenance.json", "cells", "summary.csv", "verdict.json", "figures"}
    assert wanted | {"report.html"} <= names
    volumes = {f"volume-{name}" for name in ("splitting", "rejection", "nngp", "ep")}
    assert set(runs.RunFolder(finished).cells()) == volumes | set(NAMES)


@pytest.mark.slow
def test_the_table_has_a_row_a_function_and_columns_for_every_training(table: pd.DataFrame) -> None:
    wanted = ["function", "p_posterior", "p_posterior_sem"]
    for name in NAMES:
        wanted += [f"p_sgd_{name}", f"p_sgd_{name}_sem"]
    wanted += ["test_error", "complexity"]
    assert list(table) == [*wanted, "log_p_nngp", "log_p_nngp_sem", "log_p_ep", "log_p_ep_sem"]
    assert table["function"].is_unique
    for column in ("p_posterior", *(f"p_sgd_{name}" for name in NAMES)):
        assert table[column].sum() == pytest.approx(1)
    assert (table["p_posterior"].diff().dropna() <= 0).all()


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_estimators_agree(verdict: dict) -> None:
    other = verdict["estimators"]["rejection"]
    assert not other["doubts"]
    assert abs(other["standard_errors_from_first"]) < 5
    apart = other["target_posterior"] - verdict["target_posterior"]
    assert abs(apart) < 5 * np.hypot(other["target_posterior_sem"], verdict["target_posterior_sem"])


@pytest.mark.slow
def test_a_finished_run_resumed_draws_its_report_again_and_computes_nothing(
    finished: Path, verdict: dict, capsys: pytest.CaptureFixture[str]
) -> None:
    (finished / "report.html").unlink()
    said = resumed(run, finished, capsys)
    assert "4 of 4 cells are finished already" in said
    assert "2 of 2 cells are finished already" in said
    page = (finished / "report.html").read_text()
    wanted = ("Function volume", f"{verdict['log_evidence']:.3f}", "SGD, lr 0.05, batch 1")
    for text in (*wanted, "Finite and infinite width", "ep (error unknown)"):
        assert text in page
    assert page.count("<svg") >= 6


@pytest.mark.slow
def test_a_run_killed_before_the_infinite_network_ends_with_the_same_numbers(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Figures take longer than all the rest.
    monkeypatch.setattr(report, "write", lambda folder: folder.path)
    folder = shutil.copytree(finished, tmp_path / "killed")
    for name in ("nngp", "ep"):
        (folder / "cells" / f"volume-{name}.nc").unlink()
    run("--out", str(folder), "--resume")
    for name in ("summary.csv", "verdict.json"):
        assert (folder / name).read_text() == (finished / name).read_text()


def test_a_dry_run_computes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("--out", str(tmp_path / "none"), "--dry-run")
    assert "Nothing was computed or written" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


@pytest.fixture(scope="module")
def problem() -> Problem:
    return Problem.of(study.Config(target=TARGET, train_mask=MASK, hidden=(12,)))


@pytest.mark.parametrize(
    ("hidden", "bias"), [((16,), 0.0), pytest.param((128, 128), 0.02, marks=pytest.mark.slow)]
)
def test_the_gaussian_process_has_the_covariance_of_the_prior_of_the_network(
    hidden: tuple[int, ...], bias: float
) -> None:
    """Exactly for one hidden layer; for two up to a share of order 1/width."""
    options = study.Config(
        target=TARGET, train_mask=MASK, hidden=hidden, sigma_w=1.5, sigma_b=0.4, seed=3
    )
    found = Problem.of(options)
    x = np.concatenate([found.dataset.x_train, found.dataset.x_test])
    draws = priors.sample_many(found.prior, jax.random.key(0), found.network.shapes, 4000)
    f = np.asarray(jax.vmap(lambda p: found.network.apply(p, x)[:, 0])(draws), float)
    products = f[:, :, None] * f[:, None, :]
    kernel = Process.of(found).kernel
    sem = products.std(axis=0, ddof=1) / np.sqrt(len(f))
    assert (np.abs(products.mean(axis=0) - kernel) < 5 * sem + bias * kernel.max()).all()


@pytest.mark.slow
def test_the_infinite_network_has_the_volumes_of_the_gaussian_process_that_is_sampled(
    problem: Problem, table: pd.DataFrame, verdict: dict
) -> None:
    """P(S), P(target | S), the mean test error and P(f | S), beside draws of N(0, K) that fit."""
    process, said = Process.of(problem), verdict["estimators"]["nngp"]
    root = np.linalg.cholesky(process.kernel)
    signs = np.random.default_rng(0).standard_normal((1_000_000, len(root))) @ root.T > 0
    n = len(process.train)
    found = signs[(signs[:, :n] == (process.train > 0)).all(axis=1), n:]
    wrong = (found != (process.test > 0)).mean(axis=1)
    assert not said["doubts"]
    log_p, sem = np.log(len(found) / len(signs)), 1 / np.sqrt(len(found))
    assert abs(said["log_evidence"] - log_p) < 4 * np.hypot(sem, said["log_evidence_sem"])
    for name, values in (("target_posterior", wrong == 0), ("mean_test_error", wrong)):
        sem = values.std() / np.sqrt(len(values))
        assert 0 < said[f"{name}_sem"] < 0.05
        assert abs(said[name] - values.mean()) < 4 * np.hypot(sem, said[f"{name}_sem"])
    asked = table[table["log_p_nngp"].notna()]
    rows = np.array([[int(bit) for bit in text] for text in asked["function"]])
    test = rows[:, ~problem.trained]
    count = (found[:, None] == test[None]).all(axis=2).sum(axis=0)
    many = count >= 30
    assert many.sum() >= 5
    z = asked["log_p_nngp"] - np.log(np.maximum(count, 1) / len(found))
    z /= np.hypot(asked["log_p_nngp_sem"], 1 / np.sqrt(np.maximum(count, 1)))
    assert np.abs(z[many]).max() < 5


@pytest.mark.slow
def test_expectation_propagation_is_near_and_its_error_is_unknown(verdict: dict) -> None:
    near, exact = (verdict["estimators"][name] for name in ("ep", "nngp"))
    for name, most in (("log_evidence", 0.5), ("target_posterior", 0.1), ("mean_test_error", 0.03)):
        assert near[f"{name}_sem"] is None
        assert 0 < abs(near[name] - exact[name]) < most
    assert near["standard_errors_from_first"] is None
    entry = verdict["infinite"]["ep"]
    assert "(of unknown error)" in entry["statement"]
    assert entry["from_nngp"] == pytest.approx(near["log_evidence"] - exact["log_evidence"])
    assert entry["from_nngp_sem"] == exact["log_evidence_sem"]


@pytest.mark.slow
def test_the_infinite_network_differs_from_the_finite_one_by_what_is_said(verdict: dict) -> None:
    entry, said = verdict["infinite"]["nngp"], verdict["estimators"]["nngp"]
    assert entry["difference"] == pytest.approx(said["log_evidence"] - verdict["log_evidence"])
    assert entry["difference_sem"] > said["log_evidence_sem"]
    assert said["standard_errors_from_first"] == pytest.approx(
        entry["difference"] / entry["difference_sem"]
    )
    points = pd.DataFrame(entry["functions"])
    apart = points["log_p"] - points["log_p_finite"]
    assert entry["log_ratio"] == pytest.approx(apart.mean())
    assert entry["correlation"] == pytest.approx(points["log_p"].corr(points["log_p_finite"]))
    assert points["is_target"].sum() == 1
    others = points[~points["is_target"]]
    assert entry["correlation_of_others"] == pytest.approx(
        others["log_p"].corr(others["log_p_finite"])
    )
    target = points[points["is_target"]].iloc[0]
    assert np.exp(target["log_p"]) == pytest.approx(said["target_posterior"])
    for text in (
        f"{entry['difference']:+.3f}",
        "no error of an estimator",
        f"{len(points)} common",
    ):
        assert text in entry["statement"]
    assert entry["statement"] in verdict["statement"]


def test_the_mean_ratio_is_unbiased_by_the_choice_and_has_its_error() -> None:
    """60 functions nearly alike, of which the 20 most frequent are chosen: they are so by chance."""
    rng = np.random.default_rng(0)
    words = np.arange(60, dtype=np.uint32)[:, None] << np.uint32(26)
    p = np.linspace(0.9, 1.1, 60)
    p /= p.sum()
    z = []
    for _ in range(100):
        shares = rng.multinomial(200, p, size=16) / 200
        posterior = functions.FunctionPosterior(words, shares, rng.normal(0, 0.1, 16), (), 6)
        y = np.log(p) + 0.3 + rng.normal(0, 0.02) + rng.normal(0, 0.05, 60)
        found = Infinite(
            Estimate(0.0, 0.02), Estimate(0.0, 0.0), words, Estimate(y, np.full(60, np.hypot(0.02, 0.05))), ()
        )  # fmt: skip
        said = relation(posterior, found, common(posterior, 20), words[:1])
        assert said is not None
        assert len(said.words) == 20
        z.append((said.log_ratio.value - 0.3) / said.log_ratio.sem)
    assert abs(np.mean(z)) < 4 * np.std(z) / np.sqrt(len(z))
    assert 0.6 < np.mean(np.square(z)) < 1.9


def test_functions_that_are_not_common_are_not_compared() -> None:
    words = np.arange(40, dtype=np.uint32)[:, None] << np.uint32(26)
    shares = np.eye(40)[:4]
    scattered = functions.FunctionPosterior(words, shares, np.zeros(4), (), 6)
    assert len(common(scattered, 50)) == 0
    # Each run repeats functions of its own, as where all particles descend from one.
    repeated = np.kron(np.eye(4), np.full(10, 0.1))
    own = functions.FunctionPosterior(words, repeated, np.zeros(4), (), 6)
    assert len(common(own, 50)) == 0
    unknown = Estimate(np.zeros(40), np.zeros(40))
    found = Infinite(Estimate(0.0, 0.0), Estimate(0.0, 0.0), words, unknown, ())
    assert relation(scattered, found, common(scattered, 50), words[:1]) is None


def test_runs_without_a_fit_choose_and_measure_nothing() -> None:
    words = np.arange(4, dtype=np.uint32)[:, None] << np.uint32(26)
    nowhere, shares = np.array([-np.inf, 0.0] * 2), np.full((4, 4), 0.25)
    posterior = functions.FunctionPosterior(words, shares, nowhere, (), 6)
    assert len(common(posterior, 50)) == 0
    found = Infinite(Estimate(0.0, 0.0), Estimate(0.0, 0.0), words, Estimate(*np.zeros((2, 4))), ())
    turned = functions.FunctionPosterior(words, shares, nowhere[::-1], (), 6)
    assert relation(turned, found, words, words[:1]) is None


def test_orthants_of_too_few_draws_are_counted() -> None:
    fixed = gaussian_process.Orthant(
        Estimate(np.log([0.3, 0.1]), np.array([0.1, 0.2])),
        np.array([500.0, 100.0]),
        np.zeros(2),
        10,
    )
    said = infinite.distrusted("the test error of a row", [fixed] * 7)
    assert "7 of 14 orthants" in said[0]
    assert "fewest: 100" in said[0]


@pytest.mark.slow
def test_expectation_propagation_that_has_not_converged_says_so(
    problem: Problem, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Infinite.of(runs.RunFolder(finished).read("volume-ep"))
    assert kept.doubts == ()
    for name in ("expectation_propagation", "approximate_function_probabilities"):
        short = partial(getattr(gaussian_process, name), max_sweeps=1)
        monkeypatch.setattr(gaussian_process, name, short)
    n = len(kept.words)
    wanted = f"not converged for {n} of {n} functions nor for P(S)"
    assert wanted in infinite.ep(problem, kept.words).doubts[0]


@pytest.mark.slow
def test_a_posterior_most_of_whose_runs_are_empty_is_compared_with_nothing(
    finished: Path, problem: Problem
) -> None:
    config = study.Config(
        target=TARGET, train_mask=MASK, hidden=(12,), sgd=("sgd lr=0.05 batch=1",), n_blocks=8
    )
    training = config.trainings()[0]
    trained = frequencies_of(runs.RunFolder(finished).read(NAMES[0]), problem)
    posterior = functions.FunctionPosterior(
        functions.pack_bits(problem.dataset.y_test[None]), np.array([[1.0], [1.0], [0.0], [0.0]]),
        np.array([0.0, 0.0, -np.inf, -np.inf]), (), len(problem.dataset.y_test),
    )  # fmt: skip
    results = Results(config, problem, {"splitting": posterior}, {training: trained}, {})
    entry = against_sgd(results, training)
    assert "verdict" not in entry
    assert "2 of the 4 runs of the posterior have no draws" in entry["statement"]


@pytest.mark.slow
def test_images_become_two_classes(tmp_path: Path) -> None:
    arguments = ["--data", "digits", "--n-train", "20", "--n-test", "30", "--hidden", "8"]
    arguments += ["--estimators", "splitting", "nngp", "ep", "--n-orthant", "300"]
    arguments += ["--n-sgd", "40", "--sgd", "adam lr=0.01 batch=5"]
    run("--out", str(tmp_path / "digits"), *arguments)
    table, verdict = (read(tmp_path / "digits") for read in (read_table, read_verdict))
    assert set(table["function"].str.len()) == {30}
    assert set("".join(table["function"])) == {"0", "1"}
    near, said = (verdict["estimators"][name] for name in ("ep", "nngp"))
    assert abs(near["log_evidence"] - said["log_evidence"]) < 0.3 + 5 * said["log_evidence_sem"]
    assert "too few effective draws" in " ".join(said["doubts"])
    assert said["doubts"][0] in verdict["statement"]


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
        (["--estimators", "nngp", "splitting"], "begins with nngp, which draws no functions"),
        (["--n-orthant", "1"], "n_orthant=1 is not possible"),
        (["--n-compared", "0"], "n_compared=0 is not possible"),
        (["--sigma-b", "0"], "without a sign at an input of zeros"),
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


def test_more_rows_than_the_infinite_network_can_take_are_refused(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(infinite, "_MOST_ROWS", 15)
    with pytest.raises(
        ValueError, match="15 training and test rows together at most, and there are 16"
    ):
        infinite.check_infinite(problem)


def test_a_training_is_read_and_named() -> None:
    read = Training.parse("sgd lr=0.01 batch=0 momentum=0.9 longer=20")
    assert read == Training("sgd", 0.01, 0, 0.9, "ce", 20)
    assert read.name == "sgd_lr0.01_ball_m0.9_e20"
    assert read.label == "SGD, lr 0.01, full batch, momentum 0.9, 20 epochs"
    with pytest.raises(ValueError, match="gives Adam a momentum"):
        Training.parse("adam momentum=0.5")
    with pytest.raises(ValueError, match="lr must be positive"):
        Training.parse("sgd lr=-1")
