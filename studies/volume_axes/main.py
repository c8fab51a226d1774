"""What one run does, from the settings to the report."""

import time
from collections.abc import Mapping
from dataclasses import replace

import jax
import numpy as np
import xarray as xr

from bayes_vs_sgd import functions, report, runs, samplers
from studies._functions import Problem, train, volume

from .config import Config
from .places import Place, places
from .results import complexity_of, read, table, verdict


def main(config: Config) -> None:
    """Run the study: posterior and every way to train at every value, then the comparisons and the report."""
    started = time.perf_counter()
    problems = prepare(config)
    grid = cells(problems)
    if config.dry_run:
        print(describe(config, problems, grid))
        return
    folder = runs.open_folder("volume_axes", config)
    print(f"function volume along {config.axis}: {len(grid)} cells → {folder.path}")
    runs.run_cells(
        grid, lambda cell: compute(config, problems, cell), folder, executor=config.executor
    )
    print("comparing …")
    found = verdict(config, [read(*one, folder) for one in problems.items()])
    runs.write_results(
        folder, config, table=table(found), verdict=found, seed=config.seed, started=started
    )
    page = report.write(folder)
    print(f"\n{found['statement']}")
    print(f"\n{page}   ({time.perf_counter() - started:.0f} s)")


def prepare(config: Config) -> dict[Place, Problem]:
    """Everything that can be refused, before anything is computed or written.

    Raises:
        UserError: A setting, the device or the data are not possible.
    """
    with runs.refusals():
        found = places(config)
        samplers.use_devices(config.device)
        problems = {place: Problem.of(place.config) for place in found}
        for problem in problems.values():
            # Made here, so that what cannot be exported, told apart or measured is refused here.
            problem.zero_one  # noqa: B018
            complexity_of(config, problem)
        return problems


def cells(problems: Mapping[Place, Problem]) -> list[runs.Cell]:
    """One cell a posterior, one a way to train, at every value."""
    found: dict[str, runs.Cell] = {}
    for place in problems:
        found[place.volume] = runs.Cell(place.volume, {"place": place})
        for training in place.config.trainings():
            key = place.trained(training)
            found[key] = runs.Cell(key, {"place": place, "training": training})
    return list(found.values())


def compute(config: Config, problems: Mapping[Place, Problem], cell: runs.Cell) -> xr.DataTree:
    """One cell, whose seed depends on its name alone."""
    place, seed = cell.settings["place"], cell.seed(config.seed)
    problem = problems[place]
    if "training" not in cell.settings:
        return posterior(config, place, problem, seed)
    training = cell.settings["training"]
    return train(problem, training, n_sgd=config.n_sgd, max_epochs=config.max_epochs, seed=seed)


def posterior(config: Config, place: Place, problem: Problem, seed: int) -> xr.DataTree:
    """The posterior by multilevel splitting, or why none was found: the other problems go on."""
    estimator = place.config.estimator("splitting")
    if isinstance(estimator, functions.SMC):
        estimator = replace(estimator, max_rungs=config.max_rungs)
    try:
        # Evidences may all be 0 but one, and then have no error; ``results.too_few`` says so.
        with np.errstate(invalid="ignore"):
            return volume(problem, estimator, n_runs=config.n_runs, seed=seed)
    except RuntimeError as error:
        # What XLA cannot do, such as finding memory, is no finding about the prior.
        if isinstance(error, jax.errors.JaxRuntimeError):
            raise
        attributes = {"failure": str(error), "summary": "no posterior found"}
        return xr.DataTree(xr.Dataset(attrs=attributes))


def describe(config: Config, problems: Mapping[Place, Problem], grid: list[runs.Cell]) -> str:
    """What a run would compute."""
    n_volumes = sum("training" not in cell.settings for cell in grid)
    values = "; ".join(
        f"{place.name}: {problem.network.n_parameters} parameters, {problem.zero_one.n_train} rows, told apart on "
        f"{problem.zero_one.n_test}"
        for place, problem in problems.items()
    )
    return (
        f"{len(grid)} cells: {n_volumes} posteriors by {config.n_runs} runs of {config.n_particles} particles and "
        f"{len(grid) - n_volumes} times {config.n_sgd} networks along {config.axis}. {values}. Nothing was "
        "computed or written."
    )
