"""The networks that are measured: trained, and chosen so that each function has several."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import xarray as xr
from jaxtyping import Float, Int, UInt32

from bayes_vs_sgd import functions, runs
from studies._functions import Problem, Training, run_sgd

from .config import FEWEST_FUNCTIONS, Config


@dataclass(frozen=True)
class Networks:
    """Networks at zero training error, those of one function one after another.

    Attributes:
        params: Parameters by name, with a leading axis of networks.
        words: Packed pattern of each on the test rows.
        seeds: Number of each in its training.
        train_loss: Mean negative log likelihood of the training rows.
        n_fit: Candidates that fit the training rows, of which they were chosen.
    """

    params: Mapping[str, Float[np.ndarray, "network ..."]]
    words: UInt32[np.ndarray, "network words"]
    seeds: Int[np.ndarray, " network"]
    train_loss: Float[np.ndarray, " network"]
    n_fit: int

    def __len__(self) -> int:
        return len(self.words)

    def one(self, number: int) -> dict[str, Float[np.ndarray, "..."]]:
        """The parameters of one network."""
        return {name: value[number] for name, value in self.params.items()}


def make(
    config: Config, problem: Problem, training: Training, *, seed: int, partial: Path
) -> xr.DataTree:
    """Train the candidates, and keep those that are chosen.

    Raises:
        UserError: Too few functions have so many networks.
    """
    trained = run_sgd(
        problem,
        training,
        n_seeds=config.n_candidates,
        max_epochs=config.max_epochs,
        seed=seed,
        checkpoint=partial,
    )
    fits = np.flatnonzero(trained.stats["train_error"][:, -1] == 0)
    params = {name: np.asarray(value)[fits, -1] for name, value in trained.params.items()}
    words = patterns_of(problem, params)
    chosen = choose(words, config.n_functions, config.n_each)
    n_functions = len(chosen) // config.n_each
    if n_functions < FEWEST_FUNCTIONS:
        raise runs.UserError(
            f"{n_functions} functions were found n_each={config.n_each} times by {len(fits)} of "
            f"{config.n_candidates} candidates that fit, and {FEWEST_FUNCTIONS} are needed; raise n_candidates, "
            "or lower n_each."
        )
    found = Networks(
        {name: value[chosen] for name, value in params.items()},
        words[chosen],
        fits[chosen],
        np.asarray(trained.stats["train_loss"])[fits[chosen], -1],
        len(fits),
    )
    return to_tree(found, f"{len(chosen)} networks of {n_functions} functions")


def patterns_of(
    problem: Problem, params: Mapping[str, Float[np.ndarray, "network ..."]]
) -> UInt32[np.ndarray, "network words"]:
    """The function of each network on the test rows, packed."""
    pattern = functions.collect_patterns(problem.network, problem.dataset.x_test)
    return np.asarray(jax.jit(jax.vmap(pattern))(dict(params))["pattern"]).astype(np.uint32)


def choose(
    words: UInt32[np.ndarray, "network words"], n_functions: int, n_each: int
) -> Int[np.ndarray, " chosen"]:
    """Networks of functions from frequent to rare.

    Functions that at least ``n_each`` networks have are ranked by how many do; ``n_functions`` at
    equal steps of rank are taken, the first and the last among them, and of each its first
    ``n_each`` networks.

    Args:
        words: The function of each network.
        n_functions: Functions at most.
        n_each: Networks of each.

    Returns:
        Places in ``words``, those of one function one after another.
    """
    _, of_network, counts = np.unique(words, axis=0, return_inverse=True, return_counts=True)
    ranked = np.argsort(-counts, kind="stable")
    ranked = ranked[counts[ranked] >= n_each]
    steps = np.linspace(0, len(ranked) - 1, min(n_functions, len(ranked))).round().astype(int)
    members = [np.flatnonzero(of_network.ravel() == f)[:n_each] for f in ranked[steps]]
    return np.concatenate([np.zeros(0, int), *members])


def to_tree(networks: Networks, summary: str) -> xr.DataTree:
    """Networks as a cell."""
    params = {
        name: (("network", *(f"{name}_{axis}" for axis in range(1, value.ndim))), value)
        for name, value in networks.params.items()
    }
    about = {
        "words": (("network", "word"), networks.words),
        "seed": ("network", networks.seeds),
        "train_loss": ("network", networks.train_loss),
    }
    tree = xr.DataTree(xr.Dataset(about), children={"params": xr.DataTree(xr.Dataset(params))})
    tree.attrs |= {"n_fit": networks.n_fit, "summary": summary}
    return tree


def of_tree(tree: xr.DataTree, problem: Problem) -> Networks:
    """The networks that a cell holds."""
    params = tree["params"].to_dataset()
    return Networks(
        {name: params[name].to_numpy() for name in problem.network.shapes},
        tree["words"].to_numpy().astype(np.uint32),
        tree["seed"].to_numpy(),
        tree["train_loss"].to_numpy(),
        int(tree.attrs["n_fit"]),
    )
