"""What one run does, from the settings to the report."""

import time

import pandas as pd
import xarray as xr

from bayes_vs_sgd import report, runs, samplers
from studies._functions import Problem, train, volume

from .config import Config, check
from .results import read, table, verdict

# Functions shown on the terminal.
_SHOWN = 8


def main(config: Config) -> None:
    """Run the study: every estimator, every way to train, then the comparison and the report."""
    started = time.perf_counter()
    problem = prepare(config)
    grid = cells(config)
    if config.dry_run:
        print(describe(config, problem, grid))
        return
    folder = runs.open_folder("function_volume", config)
    print(f"function volume of {problem.dataset.name}: {len(grid)} cells → {folder.path}")
    runs.run_cells(
        grid, lambda cell: compute(config, problem, cell), folder, executor=config.executor
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
        check(config)
        samplers.use_devices(config.device)
        problem = Problem.of(config)
        # Made here, so that what cannot be exported or told apart is refused here.
        problem.zero_one  # noqa: B018
        return problem


def cells(config: Config) -> list[runs.Cell]:
    """One cell an estimator, one a way to train."""
    volumes = [runs.Cell(f"volume-{name}", {"estimator": name}) for name in config.estimators]
    return volumes + [
        runs.Cell(training.name, {"training": training}) for training in config.trainings()
    ]


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


def describe(config: Config, problem: Problem, grid: list[runs.Cell]) -> str:
    """What a run would compute."""
    return (
        f"{len(grid)} cells: {len(config.estimators)} estimators of {config.n_runs} runs, {len(config.sgd)} "
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
