"""What one run does, from the settings to the report."""

import shutil
import time
from pathlib import Path

import jax
import numpy as np
import xarray as xr

import models
from bayes_vs_sgd import Network, functions, priors, report, runs, samplers
from bayes_vs_sgd.data.boolean import boolean_inputs

from .config import Config, check
from .results import table, verdict

PERCEPTRON = "perceptron"
# Where a cell that was killed goes on.
_PARTIAL = "partial"


def main(config: Config) -> None:
    """Run the study: every prior and the perceptron, then the verdict and the report."""
    started = time.perf_counter()
    prepare(config)
    grid = cells(config)
    if config.dry_run:
        print(describe(config, grid))
        return
    folder = runs.open_folder("simplicity_bias", config)
    print(f"simplicity bias: {len(grid)} cells → {folder.path}")
    partial = folder.path / _PARTIAL
    runs.run_cells(
        grid,
        lambda cell: compute(config, cell, partial / cell.key),
        folder,
        executor=config.executor,
    )
    shutil.rmtree(partial, ignore_errors=True)
    priors_found = {value: counts_of(folder.read(key(value)), config) for value in config.sigma_w}
    perceptron = counts_of(folder.read(PERCEPTRON), config)
    rows, found = table(config, priors_found), verdict(config, priors_found, perceptron)
    runs.write_results(folder, config, table=rows, verdict=found, seed=config.seed, started=started)
    page = report.write(folder)
    print(f"\n{found['statement']}")
    print(f"\n{page}   ({time.perf_counter() - started:.0f} s)")


def prepare(config: Config) -> None:
    """Everything that can be refused, before anything is computed or written.

    Raises:
        UserError: A setting or the device is not possible.
    """
    with runs.refusals():
        check(config)
        samplers.use_devices(config.device)


def key(sigma_w: float) -> str:
    """The name of a prior's cell."""
    return f"prior-{sigma_w:g}"


def cells(config: Config) -> list[runs.Cell]:
    """One cell a prior, and the perceptron."""
    found = [runs.Cell(key(value), {"sigma_w": value}) for value in config.sigma_w]
    return [*found, runs.Cell(PERCEPTRON, {})]


def describe(config: Config, grid: list[runs.Cell]) -> str:
    """What a run would compute."""
    network, _ = problem(config, config.sigma_w[0])
    return (
        f"{len(grid)} cells: {config.n_draws:,} draws of each of {len(config.sigma_w)} priors of "
        f"{network.n_parameters} parameters and of a perceptron, on {2**config.n_variables} inputs. Nothing was "
        "computed or written."
    )


def problem(config: Config, sigma_w: float | None) -> tuple[Network, priors.Prior]:
    """The network and its prior; the perceptron without a bias for None."""
    n = config.n_variables
    if sigma_w is None:
        return Network(models.Perceptron(n, bias=False), boolean_inputs(n)[:1]), priors.Normal()
    network = models.MLP(n, config.width, 1, config.depth, activation=config.activation)
    return (
        Network(network, boolean_inputs(n)[:1]),
        priors.FanIn(std=sigma_w, bias_std=config.sigma_b),
    )


def compute(config: Config, cell: runs.Cell, partial: Path) -> xr.DataTree:
    """One cell, whose seed depends on its name alone: the functions of independent draws, counted."""
    network, prior = problem(config, cell.settings.get("sigma_w"))
    counts = functions.sample_prior(
        jax.random.key(cell.seed(config.seed)),
        network,
        prior,
        boolean_inputs(config.n_variables),
        n_draws=config.n_draws,
        checkpoint=partial,
    )
    tree = xr.DataTree(
        xr.Dataset(
            {"words": (("function", "word"), counts.words), "count": ("function", counts.counts)}
        )
    )
    tree.attrs["summary"] = f"{counts.total:,} draws, {counts.n_functions:,} functions"
    return tree


def counts_of(tree: xr.DataTree, config: Config) -> functions.FunctionCounts:
    """The counts that a cell holds."""
    return functions.FunctionCounts(
        tree["words"].to_numpy().astype(np.uint32),
        tree["count"].to_numpy().astype(np.int64),
        2**config.n_variables,
    )
