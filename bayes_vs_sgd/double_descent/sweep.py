"""A sweep over complexity: curves of every arm and metric, their intervals, and the verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from .arms import ARMS
from .peak import Interval, Peak, peak, reduction
from .resampling import resample
from .threshold import threshold

# Arms whose members are draws of a Markov chain.
SAMPLED_ARMS = ("draw", "bma")
CURVES = ("error", "nll", "brier", "train_error")


@dataclass(frozen=True)
class Sweep:
    """The losses of every arm over a sweep.

    Attributes:
        complexity: Increasing, shape (k,).
        arms: Arm → losses with the axes (split, complexity, ...), as ``Arm.losses`` names them.
        unconverged: Names of the sampled cells that have not converged.
    """

    complexity: Sequence[float]
    arms: Mapping[str, xr.Dataset]
    unconverged: Sequence[str] = ()

    @classmethod
    def of(
        cls,
        complexity: Sequence[float],
        arms: Mapping[str, Sequence[Sequence[xr.Dataset]]],
        unconverged: Sequence[str] = (),
    ) -> "Sweep":
        """Put cells together.

        Where networks failed, cells have fewer replicates: as many of each are kept as the smallest
        has, in their order. The estimates stay those of all that a cell has.

        Args:
            complexity: Increasing.
            arms: Arm → one row a split of one dataset a complexity.
            unconverged: Names of the sampled cells that have not converged.
        """
        whole = {}
        for arm, rows in arms.items():
            n = min(cell.sizes["replicate"] for row in rows for cell in row)
            kept = [[cell.isel(replicate=slice(n)) for cell in row] for row in rows]
            by_split = [xr.concat(row, dim="complexity") for row in kept]
            whole[arm] = xr.concat(by_split, dim="split")
        return cls(complexity, whole, unconverged)

    def curve(self, arm: str, metric: str) -> np.ndarray:
        """The estimate at every complexity, averaged over test points and splits."""
        estimate = self.arms[arm][f"{metric}_estimate"]
        return estimate.mean(dim=[d for d in estimate.dims if d != "complexity"]).to_numpy()

    def replicates(self, arm: str, metric: str) -> np.ndarray:
        """(split, replicate, complexity, point) as ``peak`` takes it; one point for train_error."""
        values = self.arms[arm][metric]
        if "test_point" not in values.dims:
            values = values.expand_dims("test_point")
        return values.transpose("split", "replicate", "complexity", "test_point").to_numpy()

    def table(self, *, level: float = 0.95, seed: int = 0) -> pd.DataFrame:
        """One row for every complexity, arm and metric: value, standard error, pointwise interval."""
        z = stats.norm.ppf((1 + level) / 2)
        rows = []
        for arm in self.arms:
            for metric in CURVES:
                values = self.curve(arm, metric)
                replicates = self.replicates(arm, metric)
                resampled = resample(_with_rows(replicates), seed=seed)
                errors = resampled.deviations(None).std(axis=0)
                halves = z * resampled.deviations(level).std(axis=0)
                for row in zip(self.complexity, values, errors, halves, strict=True):
                    c, value, error, half = row
                    rows.append((c, arm, metric, value, error, max(value - half, 0), value + half))
        columns = ["complexity", "arm", "metric", "value", "sem", "lower", "upper"]
        return pd.DataFrame(rows, columns=columns)

    def peaks(
        self, margins: Mapping[str, float], *, level: float = 0.95, seed: int = 0
    ) -> dict[str, dict[str, Peak]]:
        """Arm → metric → its second rise, all on the same resamples of the test points."""
        return {
            arm: {
                metric: peak(
                    self.curve(arm, metric),
                    self.replicates(arm, metric),
                    complexity=self.complexity,
                    margin=margin,
                    level=level,
                    converged=arm not in SAMPLED_ARMS or not self.unconverged,
                    seed=seed,
                )
                for metric, margin in margins.items()
            }
            for arm in self.arms
        }

    def verdict(
        self, margins: Mapping[str, float], *, level: float = 0.95, seed: int = 0
    ) -> dict[str, Any]:
        """Everything the sweep says, as plain numbers and sentences."""
        peaks = self.peaks(margins, level=level, seed=seed)
        fits = threshold(self.complexity, self.curve("sgd", "train_error").tolist())
        return {
            "converged": not self.unconverged,
            "unconverged_cells": list(self.unconverged),
            "statement": statement(peaks, self.unconverged),
            "level": level,
            "margins": dict(margins),
            "interpolation_threshold": fits,
            "arms": {
                arm: {
                    metric: _entry(one, peaks["sgd"][metric]) for metric, one in by_metric.items()
                }
                for arm, by_metric in peaks.items()
            },
        }


def statement(peaks: Mapping[str, Mapping[str, Peak]], unconverged: Sequence[str]) -> str:
    """What the verdicts say together; convergence comes first."""
    sentences = []
    if unconverged:
        sentences.append(
            f"Not converged: {', '.join(unconverged)}; what is said of posterior draws and the BMA "
            "rests on unconverged chains."
        )
    for metric in next(iter(peaks.values())):
        by_verdict: dict[str, list[str]] = {"present": [], "absent": [], "undecided": []}
        for arm, by_metric in peaks.items():
            by_verdict[by_metric[metric].verdict].append(ARMS[arm])
        parts = [f"{name} for {', '.join(arms)}" for name, arms in by_verdict.items() if arms]
        name = {"nll": "test NLL", "error": "test error"}.get(metric, metric)
        sentences.append(f"Second rise of the {name}: {'; '.join(parts)}.")
        sentences += _attribution({arm: p[metric].verdict for arm, p in peaks.items()}, name)
    return " ".join(sentences)


def _attribution(verdicts: Mapping[str, str], metric: str) -> list[str]:
    """What the arms without a rise have in common; nothing where SGD shows none."""
    if verdicts.get("sgd") != "present":
        return []
    said = []
    if verdicts.get("draw") == "absent":
        said.append("One posterior draw has none either, so averaging is not needed to remove it.")
    if verdicts.get("draw") == "present" and verdicts.get("bma") == "absent":
        said.append("One posterior draw still has it, so it is the averaging that removes it.")
    if verdicts.get("map") == "absent":
        said.append("The MAP under the same prior has none, so no posterior spread is needed.")
    if verdicts.get("map") == "present":
        said.append("The MAP still has it, so the prior alone does not remove it.")
    if verdicts.get("deep_ensemble") == "present":
        said.append(
            "The deep ensemble still has it, so averaging SGD's networks does not remove it."
        )
    if verdicts.get("deep_ensemble") == "absent":
        said.append("The deep ensemble has none, so averaging SGD's networks is enough.")
    return [f"({metric}) {' '.join(said)}"] if said else []


def _entry(one: Peak, reference: Peak) -> dict[str, Any]:
    lower_by, interval = (
        reduction(reference, one)
        if len(one.bootstrap) == len(reference.bootstrap)
        else (float("nan"), Interval(float("nan"), float("nan")))
    )
    return {
        "verdict": one.verdict,
        "height": one.height,
        "interval": list(one.interval),
        "complexity": one.complexity,
        "margin": one.margin,
        "converged": one.converged,
        "statement": one.statement,
        "lower_than_sgd": {"value": lower_by, "interval": list(interval)},
    }


def _with_rows(replicates: np.ndarray) -> np.ndarray:
    """Without test points to resample (train error), only the replicates or splits."""
    no_points = replicates.shape[-1] == 1 and len(replicates) == 1
    return replicates[0, ..., 0] if no_points else replicates
