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
from .results import statement, table, verdict

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
    folder.write_text("summary.csv", table(config, priors_found).to_csv(index=False))
    found = verdict(config, priors_found, perceptron)
    folder.write_json("verdict.json", found)
    folder.write_json(
        "provenance.json", runs.provenance_of(config, config.seed, time.perf_counter() - started)
    )
    page = report.write(folder)
    print(f"\n{statement(found)}")
    print(f"\n{page}   ({time.perf_counter() - started:.0f} s)")


def prepare(config: Config) -> None:
    """Everything that can be refused, before anything is computed or written.

    Raises:
        UserError: A setting or the device is not possible.
    """
    try:
        check(config)
        samplers.use_devices(config.device)
    except (ValueError, RuntimeError) as error:
        raise runs.UserError(str(error)) from error


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
    n_parameters = sum(int(np.prod(shape)) for shape in network.shapes.values())
    return (
        f"{len(grid)} cells: {config.n_draws:,} draws of each of {len(config.sigma_w)} priors of "
        f"{n_parameters} parameters and of a perceptron, on {2**config.n_variables} inputs. Nothing was "
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
    entropy = [config.seed, *cell.key.encode()]
    seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
    network, prior = problem(config, cell.settings.get("sigma_w"))
    counts = functions.sample_prior(
        jax.random.key(seed),
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
