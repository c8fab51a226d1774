"""SGD stopped early, at the epoch that held-out training rows choose."""

import numpy as np

from bayes_vs_sgd import Draws, sgd

from ..problem import Problem
from .descent import still_running, train, tree_of
from .found import Found

_N_LOOKS = 40


def compute(problem: Problem, wanted: tuple[str, ...], epochs: tuple[int, ...] | None) -> Found:
    """Train on the rows that are not held out, and keep each network where its loss on those is least.

    The held-out labels are as noisy as the others.
    """
    _, judged = problem.held_out()
    looks = tuple(sgd.log_grid(problem.config.max_epochs, n=_N_LOOKS))
    trained = train(judged, checkpoints=looks)
    kept = (
        trained
        if len(still_running(problem.config, trained)) == trained.n_chains
        else trained.running()
    )
    best = np.argmin(kept.stats["test_loss"], axis=1)
    rows = np.arange(kept.n_chains)
    stopped = Draws(
        {name: value[rows, best][:, None] for name, value in kept.params.items()},
        {name: np.asarray(value)[rows, best][:, None] for name, value in kept.stats.items()},
        info=kept.info,
    )
    losses = problem.losses("sgd_early", problem.of_draws(stopped))
    tree = tree_of(problem, stopped)
    tree.attrs["mean_epoch"] = float(stopped.stats["epoch"].mean())
    return Found(tree, {"sgd_early": [losses]})
