"""A sweep along one axis: the curves of every arm and metric, with their intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from .arms import arm
from .axes import Axis
from .peak import Rise
from .resampling import Center, resample

_ESTIMATE = "_estimate"
# Variables of an arm that are no losses.
_NO_CURVE = ("log_prob", "mean")


@dataclass(frozen=True)
class Sweep:
    """The losses of every arm along an axis.

    Attributes:
        axis: What is swept.
        arms: Arm → losses with the axes (split, complexity, ...), as ``Arm.losses`` names them; the
            coordinate ``complexity`` says where on the axis. Arms need not have the same places.
        unconverged: Arm → names of its cells that have not converged.
        center: What a curve is over replicates, or over splits where there are several.
    """

    axis: Axis
    arms: Mapping[str, xr.Dataset]
    unconverged: Mapping[str, Sequence[str]] = field(default_factory=dict)
    center: Center = "mean"

    @classmethod
    def of(
        cls,
        axis: Axis,
        arms: Mapping[str, Sequence[Mapping[float, xr.Dataset]]],
        unconverged: Mapping[str, Sequence[str]] | None = None,
        center: Center = "mean",
    ) -> "Sweep":
        """Put cells together.

        Where networks failed, cells have fewer replicates: as many of each are kept as the smallest
        has, in their order. The estimates stay those of all that a cell has.

        Args:
            axis: What is swept.
            arms: Arm → for each split the losses by place on the axis.
            unconverged: Arm → names of its cells that have not converged.
            center: What a curve is over replicates.
        """
        whole = {}
        for name, splits in arms.items():
            n = min(cell.sizes["replicate"] for split in splits for cell in split.values())
            by_split = []
            for split in splits:
                places = sorted(split)
                kept = [split[place].isel(replicate=slice(n)) for place in places]
                row = xr.concat(kept, dim="complexity", join="override")
                by_split.append(row.assign_coords(complexity=np.array(places, dtype=np.float64)))
            whole[name] = xr.concat(by_split, dim="split", join="override")
        return cls(axis, whole, dict(unconverged or {}), center)

    def metrics(self, arm: str) -> list[str]:
        """What is known of an arm, in its order."""
        names = [str(name) for name in self.arms[arm].data_vars]
        return [n for n in names if f"{n}{_ESTIMATE}" in names and n not in _NO_CURVE]

    def complexity(self, arm: str) -> list[float]:
        """Where on the axis an arm was measured."""
        return self.arms[arm]["complexity"].to_numpy().tolist()

    def curve(self, arm: str, metric: str) -> np.ndarray:
        """The estimate at every place, over test points and the centre of splits or replicates."""
        if self.center == "median":
            rows = self._rows(arm, metric)
            if rows is not None:
                return np.median(rows, axis=0)
        estimate = self.arms[arm][f"{metric}{_ESTIMATE}"]
        return estimate.mean(dim=[d for d in estimate.dims if d != "complexity"]).to_numpy()

    def replicates(self, arm: str, metric: str) -> np.ndarray:
        """(split, replicate, complexity, point) as ``peak`` takes it; one point for train losses."""
        values = self.arms[arm][metric]
        if "test_point" not in values.dims:
            values = values.expand_dims("test_point")
        return values.transpose("split", "replicate", "complexity", "test_point").to_numpy()

    def rise(self, arm: str, metric: str, *, seed: int = 0) -> Rise:
        """The curve with its resamples, to be judged at any level."""
        return Rise.of(
            self.curve(arm, metric),
            _with_rows(self.replicates(arm, metric)),
            complexity=self.complexity(arm),
            kind=self.axis.kind,
            center=self.center,
            axis=self.axis.name,
            seed=seed,
        )

    def table(self, *, level: float = 0.95, seed: int = 0) -> pd.DataFrame:
        """One row for every place, arm and metric.

        ``value`` with its standard error ``sem`` and pointwise interval ``lower`` to ``upper``; and
        the ``median`` of the replicates (of the splits, where there are several) with
        ``median_lower`` to ``median_upper``, order statistics that hold it whatever the
        distribution: for where means do not exist. These are NaN where there are too few, fewer
        than 6 at 95 %.
        """
        parts = [
            pd.DataFrame(self._columns(arm, metric, level, seed))
            for arm in self.arms
            for metric in self.metrics(arm)
        ]
        return pd.concat(parts, ignore_index=True)

    def _columns(self, arm: str, metric: str, level: float, seed: int) -> dict[str, object]:
        values = self.curve(arm, metric)
        replicates = _with_rows(self.replicates(arm, metric))
        resampled = resample(replicates, seed=seed, center=self.center)
        half = stats.norm.ppf((1 + level) / 2) * resampled.deviations(level).std(axis=0)
        least = 0 if replicates.min() >= 0 else -np.inf
        rows = self._rows(arm, metric)
        rows = self._by_replicate(arm, metric) if rows is None else rows
        lower, upper = median_interval(rows, level)
        return {
            "complexity": self.complexity(arm),
            "arm": arm,
            "metric": metric,
            "value": values,
            "sem": resampled.deviations(None).std(axis=0),
            "lower": np.maximum(values - half, least),
            "upper": values + half,
            "median": np.median(rows, axis=0),
            "median_lower": lower,
            "median_upper": upper,
        }

    def _by_replicate(self, arm: str, metric: str) -> np.ndarray:
        return self.replicates(arm, metric)[0].mean(axis=-1)

    def _rows(self, arm_name: str, metric: str) -> np.ndarray | None:
        """Independent values of the curve: splits, or replicates; None where these make up one."""
        estimate = self.arms[arm_name][f"{metric}{_ESTIMATE}"]
        if estimate.sizes["split"] > 1:
            inner = [d for d in estimate.dims if d == "test_point"]
            return estimate.mean(dim=inner).transpose("split", "complexity").to_numpy()
        return None if arm(arm_name).pooled else self._by_replicate(arm_name, metric)


def median_interval(
    rows: np.ndarray, level: float
) -> tuple[np.ndarray | float, np.ndarray | float]:
    """Order statistics between which the median lies with probability ``level`` at least.

    P(x_(k) ≤ median ≤ x_(m+1−k)) ≥ 1 − 2·P(Binomial(m, ½) < k), with the largest k for which that
    is at least ``level``.

    Args:
        rows: Independent values, shape (m, ...).
        level: Confidence level.

    Returns:
        Lower and upper end, shape (...); NaN where m is too small.
    """
    m = len(rows)
    k = int(stats.binom.ppf((1 - level) / 2, m, 0.5))
    if k < 1:
        return np.full(rows.shape[1:], np.nan), np.full(rows.shape[1:], np.nan)
    ordered = np.sort(rows, axis=0)
    return ordered[k - 1], ordered[m - k]


def _with_rows(replicates: np.ndarray) -> np.ndarray:
    """Without test points to resample (train losses), only the replicates or splits."""
    no_points = replicates.shape[-1] == 1 and len(replicates) == 1
    return replicates[0, ..., 0] if no_points else replicates
