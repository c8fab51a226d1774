"""SGD from many seeds, ensembles of its networks, and averages of its iterates."""

import dataclasses
from typing import Any

import numpy as np
import xarray as xr

from bayes_vs_sgd import Draws, diagnostics, runs, sgd
from bayes_vs_sgd.sgd import SWA, SWAG, Compose, Flip, Optimizer, Schedule, Shift

from ..config import Config
from ..problem import Problem, pick
from .found import Found


def compute(problem: Problem, wanted: tuple[str, ...], epochs: tuple[int, ...] | None) -> Found:
    """Networks from many seeds: SGD, deep ensemble, SWA, SWAG and MultiSWAG.

    SWA and SWAG go on from the trained networks for ``average_epochs`` epochs; along epochs SWA is
    the average of all iterates from the end of the first epoch on.
    """
    config = problem.config
    places = None if epochs is None else tuple(e for e in epochs if e <= config.max_epochs)
    checkpoints = checkpoint_epochs(config) if places is None else places
    trained = train(problem, checkpoints=checkpoints, stops=places is None)
    runs_on = still_running(config, trained)
    kept = trained if len(runs_on) == trained.n_chains else trained.running()
    draws = kept if places is not None else last_of(kept)
    predicted = problem.of_draws(draws)
    arms: dict[str, list[xr.Dataset]] = {}
    n_places = 1 if places is None else len(places)
    for k in range(n_places):
        here = pick(predicted, np.s_[:, k : k + 1])
        _add(arms, wanted, "sgd", problem, here)
        _add(arms, wanted, "deep_ensemble", problem, grouped(config.ensemble_size, here))
    if "swa" in wanted:
        swa = (
            averaged(problem, last_of(kept)) if places is None else from_the_first(problem, places)
        )
        found = problem.of_draws(swa)
        for k in range(n_places):
            _add(arms, wanted, "swa", problem, pick(found, np.s_[:, k : k + 1]))
    if {"swag", "multiswag"} & set(wanted):
        found = problem.of_draws(gaussians(problem, last_of(kept)))
        _add(arms, wanted, "swag", problem, found)
        _add(arms, wanted, "multiswag", problem, pooled_groups(config.ensemble_size, found))
    tree = tree_of(problem, trained, checkpoints)
    return Found(tree, arms, places or ())


def train(
    problem: Problem,
    *,
    checkpoints: tuple[int, ...] = (),
    stops: bool = True,
    n_seeds: int | None = None,
    **changes: Any,
) -> Draws:
    """SGD as the settings have it.

    Args:
        problem: What is trained, on what.
        checkpoints: Epochs at which parameters are kept.
        stops: Whether networks that fit, or fit no better, stop.
        n_seeds: Networks; those of the settings by default.
        **changes: Other arguments of ``sgd.train``.
    """
    config = problem.config
    settings: dict[str, Any] = {
        "initial": problem.start,
        "optimizer": optimizer_of(config),
        "schedule": schedule_of(config),
        "likelihood": problem.loss,
        "label_smoothing": config.label_smoothing,
        "augment": Compose((Shift(4), Flip())) if config.augment else None,
        "batch_size": problem.batch_size(),
        "max_epochs": config.max_epochs,
        "checkpoints": checkpoints,
        "stop_at_interpolation": stops and config.stop_at_interpolation and not problem.is_real,
        "patience": (config.patience or None) if stops and not problem.is_real else None,
        "seed": problem.seed,
        "device": problem.device,
        "n_seeds": config.n_seeds if n_seeds is None else n_seeds,
    }
    return sgd.train(problem.network, problem.dataset, **(settings | changes))


def averaged(problem: Problem, trained: Draws) -> Draws:
    """SWA over ``average_epochs`` epochs from trained networks on."""
    epoch = problem.steps_per_epoch()
    return _go_on(problem, trained, SWA(start=epoch, every=epoch))


def gaussians(problem: Problem, trained: Draws) -> Draws:
    """Draws of SWAG fitted over ``average_epochs`` epochs from trained networks on."""
    config, epoch = problem.config, problem.steps_per_epoch()
    rank = min(config.swag_rank, config.average_epochs)
    rank = rank if rank >= 2 else 0
    swag = SWAG(n_draws=config.n_gaussian_draws, rank=rank, start=epoch, every=epoch)
    return _go_on(problem, trained, swag)


def from_the_first(problem: Problem, epochs: tuple[int, ...]) -> Draws:
    """SWA of all iterates of a run from the end of its first epoch on, at epochs of it."""
    epoch = problem.steps_per_epoch()
    average = SWA(start=epoch, every=epoch)
    found = train(problem, checkpoints=epochs, stops=False, average=average)
    return found if len(still_running(problem.config, found)) == found.n_chains else found.running()


def _go_on(problem: Problem, trained: Draws, average: SWA | SWAG) -> Draws:
    config = problem.config
    optimizer: Any = optimizer_of(config)
    lr = config.average_lr * optimizer.lr * _last_factor(problem)
    found = train(
        problem,
        stops=False,
        n_seeds=trained.n_chains,
        initial=trained,
        optimizer=dataclasses.replace(optimizer, lr=lr),
        schedule=sgd.Constant(),
        max_epochs=config.average_epochs,
        average=average,
    )
    return found if len(still_running(config, found)) == found.n_chains else found.running()


def _last_factor(problem: Problem) -> float:
    """What is left of the learning rate at the end of its schedule; of a cosine, which ends at 0, all."""
    config = problem.config
    if config.schedule in ("constant", "cosine"):
        return 1.0
    n = config.max_epochs * problem.steps_per_epoch()
    return schedule_of(config)(n - 1, n)


def optimizer_of(config: Config) -> Optimizer:
    """The optimiser with its settings."""
    return config.sgd if config.optimizer == "sgd" else config.adam


def schedule_of(config: Config) -> Schedule:
    """The schedule with its settings."""
    return {
        "constant": sgd.Constant(),
        "cosine": config.cosine,
        "linear": config.linear,
        "steps": config.steps,
        "inverse_sqrt": config.inverse_sqrt,
    }[config.schedule]


def checkpoint_epochs(config: Config) -> tuple[int, ...]:
    """Epochs at which the map of place × epochs is known."""
    if config.n_checkpoints < 2:
        return ()
    return tuple(sgd.log_grid(config.max_epochs, n=config.n_checkpoints))


def still_running(config: Config, trained: Draws) -> np.ndarray:
    """Numbers of the networks whose loss stayed finite; the arms are made of them.

    Raises:
        UserError: Too few for two ensembles.
    """
    kept = trained.running_chains()
    if len(kept) < 2 * config.ensemble_size:
        raise runs.UserError(
            f"the loss of {trained.n_chains - len(kept)} of {trained.n_chains} networks ceased to be "
            f"finite, and two ensembles of {config.ensemble_size} need {2 * config.ensemble_size} of "
            f"them; lower --{config.optimizer}.lr."
        )
    return kept


def last_of(draws: Draws) -> Draws:
    """The last draw of every chain."""
    params = {name: value[:, -1:] for name, value in draws.params.items()}
    return dataclasses.replace(draws, params=params, stats={})


def grouped(size: int, predicted: dict[str, Any]) -> dict[str, Any]:
    """Disjoint groups of ``size`` networks as replicates: (network, 1, ...) → (group, size, ...)."""
    return _regrouped(size, predicted, lambda a: a)


def pooled_groups(size: int, predicted: dict[str, Any]) -> dict[str, Any]:
    """All draws of ``size`` networks as the members of one replicate."""
    return _regrouped(size, predicted, lambda a: a.reshape(len(a), -1, *a.shape[3:]))


def _regrouped(size: int, predicted: dict[str, Any], flat: Any) -> dict[str, Any]:
    found = dict(predicted)
    for part in ("test", "train"):
        members = predicted[part]
        n_groups = len(members) // size
        whole = members[: n_groups * size].reshape(n_groups, size, *members.shape[1:])
        found[part] = flat(whole if whole.shape[2] > 1 else whole[:, :, 0])
    return found


def tree_of(problem: Problem, trained: Draws, checkpoints: tuple[int, ...] = ()) -> xr.DataTree:
    """The trained networks as a ``DataTree``, curves at all checkpoints and predictions at the end."""
    end = problem.of_draws(last_of(trained)) if not problem.is_real else None
    stats = {name: np.asarray(value) for name, value in trained.stats.items()}
    shown = dataclasses.replace(last_of(trained), stats={n: v[:, -1:] for n, v in stats.items()})
    if end is None or end["test"].ndim > 4:
        tree = diagnostics.to_datatree(shown)
    else:
        tree = diagnostics.to_datatree(
            shown, end["test"], dataset=problem.dataset, train_log_probs=end["train"]
        )
    dims = ("network", "checkpoint")
    curves = {name: (dims, value) for name, value in stats.items()}
    curves["asked_epoch"] = (dims, asked_epochs(problem.config, stats["epoch"], checkpoints))
    tree["curves"] = xr.DataTree(xr.Dataset(curves))
    tree.attrs.update(trained.info)
    return tree


def asked_epochs(config: Config, epochs: np.ndarray, checkpoints: tuple[int, ...]) -> np.ndarray:
    """The checkpoints of every network, the end last; one that stopped earlier has its end there."""
    at = sorted({*checkpoints, config.max_epochs})
    if len(at) != epochs.shape[1]:
        return epochs
    return np.broadcast_to(np.asarray(at, dtype=np.float64), epochs.shape)


def _add(
    arms: dict[str, list[xr.Dataset]],
    wanted: tuple[str, ...],
    arm: str,
    problem: Problem,
    predicted: dict[str, Any],
) -> None:
    if arm in wanted:
        arms.setdefault(arm, []).append(problem.losses(arm, predicted))
