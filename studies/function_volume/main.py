"""What one run does, from the settings to the report."""

import time

import numpy as np
import pandas as pd
import xarray as xr

from bayes_vs_sgd import report, runs
from bayes_vs_sgd.functions import pack_bits
from bayes_vs_sgd.functions.table import count_rows
from studies._functions import Problem, prepared, train, volume, volume_of

from .config import Config, check
from .difference import common
from .infinite import check_infinite, ep, nngp
from .results import read, table, verdict

# Functions shown on the terminal.
_SHOWN = 8


def main(config: Config) -> None:
    """Run the study: every estimator, every way to train, then the comparison and the report."""
    started = time.perf_counter()
    problem = prepare(config)
    grid, wide = cells(config), infinite_cells(config)
    if config.dry_run:
        print(describe(config, problem, [*grid, *wide]))
        return
    folder = runs.open_folder("function_volume", config)
    print(
        f"function volume of {problem.dataset.name}: {len(grid) + len(wide)} cells → {folder.path}"
    )
    runs.run_cells(
        grid, lambda cell: compute(config, problem, cell), folder, executor=config.executor
    )
    if wide:
        words = asked(config, problem, folder)
        runs.run_cells(
            wide,
            lambda cell: compute_infinite(config, problem, cell, words),
            folder,
            executor=config.executor,
        )
    results = read(config, problem, folder)
    rows, found = table(results), verdict(results)
    runs.write_results(folder, config, table=rows, verdict=found, seed=config.seed, started=started)
    page = report.write(folder)
    print("\n" + shown(rows) + "\n")
    print(found["statement"])
    print(f"\n{page}   ({time.perf_counter() - started:.0f} s)")


def prepare(config: Config) -> Problem:
    """Everything that can be refused, before anything is computed or written.

    Raises:
        UserError: A setting, the device or the data are not possible.
    """
    with runs.refusals():
        problem = prepared(config, check)
        if config.infinite:
            check_infinite(problem)
        return problem


def cells(config: Config) -> list[runs.Cell]:
    """One cell an estimator of the network itself, one a way to train."""
    return volume_cells(config.finite) + [
        runs.Cell(training.name, {"training": training}) for training in config.trainings()
    ]


def infinite_cells(config: Config) -> list[runs.Cell]:
    """One cell an estimator of the infinite network; they come last, being asked of functions found before."""
    return volume_cells(config.infinite)


def volume_cells(names: tuple[str, ...]) -> list[runs.Cell]:
    """One cell an estimator."""
    return [runs.Cell(f"volume-{name}", {"estimator": name}) for name in names]


def compute(config: Config, problem: Problem, cell: runs.Cell) -> xr.DataTree:
    """One cell, whose seed depends on its name alone."""
    seed = cell.seed(config.seed)
    if "estimator" in cell.settings:
        estimator = config.estimator(cell.settings["estimator"])
        return volume(problem, estimator, n_runs=config.n_runs, seed=seed)
    return train(
        problem,
        cell.settings["training"],
        n_sgd=config.n_sgd,
        max_epochs=config.max_epochs,
        seed=seed,
    )


def asked(config: Config, problem: Problem, folder: runs.RunFolder) -> np.ndarray:
    """The functions that the infinite network is asked about: the target, and what is common in the finite one."""
    found = volume_of(folder.read(f"volume-{config.estimators[0]}"), problem)
    target = pack_bits(problem.dataset.y_test[None])
    return count_rows(np.concatenate([target, common(found, config.n_compared)]))[0]


def compute_infinite(
    config: Config, problem: Problem, cell: runs.Cell, words: np.ndarray
) -> xr.DataTree:
    """One cell of the infinite network, whose seed depends on its name alone."""
    if cell.settings["estimator"] == "ep":
        return ep(problem, words).tree()
    seed = cell.seed(config.seed)
    return nngp(problem, words, n_draws=config.n_orthant, seed=seed).tree()


def describe(config: Config, problem: Problem, grid: list[runs.Cell]) -> str:
    """What a run would compute."""
    return (
        f"{len(grid)} cells: {len(config.finite)} estimators of {config.n_runs} runs, {len(config.infinite)} of "
        f"the network of infinite width, {len(config.sgd)} "
        f"trainings of {config.n_sgd} networks with {problem.network.n_parameters} parameters on "
        f"{problem.zero_one.n_train} rows; functions are told apart on {problem.zero_one.n_test}. Nothing was "
        "computed or written."
    )


def shown(rows: pd.DataFrame) -> str:
    """The most probable functions."""
    short = rows.head(_SHOWN).copy()
    short["function"] = [f"{f[:24]}…" if len(f) > 25 else f for f in short["function"]]
    return short[[c for c in short if not str(c).endswith("_sem")]].to_string(
        index=False, float_format=lambda value: f"{value:.3g}"
    )
