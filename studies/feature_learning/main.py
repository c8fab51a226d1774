"""What one run does, from the settings to the report."""

import time

import xarray as xr

from bayes_vs_sgd import report, runs
from studies._functions import Problem, prepared

from . import arms, widths
from .config import Config, check
from .results import table, verdict


def main(config: Config) -> None:
    """Run the study: every arm, every width, then the comparisons and the report."""
    started = time.perf_counter()
    problem = prepared(config, check)
    grid = cells(config)
    if config.dry_run:
        print(describe(config, problem, grid))
        return
    folder = runs.open_folder("feature_learning", config)
    print(f"feature learning of {problem.dataset.name}: {len(grid)} cells → {folder.path}")
    runs.run_cells(
        grid, lambda cell: compute(config, problem, cell), folder, executor=config.executor
    )
    with runs.refusals():
        found = arms.read(config, problem, {name: folder.read(name) for name in arms.CELLS})
    moved = {
        cell.key: {**cell.settings, **folder.read(cell.key).attrs}
        for cell in grid
        if "width" in cell.settings
    }
    rows = table(config, problem, found)
    said = verdict(config, problem, found, folder, moved)
    runs.write_results(folder, config, table=rows, verdict=said, seed=config.seed, started=started)
    page = report.write(folder)
    print("\n" + said["statement"])
    print(f"\n{page}   ({time.perf_counter() - started:.0f} s)")


def key(parameterization: str, width: int) -> str:
    """The name of a cell of networks whose movement is measured."""
    return f"{parameterization}-{width}"


def cells(config: Config) -> list[runs.Cell]:
    """One cell an arm, one a width of a parameterization."""
    grid = [runs.Cell(name, {}) for name in arms.CELLS]
    return grid + [
        runs.Cell(key(name, width), {"parameterization": name, "width": width})
        for name in config.parameterizations
        for width in sorted(config.widths)
    ]


def compute(config: Config, problem: Problem, cell: runs.Cell) -> xr.DataTree:
    """One cell, whose seed depends on its name alone."""
    seed = cell.seed(config.seed)
    if "width" in cell.settings:
        return widths.compute(config, problem, **cell.settings, seed=seed)
    return arms.compute(config, problem, cell.key, seed)


def describe(config: Config, problem: Problem, grid: list[runs.Cell]) -> str:
    """What a run would compute."""
    return (
        f"{len(grid)} cells: {len(arms.CELLS)} arms on {problem.zero_one.n_train} training and "
        f"{problem.zero_one.n_test} test rows, {config.n_features} draws of random features, 2 × {config.n_sgd} runs "
        f"of SGD; {config.n_networks} networks of each of {len(config.widths)} widths in "
        f"{len(config.parameterizations)} parameterizations. Nothing was computed or written."
    )
