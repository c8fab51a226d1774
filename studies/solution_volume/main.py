"""What one run does, from the settings to the report."""

import shutil
import time
from functools import partial
from pathlib import Path

import xarray as xr

from bayes_vs_sgd import report, runs
from studies._functions import Problem, prepared, train, volume

from .config import Config, check
from .measures import FAMILIES, Work
from .networks import make, of_tree
from .results import read, table, verdict

POSTERIOR = "posterior"
# Where a cell that was killed goes on.
_PARTIAL = "partial"
# Beyond so many parameters the Hessian that Laplace's evidence needs takes more than a gigabyte.
_MOST_PARAMETERS = 12_000


def main(config: Config) -> None:
    """Run the study: both probabilities and the networks, what is measured around these, the verdict."""
    started = time.perf_counter()
    problem = prepare(config)
    first, second = cells(config), measured(config)
    if config.dry_run:
        print(describe(config, problem))
        return
    folder = runs.open_folder("solution_volume", config)
    print(
        f"solution volume of {problem.dataset.name}: {len(first)} + {len(second)} cells → {folder.path}"
    )
    for grid in (first, second):
        runs.run_cells(
            grid, partial(compute, config, problem, folder), folder, executor=config.executor
        )
    shutil.rmtree(folder.path / _PARTIAL, ignore_errors=True)
    results = read(config, problem, folder)
    rows, found = table(results), verdict(results)
    runs.write_results(folder, config, table=rows, verdict=found, seed=config.seed, started=started)
    page = report.write(folder)
    print(f"\n{found['statement']}")
    print(f"\n{page}   ({time.perf_counter() - started:.0f} s)")


def prepare(config: Config) -> Problem:
    """Everything that can be refused, before anything is computed or written.

    Raises:
        UserError: A setting, the device or the data are not possible.
    """
    with runs.refusals():
        problem = prepared(config, check)
        size = problem.network.n_parameters
        if size > _MOST_PARAMETERS:
            raise ValueError(
                f"hidden={config.hidden} makes {size} parameters, whose Hessian is too large for Laplace's "
                f"evidence; pass a network of at most {_MOST_PARAMETERS}."
            )
        return problem


def cells(config: Config) -> list[runs.Cell]:
    """The posterior, and of each way to train the counted functions and the networks."""
    found = [runs.Cell(POSTERIOR, {})]
    for training in config.trainings():
        found.append(runs.Cell(training.name, {"training": training}))
        found.append(runs.Cell(f"networks-{training.name}", {"networks": training}))
    return found


def measured(config: Config) -> list[runs.Cell]:
    """Every family of measures of the networks of each way to train, which must be there."""
    return [
        runs.Cell(f"{family}-{training.name}", {"family": family, "measured": training})
        for training in config.trainings()
        for family in FAMILIES
    ]


def compute(
    config: Config, problem: Problem, folder: runs.RunFolder, cell: runs.Cell
) -> xr.DataTree:
    """One cell, whose seed depends on its name alone."""
    seed, rest = cell.seed(config.seed), folder.path / _PARTIAL / cell.key
    rest.parent.mkdir(exist_ok=True)
    if "training" in cell.settings:
        training = cell.settings["training"]
        return train(problem, training, n_sgd=config.n_sgd, max_epochs=config.max_epochs, seed=seed)
    if "networks" in cell.settings:
        return make(config, problem, cell.settings["networks"], seed=seed, partial=rest)
    if "family" in cell.settings:
        return measure(config, problem, folder, cell, seed, rest)
    return volume(problem, config.estimator(), n_runs=config.n_runs, seed=seed)


def measure(
    config: Config,
    problem: Problem,
    folder: runs.RunFolder,
    cell: runs.Cell,
    seed: int,
    rest: Path,
) -> xr.DataTree:
    """A family of measures of the networks in the folder."""
    training = cell.settings["measured"]
    networks = of_tree(folder.read(f"networks-{training.name}"), problem)
    work = Work(config, problem, training, networks, seed, rest)
    return FAMILIES[cell.settings["family"]](work)


def describe(config: Config, problem: Problem) -> str:
    """What a run would compute."""
    return (
        f"{len(cells(config)) + len(measured(config))} cells: {config.n_runs} runs of splitting; for each of "
        f"{len(config.sgd)} ways to train {config.n_sgd} networks whose functions are counted and "
        f"{config.n_candidates} of which up to {config.n_functions * config.n_each} are measured, with "
        f"{problem.network.n_parameters} parameters on {problem.zero_one.n_train} rows. Nothing was computed or "
        "written."
    )
