"""The study of the volume around solutions, as a user runs it, and the numbers that it is made of."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from bayes_vs_sgd import (
    Draws,
    Posterior,
    functions,
    likelihoods,
    priors,
    runs,
    sgd,
)
from bayes_vs_sgd.functions.learning_coefficient import learning_coefficient, learning_coefficients
from bayes_vs_sgd.functions.local_volume import Curvature, hessian_matrix, laplace_evidence
from studies import solution_volume as study
from studies._functions import Problem, volume_of
from studies.solution_volume.correlation import correlate
from studies.solution_volume.main import cells, measured
from studies.solution_volume.measures import FAMILIES, MEASURES
from studies.solution_volume.networks import Networks, choose, of_tree
from studies.solution_volume.regions import divergence, hessian, log_odds, log_volumes, margins
from studies.solution_volume.results import (
    difference,
    finding,
    frequency_of,
    gap,
    log_joint,
    log_of,
    within_functions,
)
from tests.conftest import within

from .folders import refused, resumed, runner

WAY, NAME = "sgd lr=0.05 batch=1", "sgd_lr0.05_b1"
TINY = [
    *("--target", "00110011", "--train-mask", "10010010", "--hidden", "6", "--sgd", WAY),
    *("--n-sgd", "200", "--n-candidates", "200", "--n-functions", "6", "--n-each", "2"),
    *("--n-runs", "4", "--n-particles", "128", "--n-moves", "10", "--n-draws", "10", "--thin", "5"),
    *("--n-directions", "60", "--n-chains", "2", "--n-burn-in", "30", "--n-kept", "40"),
    *("--n-leapfrog", "5", "--n-sgld", "100", "--n-climb", "200", "--n-laplace", "40"),
    *("--n-bootstrap", "100"),
]
TARGETS = ("log_p_posterior", "log_p_sgd", "test_error")
run = runner(study, TINY)


def config_of(folder: Path) -> study.Config:
    """The settings of a finished run."""
    settings = json.loads((folder / "config.json").read_text())["settings"]
    lists = {name: tuple(v) for name, v in settings.items() if isinstance(v, list)}
    return study.Config(**(settings | lists))


def networks_of(folder: Path, problem: Problem) -> Networks:
    """The networks of a finished run."""
    return of_tree(runs.RunFolder(folder).read(f"networks-{NAME}"), problem)


def test_functions_are_chosen_from_frequent_to_rare_each_with_its_first_networks() -> None:
    rng = np.random.default_rng(0)
    of_network = rng.permutation(np.repeat([7, 3, 9, 4, 1], [30, 20, 10, 3, 2]))
    chosen = choose(of_network[:, None].astype(np.uint32), 3, 3)
    # Four functions have three networks; the first, the third and the last of these by rank.
    assert of_network[chosen].tolist() == [7] * 3 + [9] * 3 + [4] * 3
    assert chosen[:3].tolist() == np.flatnonzero(of_network == 7)[:3].tolist()
    assert len(choose(of_network[:, None].astype(np.uint32), 10, 3)) == 12
    assert len(choose(of_network[:, None].astype(np.uint32), 3, 31)) == 0


def clustered(rng: np.random.Generator, n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    """n functions of m networks each: a probability, and a measure alike within a function."""
    p, own = rng.exponential(size=n), rng.normal(size=n)
    return np.repeat(p, m), np.repeat(0.5 * p + own, m) + 0.5 * rng.normal(size=n * m)


def test_the_correlation_is_spearmans_over_networks_that_count() -> None:
    rng = np.random.default_rng(1)
    x, y = clustered(rng, 12, 3)
    places = np.repeat(np.arange(12), 3)
    y[[0, 35]] = np.nan
    kept = np.isfinite(y)
    found = correlate(x, y, places, seed=3)
    assert found.value == pytest.approx(stats.spearmanr(x[kept], y[kept]).statistic)
    assert (found.n_networks, found.n_functions) == (34, 12)
    assert found.lower < found.value < found.upper
    # By the formula of its docstring the ends lie equally far on the scale of artanh.
    ends = np.arctanh([found.lower, found.value, found.upper])
    assert ends[1] - ends[0] == pytest.approx(ends[2] - ends[1])
    half = correlate(x, y, places, seed=3, level=0.5)
    ratio = stats.t.ppf(0.975, 10) / stats.t.ppf(0.75, 10)
    assert ends[2] - ends[1] == pytest.approx(ratio * (np.arctanh(half.upper) - ends[1]))
    assert correlate(-x, y, places, seed=3).value == pytest.approx(-found.value)


def test_without_functions_or_variation_there_is_no_correlation() -> None:
    x, places = np.arange(12.0), np.repeat(np.arange(4), 3)
    with pytest.raises(ValueError, match="4 functions count, and 5 are needed"):
        correlate(x, x, places)
    with pytest.raises(ValueError, match="the same value"):
        correlate(x, np.ones(12), np.arange(12))


def test_intervals_cover_when_whole_functions_are_resampled_and_not_when_networks_are() -> None:
    rng = np.random.default_rng(2)
    truth = stats.spearmanr(*clustered(rng, 50_000, 4)).statistic
    places, n = np.repeat(np.arange(16), 4), 80
    covered = {"functions": 0, "networks": 0}
    for _ in range(n):
        x, y = clustered(rng, 16, 4)
        for how, which in (("functions", places), ("networks", np.arange(64))):
            found = correlate(x, y, which, n_bootstrap=40)
            covered[how] += found.lower <= truth <= found.upper
    within(covered["functions"] / n, 0.95, np.sqrt(0.95 * 0.05 / n))
    assert covered["networks"] / n < 0.95 - 5 * np.sqrt(0.95 * 0.05 / n)


class Perceptron:
    """1[w·x > 0] without bias."""

    shapes = {"w": (2,)}  # noqa: RUF012

    @staticmethod
    def apply(params: Any, x: Any) -> Any:
        """The logits."""
        return x @ params["w"]


def perceptron() -> Any:
    """Three rows of {0, 1}², the last of them to train on."""
    x = np.array([[0, 1], [1, 0], [1, 1]], np.float32)
    rows = SimpleNamespace(x_train=x[2:], x_test=x[:2])
    return SimpleNamespace(network=Perceptron(), dataset=rows, prior=priors.Normal(1.0))


@pytest.mark.parametrize(("weights", "share"), [([1.0, 1.0], 1 / 4), ([2.0, -1.0], 1 / 8)])
def test_the_regions_of_a_perceptron_have_the_masses_of_their_cones(
    weights: list[float], share: float
) -> None:
    problem, centre = perceptron(), {"w": np.array(weights, np.float32)}
    likelihood, cutoff = likelihoods.Bernoulli(), 0.05
    found = log_volumes(
        jax.random.key(0), problem, likelihood, centre, n_directions=500, tilt=0.1, cutoff=cutoff
    )
    assert all(v.trusted for v in found.values())
    drawn = np.random.default_rng(0).normal(size=(400_000, 2))
    g, at = drawn.sum(axis=1), sum(weights)
    p = 1 / (1 + np.exp(-at))
    apart = p * (np.logaddexp(0, -g) + np.log(p)) + (1 - p) * (np.logaddexp(0, g) + np.log(1 - p))
    inside = (apart <= cutoff).mean()
    exact = {"volume_function": share, "volume_fit": 1 / 2, "volume_basin": inside}
    for name, value in exact.items():
        volume = found[name]
        sem = np.hypot(volume.log_volume.sem + volume.resolution, np.sqrt(1 / (inside * 400_000)))
        within(volume.log_volume.value, np.log(value), sem)


def test_rays_are_tilted_by_the_divergences_hessian_and_by_what_parts_rows_from_their_class() -> (
    None
):
    problem = Problem.of(study.Config(target="00110011", n_train=5, hidden=(3,)))
    centre = problem.prior.sample(jax.random.key(1), problem.network.shapes)
    odds = log_odds(problem.network, likelihoods.Signs(0.8))  # type: ignore[arg-type]
    x = jnp.asarray(problem.dataset.x_train)
    g, slopes = odds(centre, x), jax.jacrev(odds)(centre, x)

    def factors(curvature: Curvature) -> np.ndarray:
        assert curvature.factors is not None
        rows = [np.asarray(curvature.factors[name]) for name in centre]
        return np.concatenate([v.reshape(len(v), -1) for v in rows], axis=1)

    exact = hessian_matrix(divergence(odds), centre, data=(x, g))
    found = factors(hessian(g, slopes))
    np.testing.assert_allclose(found.T @ found, exact, atol=2e-6)
    # Along its own slope a row comes to g = 0 to first order after the step −g/|∇g|², at ½xᵀHx ≥ ½.
    of_two = factors(margins(g[:2], slopes))
    assert of_two.shape == (2, 16)
    plain = np.concatenate([np.asarray(slopes[n]).reshape(5, -1) for n in centre], axis=1)
    step = -plain[1] * float(g[1]) / (plain[1] @ plain[1])
    assert (of_two @ step)[1] ** 2 == pytest.approx(1, rel=1e-5)


def test_probabilities_and_their_errors_are_on_the_scale_of_logarithms() -> None:
    words = np.array([[0], [1], [1], [1]], np.uint32) << 30
    counted = functions.FunctionFrequencies(words, 5, 1, 0, 2)
    p = frequency_of(counted, np.array([[0, 1], [1, 0]], np.uint8))
    assert p.value.tolist() == [0.75, 0]
    found = log_of(p)
    assert found.value[0] == pytest.approx(np.log(0.75))
    assert found.sem[0] == pytest.approx(np.sqrt(0.75 * 0.25 / 4) / 0.75)
    assert np.isnan(found.value[1])


def test_the_joint_probability_weighs_runs_by_their_evidence() -> None:
    shares = np.array([[0.5, 0.5, 0.0], [0.2, 0.6, 0.2]])
    words = np.array([[1], [2], [3]], np.uint32)
    posterior = functions.FunctionPosterior(words, shares, np.log([0.02, 0.04]), (), 32)
    found = log_joint(posterior, np.array([[2], [1], [9], [3]], np.uint32))
    joint = np.array([[0.5, 0.6], [0.5, 0.2]]) * [0.02, 0.04]
    np.testing.assert_allclose(found.value[:2], np.log(joint.mean(axis=1)))
    # Of two runs the jackknife's error is half their distance.
    np.testing.assert_allclose(found.sem[:2], np.abs(np.diff(np.log(joint)))[:, 0] / 2)
    # Never found, and found by one run, whose error nobody knows.
    assert np.isnan(found.value[2:]).all()


def test_a_bound_is_violated_by_more_than_chance_and_errors_alone() -> None:
    rows = pd.DataFrame({"v": [-30.0, -12.0, -3.0, np.nan, 4.0]})
    found = gap(rows, "v", -10.0, 0.1)
    assert (found["n"], found["n_violated"]) == (4, 1)
    assert (found["least"], found["median"], found["most"]) == (-20.0, 2.5, 14.0)
    # log 1000 = 6.9 and five standard errors of .1 are 7.4 together.
    just = gap(pd.DataFrame({"v": [-2.61, -2.58]}), "v", -10.0, 0.1)
    assert just["n_violated"] == 1
    assert gap(rows[3:4], "v", -10.0, 0.1)["median"] is None


def test_a_finding_says_no_more_than_its_interval_and_knows_which_way_a_measure_points() -> None:
    assert finding(0.1, 0.6, 1) == "follows"
    assert finding(0.1, 0.6, -1) == "opposes"
    assert finding(-0.6, -0.1, -1) == "follows"
    assert finding(-0.6, -0.1, 1) == "opposes"
    assert finding(-0.1, 0.6, 1) == finding(-0.1, 0.6, -1) == "undecided"
    signs = {name: m.sign for name, m in MEASURES.items()}
    assert [n for n, s in signs.items() if s < 0] == ["llc_sgld", "llc_hmc", "trace", "sharpness"]


def test_scatter_within_functions_leaves_out_what_parts_them() -> None:
    values = np.array([1.0, 3.0, 101.0, 103.0, np.nan, 7.0])
    assert within_functions(values, np.array([0, 0, 1, 1, 1, 2])) == pytest.approx(np.sqrt(2))
    assert within_functions(values, np.arange(6)) is None


def test_the_difference_of_two_measures_has_its_error_over_networks() -> None:
    rows = pd.DataFrame({"a": [1.0, 2.0, 4.0], "b": [0.0, 2.0, np.nan], "a_sem": 0.3, "b_sem": 0.4})
    found = difference(rows, "a", "b")
    assert found == {
        "n": 2, "mean": 0.5, "mean_sem": pytest.approx(0.5), "most_standard_errors": pytest.approx(2),
    }  # fmt: skip


def test_a_dry_run_computes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("--out", str(tmp_path / "none"), "--dry-run")
    # 3·6 + 6 + 6 + 1 parameters.
    assert "8 cells" in (out := capsys.readouterr().out)
    assert "with 31 parameters on 3 rows" in out
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--sigma-b", "0"], "sigma_b=0.0 is not possible"),
        (["--n-functions", "4"], "n_functions=4"),
        (["--cutoff", "-1"], "cutoff=-1.0 is not possible"),
        (["--localization", "-1"], "localization=-1.0 is not possible"),
        (["--sgld-step", "0"], "step_size"),
        (["--n-kept", "2"], "n_draws=2"),
        (["--hidden", "400", "400"], "makes 162401 parameters"),
        (["--sgd", "sgd lr=x"], "has no number behind the sign"),
        (["--level", "1"], "level=1.0 is no probability"),
        (["--target", "0011"], "train_mask has 8 bits and target has 4"),
    ],
)
def test_what_is_not_possible_ends_with_one_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sentence in refused(run, arguments, tmp_path / "none", capsys)


@pytest.mark.slow
def test_the_run_folder_is_complete(finished: Path) -> None:
    names = {p.name for p in finished.iterdir()}
    wanted = {"config.json", "provenance.json", "cells", "summary.csv", "verdict.json", "figures"}
    assert names == wanted | {"report.html"}
    config = config_of(finished)
    keys = {cell.key for cell in [*cells(config), *measured(config)]}
    assert set(runs.RunFolder(finished).cells()) == keys
    assert len(keys) == 3 + len(FAMILIES)


@pytest.mark.slow
def test_networks_of_the_table_fit_and_make_their_functions(
    finished: Path, table: pd.DataFrame
) -> None:
    problem = Problem.of(config_of(finished))
    networks = networks_of(finished, problem)
    assert (table["function"].value_counts() == 2).all()
    assert table["function"].nunique() == 6
    for number, row in table.iterrows():
        one = problem.network.to_torch(networks.one(number))  # type: ignore[arg-type]
        x = torch.tensor(np.array([[int(b) for b in f"{i:03b}"] for i in range(8)], np.float32))
        classes = (one(x)[:, 0] > 0).int().tolist()
        assert "".join(map(str, classes)) == row["function"]
        wrong = [a != b for a, b in zip(row["function"], "00110011", strict=True)]
        mask = [bit == "1" for bit in "10010010"]
        assert not any(w for w, m in zip(wrong, mask, strict=True) if m)
        assert row["test_error"] == pytest.approx(sum(wrong) / 5)


@pytest.mark.slow
def test_what_rays_see_is_at_most_the_probability_that_prior_draws_find(
    finished: Path, table: pd.DataFrame, verdict: dict
) -> None:
    """P(f, S) is the prior mass of f on all inputs: counted here, by splitting in the study."""
    problem = Problem.of(config_of(finished))
    x = np.array([[int(b) for b in f"{i:03b}"] for i in range(8)], np.float32)
    n = 400_000
    counts = functions.sample_prior(
        jax.random.key(5), problem.network, problem.prior, x, n_draws=n, progress=False
    )
    patterns = np.array([[int(b) for b in f] for f in table["function"]], np.uint8)
    p = counts.count_of(patterns) / n
    error = np.sqrt((1 - p) / (p * n))
    within(table["log_joint"], np.log(p), np.hypot(error, table["log_joint_sem"]))
    # An unbiased estimate is a thousand times too large once in a thousand, at most.
    assert (table["volume_function"] - np.log(p) < np.log(1000) + 5 * error).all()
    mask = np.array(list("10010010")) == "1"
    fits = (counts.patterns[:, mask] == np.array([0, 1, 1])).all(axis=1)
    log_p = np.log(counts.counts[fits].sum() / n)
    within(verdict["evidence"]["value"], log_p, verdict["evidence"]["sem"])
    assert (table["volume_fit"] < log_p + np.log(1000)).all()
    entry = verdict["measures"][NAME]["gaps"]
    assert entry["volume_function"]["n_violated"] == entry["volume_fit"]["n_violated"] == 0
    gaps = table["volume_function"] - table["log_joint"]
    assert entry["volume_function"]["median"] == pytest.approx(gaps.median())
    np.testing.assert_allclose(
        table["log_joint"], table["log_p_posterior"] + verdict["evidence"]["value"]
    )


@pytest.mark.slow
def test_measures_of_the_table_are_those_of_the_library_on_the_same_networks(
    finished: Path, table: pd.DataFrame
) -> None:
    config = config_of(finished)
    problem = Problem.of(config)
    networks = networks_of(finished, problem)
    likelihood = likelihoods.Bernoulli()
    posterior = Posterior.of(problem.network, problem.dataset, likelihood, problem.prior)
    first = networks.one(0)
    key = lambda family: jax.random.key(  # noqa: E731
        runs.Cell(f"{family}-{NAME}", {}).seed(config.seed)
    )
    for family, (sampler, chains) in {"llc_hmc": config.hmc(), "llc_sgld": config.sgld(3)}.items():
        direct = learning_coefficients(
            key(family), posterior, dict(networks.params), sampler, chains=chains, progress=False
        )
        expected = [c.estimate.value for c in direct]
        np.testing.assert_allclose(table[family], expected, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(
            table[f"{family}_sem"], [c.estimate.sem for c in direct], rtol=0.01
        )
        assert table[f"{family}_trusted"].tolist() == [c.trusted for c in direct]
    # Longer chains of another key around one network say the same of it.
    longer = replace(config, n_burn_in=200, n_kept=1000).hmc()
    alone = learning_coefficient(
        jax.random.key(8), posterior, first, longer[0], chains=longer[1], progress=False
    )
    error = np.hypot(table["llc_hmc_sem"][0], alone.estimate.sem)
    within(table["llc_hmc"][0], alone.estimate.value, error)
    # By torch in place of JAX.
    draws = Draws({name: value[:, None] for name, value in networks.params.items()})
    sharp = sgd.sharpness(
        problem.network, problem.dataset, draws, likelihood=likelihood, progress=False
    )
    np.testing.assert_allclose(table["trace"], sharp.trace.value[:, 0], rtol=1e-6)
    np.testing.assert_allclose(table["sharpness"], sharp.eigenvalues[:, 0, 0], rtol=1e-6)
    key_of_first = jax.random.fold_in(key("laplace"), 0)
    at = laplace_evidence(key_of_first, posterior, first, n_draws=config.n_laplace)
    np.testing.assert_allclose(table["laplace"][0], at.log_evidence, rtol=1e-6)
    assert table["laplace_trusted"][0] == at.trusted


@pytest.mark.slow
def test_the_verdict_correlates_the_columns_of_the_table(
    finished: Path, table: pd.DataFrame, verdict: dict
) -> None:
    config, entry, n_said = config_of(finished), verdict["measures"][NAME], 0
    places = pd.factorize(table["function"])[0]
    for name, measure in entry["measures"].items():
        assert measure["untrusted_share"] == pytest.approx(1 - table[f"{name}_trusted"].mean())
        for target in TARGETS:
            y = table[target].copy()
            if target != "test_error":
                y[~(table[f"{target}_sem"] <= config.max_relative_error)] = np.nan
            found = measure["correlations"][target]
            n_known = table["function"][np.isfinite(y) & np.isfinite(table[name])].nunique()
            if n_known < 5:
                assert found["finding"] == "undecided"
                assert found["reason"] == f"{n_known} functions count, and 5 are needed."
                continue
            direct = correlate(
                table[name].to_numpy(), y.to_numpy(), places, n_bootstrap=100, seed=config.seed
            )
            assert found["value"] == pytest.approx(direct.value)
            assert found["lower"] == pytest.approx(direct.lower)
            n_said += 1
    assert n_said > 8
    p = volume_of(runs.RunFolder(finished).read("posterior"), Problem.of(config))
    assert verdict["evidence"]["value"] == p.log_evidence.value


@pytest.mark.slow
def test_a_finished_run_resumed_draws_its_report_again_and_computes_nothing(
    finished: Path, verdict: dict, capsys: pytest.CaptureFixture[str]
) -> None:
    (finished / "report.html").unlink()
    said = resumed(run, finished, capsys)
    assert "3 of 3 cells are finished already" in said
    assert "5 of 5 cells are finished already" in said
    page = (finished / "report.html").read_text()
    assert page.count("<svg") == 3
    for measure in verdict["measures"][NAME]["measures"].values():
        assert f"{measure['untrusted_share']:.0%}".rstrip("%") + " %" in page
        assert measure["label"] in page


@pytest.mark.slow
def test_too_few_networks_of_a_function_end_with_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--n-candidates", "8", "--n-sgd", "8", "--n-runs", "4", "--n-particles", "32"]
    with pytest.raises(SystemExit) as stop:
        run("--out", str(tmp_path / "few"), *few)
    assert stop.value.code == 2
    assert "raise n_candidates, or lower n_each" in capsys.readouterr().err
