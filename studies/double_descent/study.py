"""The grid of cells, how each is computed, and how they become one sweep."""

import dataclasses
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from bayes_vs_sgd import Dataset, averaging, double_descent, functions, runs
from bayes_vs_sgd.double_descent import split_variant, variant

from .capacity import fitted
from .config import AXES, Config
from .methods import METHODS, VARIED, Found
from .methods.maxima import scaled
from .problem import Problem, first_rows

# The cell that measures the effective model complexity; it has no arms.
CAPACITY = "capacity"


@dataclass(frozen=True)
class Study:
    """The grid of cells and how each kind is computed."""

    config: Config
    device: str
    datasets: list[Dataset]

    def cells(self) -> list[runs.Cell]:
        """Every method at every place on every split, with its variants."""
        config = self.config
        cells = []
        for split in range(config.n_splits):
            for value in config.values if config.axis != "epochs" else (None,):
                place = "" if value is None else f"-{_letter(config.axis)}{value:g}"
                for method in self.methods():
                    for change in self.changes(method):
                        key = f"{method}{change and f'@{change}'}{place}-s{split}"
                        settings = {
                            "method": method,
                            "change": change,
                            "value": value,
                            "split": split,
                        }
                        cells.append(runs.Cell(key, settings))
        return cells

    def methods(self) -> list[str]:
        """The methods that the arms need, and what measures capacity."""
        wanted = set(self.config.arm_names)
        found = [name for name, method in METHODS.items() if wanted & set(method.arms)]
        return found + ([CAPACITY] if self.config.capacity_rows else [])

    def changes(self, method: str) -> list[str]:
        """The variants of a method, "" being the method itself."""
        found = [""]
        if self.arms(method, "T"):
            found += [f"T{t:g}" for t in self.config.tempered]
        if self.arms(method, "prior"):
            found += [f"prior{f:g}" for f in self.config.prior_factors]
        return found

    def arms(self, method: str, kind: str = "") -> tuple[str, ...]:
        """The arms wanted of a method, or those of them that have a kind of variant."""
        if method == CAPACITY:
            return ()
        possible = VARIED[kind].get(method, ()) if kind else METHODS[method].arms
        return tuple(name for name in self.config.arm_names if name in possible)

    def arm_names(self) -> list[str]:
        """All arms, the variants behind them."""
        names = list(self.config.arm_names)
        for method in self.methods():
            for change in self.changes(method)[1:]:
                _, kind, value = split_variant(f"@{change}")
                names += [variant(arm, str(kind), value) for arm in self.arms(method, str(kind))]
        return names

    def compute(self, cell: runs.Cell) -> xr.DataTree:
        """One cell: train, maximise or sample, and keep what its arms need."""
        problem = self.problem(cell)
        method, change = cell.settings["method"], cell.settings["change"]
        if method == CAPACITY:
            return fitted(problem)
        _, kind, _ = split_variant(f"@{change}")
        wanted = self.arms(method, kind or "")
        epochs = tuple(map(int, self.config.values)) if self.config.axis == "epochs" else None
        found = METHODS[method].compute(problem, wanted, epochs)
        return _kept(found, problem, cell.settings["value"])

    def problem(self, cell: runs.Cell) -> Problem:
        """What a cell works on."""
        config, split = self.config, cell.settings["split"]
        value, change = cell.settings["value"], cell.settings["change"]
        here = config if value is None else config.at(value)
        dataset = self.datasets[split]
        if cell.settings["method"] != CAPACITY:
            dataset = first_rows(dataset, here.n_train)
        _, kind, factor = split_variant(f"@{change}")
        if kind == "T":
            here = dataclasses.replace(here, temperature=factor * here.temperature)
        method = self._number(cell.settings["method"])
        entropy = [config.seed, split, *_integers(value), method]
        seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        problem = Problem(here, dataset, split, seed, self.device)
        if kind == "prior":
            problem = dataclasses.replace(problem, config=scaled(problem, factor))
        return problem

    def _number(self, method: str) -> int:
        return [*METHODS, CAPACITY].index(method)


def assemble(study: Study, folder: runs.RunFolder) -> double_descent.Sweep:
    """All cells of a run as one sweep."""
    config = study.config
    by_arm: dict[str, list[dict[float, xr.Dataset]]] = {
        arm: [{} for _ in range(config.n_splits)] for arm in study.arm_names()
    }
    unconverged: dict[str, list[str]] = {}
    for cell in study.cells():
        change = cell.settings["change"]
        _, kind, factor = split_variant(f"@{change}")
        attributes = folder.read_group(cell.key).attrs
        places = np.atleast_1d(attributes.get("places", []))
        for base in study.arms(cell.settings["method"], kind or ""):
            arm = variant(base, kind, factor) if kind else base
            losses = folder.read_group(cell.key, f"arms/{base}")
            found = by_arm[arm][cell.settings["split"]]
            if cell.settings["value"] is not None:
                found[cell.settings["value"]] = losses.isel(place=0)
            else:
                found |= {float(p): losses.isel(place=k) for k, p in enumerate(places)}
            if double_descent.arm(arm).sampled:
                bad = _unconverged(cell.key, attributes, places)
                unconverged.setdefault(arm, []).extend(bad)
    axis = double_descent.AXES[config.axis]
    return double_descent.Sweep.of(axis, by_arm, unconverged, config.center)


def fidelity(sweep: double_descent.Sweep) -> list[dict[str, float | str]]:
    """Agreement and total variation of every arm to the BMA of the reference, at every place.

    Of the first split. Without a BMA of classes there is none.
    """
    if "bma" not in sweep.arms or "log_prob" not in sweep.arms["bma"]:
        return []
    rows: list[dict[str, float | str]] = []
    reference_at = {
        c: sweep.arms["bma"]["log_prob"].isel(split=0, complexity=k).to_numpy()
        for k, c in enumerate(sweep.complexity("bma"))
    }
    for arm, losses in sweep.arms.items():
        for k, place in enumerate(sweep.complexity(arm)):
            if place not in reference_at:
                continue
            reference = averaging.bma(reference_at[place][:, None])
            predictions = losses["log_prob"].isel(split=0, complexity=k).to_numpy()
            same = functions.agreement(predictions, reference)
            apart = functions.total_variation(predictions, reference)
            rows.append(
                {
                    "arm": arm,
                    "complexity": place,
                    "agreement": same.value,
                    "agreement_sem": same.sem,
                    "total_variation": apart.value,
                    "total_variation_sem": apart.sem,
                }
            )
    return rows


def _kept(found: Found, problem: Problem, place: float | None) -> xr.DataTree:
    """What a cell stores: its tree, the losses of its arms, and what is said of it."""
    tree = found.tree
    for arm, losses in found.arms.items():
        tree[f"arms/{arm}"] = xr.DataTree(xr.concat(losses, dim="place", join="override"))
    if found.places:
        tree.attrs["places"] = np.asarray(found.places, dtype=np.float64)
    if found.converged:
        tree.attrs["converged_places"] = np.asarray(found.converged, dtype=np.int64)
        tree.attrs["converged"] = int(all(found.converged))
    if place is not None:
        tree.attrs["place"] = place
    tree.attrs["n_parameters"] = problem.network.n_parameters
    tree.attrs["summary"] = _summary(found)
    return tree


def _summary(found: Found) -> str:
    """A few words on a finished cell."""
    parts = []
    for arm, losses in found.arms.items():
        metric = "mse" if "mse" in losses[-1] else "error"
        value = float(losses[-1][f"{metric}_estimate"].mean())
        parts.append(f"{double_descent.arm(arm).label} {value:.3f}")
    r_hat = found.tree.attrs.get("rhat")
    return f"{', '.join(parts)}" + (f", R-hat {r_hat:.3f}" if r_hat is not None else "")


def _unconverged(key: str, attributes: Any, places: np.ndarray) -> list[str]:
    converged = np.atleast_1d(attributes.get("converged_places", []))
    if len(places) == 0:
        return [] if converged.all() else [key]
    return [f"{key} at {p:g}" for p, good in zip(places, converged, strict=True) if not good]


def _integers(value: float | None) -> list[int]:
    """A value as whole numbers that seed: itself where it is one, else its bits."""
    if value is None:
        return [0]
    if value == int(value):
        return [int(value)]
    return [int.from_bytes(struct.pack(">d", value))]


def _letter(axis: str) -> str:
    """What a cell's name has before its place."""
    return "w" if axis == "width" else f"{AXES[axis].name}-"
