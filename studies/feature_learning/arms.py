"""The arms: posterior or training, of all layers, of the last alone, or at infinite width."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import jax
import numpy as np
import xarray as xr

from bayes_vs_sgd import Estimate, functions
from bayes_vs_sgd.functions import comparison, gaussian_process, kernels
from studies._functions import (
    Problem,
    convergence_doubts,
    frequencies_of,
    posterior_tree,
    train,
    volume,
    volume_of,
)

from .config import Config

# What is told apart, in the order of the reports.
LABELS = {
    "whole": "posterior of the whole network",
    "features_weighted": "posterior of last layers, random features by evidence",
    "features": "posterior of last layers, random features alike",
    "infinite": "posterior at infinite width (NNGP)",
    "sgd": "SGD on all layers",
    "sgd_last": "SGD on the last layer, random features",
    "tangent": "training at infinite width (NTK)",
}
# The cells that hold them: random features are one, counted in two ways.
CELLS = ("whole", "features", "infinite", "sgd", "sgd_last", "tangent")


@dataclass(frozen=True)
class Arm:
    """One distribution over functions.

    Attributes:
        words: Packed functions.
        sampled: Its replicates over them.
        doubts: Why it cannot be trusted.
        log_evidence: Log P(S), where it is estimated.
        n_unfit: Runs that did not reach zero training error.
        n_runs: Runs in all.
    """

    words: np.ndarray
    sampled: comparison.Sampled
    doubts: tuple[str, ...] = ()
    log_evidence: Estimate | None = None
    n_unfit: int = 0
    n_runs: int = 0

    def mean(self, values: np.ndarray) -> Estimate:
        """The mean of a property of the functions, with its error over replicates."""
        of_replicates = self.sampled.moves @ values
        spread = of_replicates.std(ddof=1) / np.sqrt(len(of_replicates))
        return Estimate(float(self.sampled.probabilities @ values), float(spread))

    def placed(self, place: Callable[[np.ndarray], np.ndarray]) -> comparison.Sampled:
        """Its replicates over the functions of an alignment, ``place`` being its side of it."""
        return replace(self.sampled, weights=place(self.sampled.weights))


def compute(config: Config, problem: Problem, name: str, seed: int) -> xr.DataTree:
    """The cell of an arm."""
    match name:
        case "whole":
            return volume(problem, config.whole, n_runs=config.n_runs, seed=seed)
        case "features":
            return random_features(config, problem, seed)
        case "infinite":
            return infinite(config, problem, seed)
        case "tangent":
            return tangent(config, problem, seed)
    factors = dict.fromkeys(last_layer_frozen(problem), 0.0) if name == "sgd_last" else None
    return train(
        problem, config.trainings[name], n_sgd=config.n_sgd, max_epochs=config.max_epochs,
        lr_factors=factors, seed=seed,
    )  # fmt: skip


def last_layer_frozen(problem: Problem) -> tuple[str, ...]:
    """The names of all parameters but those of the last layer."""
    return tuple(problem.network.shapes)[:-2]


def random_features(config: Config, problem: Problem, seed: int) -> xr.DataTree:
    """One run a draw of features, pooled in blocks by evidence and alike; and every run's evidence."""
    frozen = replace(problem.zero_one, frozen=last_layer_frozen(problem))
    found = functions.posterior_probabilities(
        jax.random.key(seed), frozen, config.frozen, n_runs=config.n_features
    )
    errors = (found.patterns != problem.dataset.y_test).mean(axis=1)
    alike = found.unweighted
    tree = posterior_tree(found.pooled(config.n_blocks))
    blocks = np.array_split(np.arange(alike.n_runs), min(config.n_blocks, alike.n_runs))
    tree["alike"] = xr.DataTree(
        xr.Dataset(
            {
                "shares": (
                    ("block", "function"),
                    np.stack([alike.shares[rows].mean(axis=0) for rows in blocks]),
                )
            }
        )
    )
    tree["features"] = xr.DataTree(
        xr.Dataset(
            {
                "log_evidence": ("features", found.log_evidences),
                "test_error": ("features", found.shares @ errors),
            }
        )
    )
    tree.attrs["n_unfit"] = found.n_runs - alike.n_runs
    return tree


def infinite(config: Config, problem: Problem, seed: int) -> xr.DataTree:
    """The posterior under the 0/1 likelihood of the infinitely wide network."""
    found = gaussian_process.gaussian_process_posterior(
        jax.random.key(seed),
        np.asarray(kernels.kernel_matrices(architecture(problem), inputs(problem)).nngp),
        2 * problem.dataset.y_train - 1,
        n_runs=config.n_runs,
        n_draws=config.n_infinite,
    )
    return posterior_tree(found)


def tangent(config: Config, problem: Problem, seed: int) -> xr.DataTree:
    """Functions of the infinitely wide network after gradient flow on the squared error, drawn over starts."""
    law = trained_law(problem)
    rng = np.random.default_rng(seed)
    drawn = rng.multivariate_normal(
        law.mean, law.covariance, size=config.n_tangent, method="eigh", check_valid="ignore"
    )
    words = functions.pack_bits((drawn > 0).astype(np.uint8))
    tree = xr.DataTree(xr.Dataset({"words": (("network", "word"), words)}))
    n_functions = functions.FunctionCounts.of(words, len(problem.dataset.y_test)).n_functions
    tree.attrs |= {
        "n_runs": config.n_tangent, "n_unfit": 0, "n_failed": 0,
        "summary": f"{config.n_tangent} draws, {n_functions} functions",
    }  # fmt: skip
    return tree


def trained_law(
    problem: Problem, *, depth: int | None = None, time: float = math.inf
) -> kernels.GaussianPrediction:
    """Outputs on the test rows, trained for a time in neural tangent parameterization, over starts."""
    whole = kernels.kernel_matrices(architecture(problem, depth), inputs(problem))
    n = len(problem.dataset.y_train)
    train = kernels.Kernels(*(k[:n, :n] for k in whole))
    cross = kernels.Kernels(*(k[n:, :n] for k in whole))
    targets = 2.0 * problem.dataset.y_train - 1
    return kernels.trained_distribution(
        train, cross, np.asarray(whole.nngp)[n:, n:], targets, time=time
    )


def architecture(problem: Problem, depth: int | None = None) -> kernels.FullyConnected:
    """The network at infinite width; its tangent kernel is that of the neural tangent parameterization."""
    options = problem.options
    return kernels.FullyConnected(
        depth or len(options.hidden), options.sigma_w, options.sigma_b,
        weight_multiplier=1.0, bias_multiplier=1.0,
    )  # fmt: skip


def inputs(problem: Problem) -> np.ndarray:
    """Training rows, then test rows."""
    return np.concatenate([problem.dataset.x_train, problem.dataset.x_test])


def read(config: Config, problem: Problem, trees: dict[str, xr.DataTree]) -> dict[str, Arm]:
    """All arms of finished cells."""
    found = {}
    for name in LABELS:
        tree = trees["features" if name == "features_weighted" else name]
        if name in ("whole", "infinite", "features_weighted"):
            found[name] = _of_posterior(tree, problem)
        elif name == "features":
            found[name] = _alike(tree, volume_of(tree, problem).words, config)
        else:
            found[name] = of_training(tree, problem, config)
    return found


def _of_posterior(tree: xr.DataTree, problem: Problem) -> Arm:
    found = volume_of(tree, problem)
    doubts = (*found.doubts, *convergence_doubts(tree.attrs))
    return Arm(found.words, found.sampled(), doubts, found.log_evidence, n_runs=found.n_runs)


def _alike(tree: xr.DataTree, words: np.ndarray, config: Config) -> Arm:
    weights = tree["alike"]["shares"].to_numpy()
    n_unfit = int(tree.attrs["n_unfit"])
    return Arm(
        words,
        comparison.Sampled(weights),
        _unfit(n_unfit, config.n_features),
        n_unfit=n_unfit,
        n_runs=config.n_features,
    )


def of_training(tree: xr.DataTree, problem: Problem, config: Config) -> Arm:
    """The arm of a cell that holds the function of every run.

    Raises:
        ValueError: Too few runs fit.
    """
    found = frequencies_of(tree, problem)
    counts = found.counts
    if found.n_fit < config.n_blocks:
        raise ValueError(
            f"only {found.n_fit} of {found.n_runs} runs of {tree.attrs['label']} fit, fewer than "
            f"n_blocks={config.n_blocks}; raise n_sgd, max_epochs or the learning rate."
        )
    sampled = comparison.Sampled.independent(
        counts.counts, n_replicates=config.n_blocks, seed=config.seed
    )
    n_unfit = found.n_unfit + found.n_failed
    doubts = _unfit(n_unfit, found.n_runs)
    return Arm(counts.words, sampled, doubts, n_unfit=n_unfit, n_runs=found.n_runs)


def _unfit(n_unfit: int, n_runs: int) -> tuple[str, ...]:
    if not n_unfit:
        return ()
    return (f"{n_unfit} of its {n_runs} runs do not fit the training rows and are left out",)


def aligned(p: Arm, q: Arm) -> tuple[comparison.Sampled, comparison.Sampled]:
    """Two arms over the functions of both."""
    common = comparison.align(p.words, q.words)
    return p.placed(common.a), q.placed(common.b)


def all_words(arms: Sequence[Arm], n_test: int) -> np.ndarray:
    """Every function that an arm found, in rising order."""
    return functions.FunctionCounts.of(np.concatenate([a.words for a in arms]), n_test).words
