"""What one run does, from the settings to the report."""

import os
import time

import torch

from bayes_vs_sgd import Dataset, double_descent, report, runs, samplers

from .capacity import capacities
from .config import Config, check
from .cost import describe
from .problem import build, has_gains, load
from .stand_in import shapes
from .study import CAPACITY, Study, assemble, fidelity


def main(config: Config) -> None:
    """Run the study: every cell of method × place × split, then the verdict and the report."""
    started = time.perf_counter()
    study = Study(config, *prepare(config))
    if config.dry_run:
        print(describe(study))
        return
    folder = runs.open_folder("double_descent", config)
    cells = study.cells()
    print(f"double descent on {study.datasets[0].name}: {len(cells)} cells → {folder.path}")
    runs.run_cells(cells, study.compute, folder, executor=config.executor)
    sweep = assemble(study, folder)
    with runs.refusals():
        verdict = double_descent.verdict(
            sweep, config.margins, level=config.level, epsilon=config.epsilon, seed=config.seed
        )
    measured = [cell for cell in cells if cell.settings["method"] == CAPACITY]
    verdict["effective_model_complexity"] = capacities(config, measured, folder)
    table = sweep.table(level=config.level, seed=config.seed)
    folder.write_json("fidelity.json", fidelity(sweep))
    runs.write_results(
        folder, config, table=table, verdict=verdict, seed=config.seed, started=started
    )
    page = report.write(folder)
    print(report.table_text(table))
    print(report.verdict_text(verdict))
    print(f"\n{page}   ({time.perf_counter() - started:.0f} s)")


def prepare(config: Config) -> tuple[str, list[Dataset]]:
    """Everything that can be refused, before anything is computed or written.

    Raises:
        UserError: A setting, the device or the data are not possible.
    """
    with runs.refusals():
        check(config)
        device = samplers.use_devices(config.device)
        if config.model in ("cnn", "resnet18"):
            torch.set_num_threads(len(os.sched_getaffinity(0)))
        rows = [config.n_train, *config.capacity_rows]
        if config.axis == "samples":
            rows = [*config.samples, *config.capacity_rows]
        needed = shapes if config.dry_run else load
        datasets = [needed(config, split, max(rows)) for split in range(config.n_splits)]
        for value in config.values if config.axis != "epochs" else (0,):
            module = build(config.at(value) if value else config, datasets[0])
            if config.initial == "torch" and has_gains(module):
                raise ValueError(
                    f"initial='torch' knows no start of the normalizations of {config.model}; pass 'he' "
                    "or 'prior'."
                )
        if config.batch_size > max(rows):
            raise ValueError(
                f"batch_size={config.batch_size} exceeds the {max(rows)} training rows; pass at most "
                f"{max(rows)}."
            )
        return device, datasets
