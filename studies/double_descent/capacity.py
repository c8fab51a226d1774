"""The effective model complexity of SGD's training procedure, by its definition."""

from typing import Any

import numpy as np
import xarray as xr

from bayes_vs_sgd import double_descent, runs

from .config import Config
from .methods.descent import train
from .problem import Problem


def fitted(problem: Problem) -> xr.DataTree:
    """Training errors of SGD on different numbers of rows, the first of the same ones.

    Along epochs networks do not stop, and the errors are those of all places.
    """
    config = problem.config
    along = config.axis == "epochs"
    places = tuple(int(e) for e in config.values if e <= config.max_epochs) if along else ()
    errors = []
    for n in config.capacity_rows:
        trained = train(problem.first_rows(n), checkpoints=places, stops=not along)
        errors.append(np.asarray(trained.stats["train_error"])[:, -max(len(places), 1) :])
    values = np.stack(errors, axis=1)
    dims = ("replicate", "n_rows", "place")
    tree = xr.DataTree()
    tree["capacity"] = xr.DataTree(
        xr.Dataset({"train_error": (dims, values)}, coords={"n_rows": list(config.capacity_rows)})
    )
    tree.attrs["summary"] = "train error on " + ", ".join(
        f"{n} rows {e:.3f}"
        for n, e in zip(config.capacity_rows, values[..., -1].mean(0), strict=True)
    )
    if places:
        tree.attrs["places"] = np.asarray(places, dtype=np.float64)
    return tree


def capacities(
    config: Config, cells: list[runs.Cell], folder: runs.RunFolder
) -> list[dict[str, Any]]:
    """The effective model complexity at every place, over seeds and splits, with its interval."""
    by_place: dict[float, list[np.ndarray]] = {}
    for cell in cells:
        errors = folder.read_group(cell.key, "capacity")["train_error"].to_numpy()
        places = np.atleast_1d(
            folder.read_group(cell.key).attrs.get("places", cell.settings["value"])
        )
        for k, place in enumerate(places):
            by_place.setdefault(float(place), []).append(errors[..., k])
    rows = []
    for place, found_there in sorted(by_place.items()):
        found = double_descent.effective_model_complexity(
            config.capacity_rows,
            np.concatenate(found_there),
            epsilon=config.epsilon,
            level=config.level,
            seed=config.seed,
        )
        rows.append({"complexity": place, "value": found.value, "interval": list(found.interval)})
    return rows
