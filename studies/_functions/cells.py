"""The two kinds of cells: an estimator of posterior volume, and a way to train."""

import json
import warnings
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import xarray as xr

from bayes_vs_sgd import Draws, diagnostics, functions, sgd
from bayes_vs_sgd.types import StoppedChainWarning

from .problem import Problem
from .training import Training

# Networks trained in one call; their functions are kept, their parameters are not.
_CHUNK = 20_000


def volume(
    problem: Problem, estimator: functions.Estimator, *, n_runs: int, seed: int
) -> xr.DataTree:
    """Independent runs of an estimator, as an ArviZ tree: chain = run, draw = draw of a function."""
    found = functions.posterior_probabilities(
        jax.random.key(seed), problem.zero_one, estimator, n_runs=n_runs
    )
    tree = posterior_tree(found)
    traces = _traces(problem, found)
    for name, group in traces.children.items():
        tree[name] = group
    tree.attrs |= traces.attrs
    return tree


def posterior_tree(found: functions.FunctionPosterior) -> xr.DataTree:
    """What ``volume_of`` reads again."""
    tree = xr.DataTree()
    tree["functions"] = xr.DataTree(
        xr.Dataset(
            {
                "words": (("function", "word"), found.words),
                "shares": (("run", "function"), found.shares),
                "log_evidence": ("run", found.log_evidences),
            }
        )
    )
    evidence = found.log_evidence
    tree.attrs |= {
        "doubts": json.dumps(found.doubts),
        "info": json.dumps(dict(found.info)),
        "summary": f"log P(S) {evidence.value:.3f} ± {evidence.sem:.3f}, {found.n_functions} functions",
    }
    return tree


def convergence_doubts(attributes: Mapping[Any, Any]) -> tuple[str, ...]:
    """Whether the runs of a cell of ``volume`` disagree in function space, as a sentence."""
    if attributes.get("converged", True):
        return ()
    return (
        f"its runs have not converged in function space (R-hat {attributes['rhat']:.3f}, bulk ESS "
        f"{attributes['ess_bulk']:.0f})",
    )


def _traces(problem: Problem, found: functions.FunctionPosterior) -> xr.DataTree:
    """Test error and target of every draw, where runs have equally many."""
    lengths = {len(draws) for draws in found.draws}
    weighted = "effective_draws" in found.info
    if len(lengths) != 1 or lengths == {0} or weighted:
        return xr.DataTree()
    errors = (found.patterns != problem.dataset.y_test).mean(axis=1)
    places = np.stack(found.draws)
    draws = Draws({"test_error": errors[places], "is_target": (errors == 0)[places].astype(float)})
    tree = diagnostics.to_datatree(draws)
    try:
        tree.attrs |= diagnostics.convergence(draws).figures()
    except ValueError as error:
        tree.attrs["no_convergence"] = str(error)
    return tree


def run_sgd(
    problem: Problem, training: Training, *, n_seeds: int, max_epochs: int, seed: int, **more: Any
) -> Draws:
    """Networks from the prior, trained this way until they fit, or as long as it says.

    Args:
        problem: The problem.
        training: The way.
        n_seeds: Networks.
        max_epochs: Epochs after which one that does not fit is given up.
        seed: Of them all.
        **more: Other settings of ``sgd.train``.
    """
    return sgd.train(
        problem.network,
        problem.dataset,
        n_seeds=n_seeds,
        initial=problem.prior,
        optimizer=training.rule(),
        likelihood=training.likelihood(),
        batch_size=min(training.batch, len(problem.dataset.x_train)) or None,
        max_epochs=training.longer or max_epochs,
        stop_at_interpolation=not training.longer,
        look_every=1,
        seed=seed,
        **more,
    )


def train(
    problem: Problem,
    training: Training,
    *,
    n_sgd: int,
    max_epochs: int,
    lr_factors: Mapping[str, float] | None = None,
    seed: int,
) -> xr.DataTree:
    """Runs of SGD from the prior, in chunks: the function of each that fits, and how many do not."""
    n_test = len(problem.dataset.x_test)
    collect = functions.collect_patterns(problem.network, problem.dataset.x_test)
    parts, epochs = [], []
    for first in range(0, n_sgd, _CHUNK):
        with warnings.catch_warnings():
            # Counted and reported with the others that did not fit.
            warnings.simplefilter("ignore", StoppedChainWarning)
            trained = run_sgd(
                problem,
                training,
                n_seeds=min(_CHUNK, n_sgd - first),
                first_seed=first,
                max_epochs=max_epochs,
                lr_factors=lr_factors,
                collect=collect,
                seed=seed,
            )
        found = functions.sgd_probabilities(trained, n_test)
        parts.append(found)
        epochs.append(trained.stats["epoch"][:, -1])
    whole = functions.FunctionFrequencies.merged(parts)
    tree = xr.DataTree(
        xr.Dataset(
            {
                "words": (("network", "word"), whole.words),
                "epoch": ("trained", np.concatenate(epochs)),
            }
        )
    )
    tree.attrs |= {
        "label": training.label,
        "n_runs": whole.n_runs,
        "n_unfit": whole.n_unfit,
        "n_failed": whole.n_failed,
        "summary": f"{whole.n_fit} of {whole.n_runs} fit, {whole.counts.n_functions} functions",
    }
    return tree


def volume_of(tree: xr.DataTree, problem: Problem) -> functions.FunctionPosterior:
    """The posterior that a cell holds."""
    found = tree["functions"].to_dataset()
    return functions.FunctionPosterior(
        found["words"].to_numpy().astype(np.uint32),
        found["shares"].to_numpy(),
        found["log_evidence"].to_numpy(),
        (),
        problem.zero_one.n_test,
        info=json.loads(tree.attrs["info"]),
        doubts=tuple(json.loads(tree.attrs["doubts"])),
    )


def frequencies_of(tree: xr.DataTree, problem: Problem) -> functions.FunctionFrequencies:
    """The functions of the SGD runs that a cell holds."""
    return functions.FunctionFrequencies(
        tree["words"].to_numpy().astype(np.uint32),
        int(tree.attrs["n_runs"]),
        int(tree.attrs["n_unfit"]),
        int(tree.attrs["n_failed"]),
        problem.zero_one.n_test,
    )
