import warnings

import arviz as az
import numpy as np
import pytest

from bayes_vs_sgd import Dataset, Draws, diagnostics

RNG = np.random.default_rng(0)


def log_softmax(z: np.ndarray) -> np.ndarray:
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def logits_of(v: np.ndarray, w: np.ndarray, x: np.ndarray) -> np.ndarray:
    """v·tanh(wx) as the logit of class 1 against class 0; (chain, draw) → (chain, draw, n, 2)."""
    f = v[..., None] * np.tanh(w[..., None] * x)
    return log_softmax(np.stack([np.zeros_like(f), f], axis=-1))


X = np.linspace(-2, 2, 20)
SIGN = np.array([1, -1, 1, -1])[:, None]
V, W = (2 + 0.1 * RNG.normal(size=(4, 300)) for _ in range(2))
DRAWS = Draws({"v": SIGN * V, "w": SIGN * W}, {"diverging": np.zeros((4, 300), bool)})


def test_symmetric_weights_do_not_spoil_convergence_in_function_space() -> None:
    assert az.rhat(DRAWS.params["v"]) > 1.5
    found = diagnostics.function_convergence(DRAWS, logits_of(**DRAWS.params, x=X))
    assert found.rhat < 1.02
    assert found.converged
    diagnostics.require_converged(found)


def test_chains_that_predict_differently_have_not_converged() -> None:
    moved = logits_of(V + np.array([0, 0, 0, 3])[:, None], W, X)
    found = diagnostics.function_convergence(DRAWS, moved)
    assert not found.converged
    with pytest.raises(diagnostics.NotConvergedError, match="Run longer chains"):
        diagnostics.require_converged(found)


def test_the_worst_case_is_that_of_arviz() -> None:
    log_probs = logits_of(V, W, X)
    found = diagnostics.function_convergence(DRAWS, log_probs, n_points=5)
    tree = diagnostics.to_datatree(DRAWS, log_probs, n_points=5)
    theirs = az.summary(tree, group="predictions", round_to="none")
    assert found.rhat == pytest.approx(theirs["r_hat"].astype(float).max(), rel=1e-9)
    assert found.ess_bulk == pytest.approx(theirs["ess_bulk"].astype(float).min(), rel=1e-9)
    assert found.ess_tail == pytest.approx(theirs["ess_tail"].astype(float).min(), rel=0.2)


def test_predictions_that_never_vary_are_left_out() -> None:
    log_probs = logits_of(V, W, np.array([0.0, 1.0]))
    assert diagnostics.function_convergence(DRAWS, log_probs).n_values == 2


def test_chains_that_never_move_are_refused() -> None:
    stuck = logits_of(np.ones((4, 300)), np.ones((4, 300)), X)
    with pytest.raises(ValueError, match="stuck"):
        diagnostics.function_convergence(DRAWS, stuck)


def test_too_few_draws_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 4"):
        diagnostics.function_convergence(DRAWS, logits_of(V[:, :3], W[:, :3], X))


def test_kept_values_are_judged_as_arviz_judges_them() -> None:
    values = RNG.normal(size=(4, 300, 3)) + np.array([0, 0, 0, 0.3])[:, None, None]
    draws = Draws({"a": {"b": values}, "c": values[..., 0] ** 3}, {"diverging": np.ones((4, 300))})
    found = diagnostics.convergence(draws)
    assert found.n_values == 4
    assert found.rhat == pytest.approx(max(az.rhat(values[..., k]) for k in range(3)))
    assert found.ess_bulk == pytest.approx(min(az.ess(values[..., k]) for k in range(3)))
    assert found.divergences == 1200
    assert "function" not in str(found)
    diagnostics.require_converged(diagnostics.convergence(Draws(RNG.normal(size=(4, 300)))))


def test_chains_that_were_stopped_are_named_and_can_be_left_out() -> None:
    values = RNG.normal(size=(4, 300))
    values[[1, 3], 200:] = np.nan
    draws = Draws({"a": values}, {"lp": values}, {"a": values[:, -1]}, {"stopped_chains": "1, 3"})
    with pytest.raises(ValueError, match=r"chains 1, 3 hold values that are not finite"):
        diagnostics.convergence(draws)
    running = draws.running()
    assert running.n_chains == 2
    assert running.stats["lp"].shape == (2, 300)
    np.testing.assert_array_equal(running.last["a"], values[[0, 2], -1])
    assert diagnostics.convergence(running).converged
    with pytest.raises(ValueError, match="every chain"):
        Draws(values[:1], info={"stopped_chains": "0"}).running()


def test_draws_without_predictions_have_a_tree_and_a_summary() -> None:
    stats = {
        "diverging": np.arange(1200).reshape(4, 300) < 3,
        "energy": RNG.normal(size=(4, 300)),
        "tree_depth": np.full((4, 300), 5),
        "reached_max_treedepth": np.arange(1200).reshape(4, 300) < 7,
    }
    tree = diagnostics.to_datatree(Draws({"a": {"b": V}}, stats))
    assert set(tree["posterior"].data_vars) == {"a.b"}
    assert diagnostics.run_summary(tree) == diagnostics.sampler_summary(stats)
    run = diagnostics.run_summary(tree)
    assert (run["divergences"], run["n_at_max_tree_depth"], run["tree_depth"]) == (3, 7, 5)
    assert run["min_e_bfmi"] == pytest.approx(float(az.bfmi(tree)["energy"].min()), rel=0.02)


@pytest.fixture(scope="module")
def tree() -> object:
    labels = RNG.integers(0, 2, 20)
    x = X[:, None].astype(np.float32)
    dataset = Dataset(x, labels, x, labels, n_classes=2)
    stats = {
        "diverging": np.zeros((4, 300), bool),
        "energy": RNG.normal(size=(4, 300)),
        "acceptance_rate": RNG.random((4, 300)),
        "step_size": np.full((4, 300), 0.1),
        "n_steps": np.full((4, 300), 10),
        "lp": RNG.normal(size=(4, 300)),
    }
    log_probs = logits_of(V, W, X)
    draws = Draws({"v": V[..., None], "w": W[..., None, None]}, stats)
    made = diagnostics.to_datatree(draws, log_probs, dataset=dataset, train_log_probs=log_probs)
    made["convergence"] = made["posterior"].from_dict(
        {"/": diagnostics.function_convergence(draws, log_probs).by_value}
    )
    return made


def test_the_datatree_has_the_standard_groups(tree: object) -> None:
    assert {
        "posterior", "predictions", "posterior_predictive", "log_likelihood", "sample_stats",
        "observed_data", "constant_data", "predictions_constant_data",
    } <= set(tree.children)  # fmt: skip
    assert tree["predictions"]["probability"].dims == ("chain", "draw", "point", "class")
    assert tree["log_likelihood"]["y"].dims == ("chain", "draw", "row")


def test_arviz_runs_on_it_as_it_is(tree: object) -> None:
    assert len(az.summary(tree)) == 2
    assert len(az.summary(tree, group="predictions")) == 40
    assert az.rhat(tree)["v"].size == 1
    loo = az.loo(tree)
    assert loo.elpd < 0
    assert list(az.compare({"a": tree, "b": tree})["rank"]) == [0, 1]
    assert len(az.bfmi(tree)["energy"]) == 4


@pytest.mark.parametrize(
    "plot",
    [
        "plot_trace",
        "plot_rank",
        "plot_energy",
        "plot_forest",
        "plot_ess",
        "plot_autocorr",
        "plot_dist",
    ],
)
def test_arviz_plots_run_on_it_as_it_is(tree: object, plot: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        getattr(az, plot)(tree)


def test_posterior_predictive_classes_follow_their_probabilities(tree: object) -> None:
    share = tree["posterior_predictive"]["y"].mean(dim=("chain", "draw")).to_numpy()
    mean = (
        tree["predictions"]["probability"].sel({"class": 1}).mean(dim=("chain", "draw")).to_numpy()
    )
    assert np.all(np.abs(share - mean) < 5 * (0.25 / 1200) ** 0.5)


def test_the_log_likelihood_is_that_of_the_labels(tree: object) -> None:
    labels = tree["observed_data"]["y"].to_numpy()
    expected = logits_of(V, W, X)[..., np.arange(20), labels]
    np.testing.assert_allclose(tree["log_likelihood"]["y"], expected)


def test_the_run_summary_and_worst_predictions_come_from_arviz(tree: object) -> None:
    run = diagnostics.run_summary(tree)
    assert run["min_e_bfmi"] == pytest.approx(float(az.bfmi(tree)["energy"].min()), rel=0.02)
    assert run["elpd_loo"] == pytest.approx(az.loo(tree).elpd)
    assert len(diagnostics.worst_predictions(tree, 3)) == 3


@pytest.mark.parametrize(("n_draws", "stuck_at"), [(100, 3.0), (5, 2.0)])
def test_loo_is_nan_where_chains_stand_still_or_are_short(n_draws: int, stuck_at: float) -> None:
    v, w = V[:, :n_draws].copy(), W[:, :n_draws].copy()
    v[3] = w[3] = stuck_at
    log_probs = logits_of(v, w, X)
    x, labels = X[:, None].astype(np.float32), np.zeros(20, int)
    tree = diagnostics.to_datatree(
        Draws({"v": v}, {"diverging": np.zeros(v.shape, bool)}),
        log_probs,
        dataset=Dataset(x, labels, x, labels, n_classes=2),
        train_log_probs=log_probs,
    )
    assert np.isnan(diagnostics.run_summary(tree)["elpd_loo"])


def test_the_diagnostic_plots_are_figures(tree: object) -> None:
    plots = diagnostics.diagnostic_plots(tree)
    assert {name: hasattr(figure, "savefig") for name, figure in plots.items()} == {
        "rank": True,
        "energy": True,
    }
