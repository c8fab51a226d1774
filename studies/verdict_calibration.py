"""How often is the verdict of a second rise wrong?

Sweeps over the width of a linear model whose truth is a theorem: least squares of least norm has a
second rise, the Bayes-optimal ridge has none, and a flat curve with noise has none. Every sweep is
judged as a study judges its own, from a few replicates, and the wrong verdicts are counted: a false
positive is "present" where there is none, a false negative "absent" where there is one.
"""

import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from scipy import stats

from bayes_vs_sgd import (
    Dataset,
    Network,
    conjugate,
    data,
    double_descent,
    likelihoods,
    priors,
    runs,
    samplers,
)
from bayes_vs_sgd.double_descent import theory
from models import Linear

# Kind of sweep → the verdict that would be wrong for it.
WRONG = {"minimum_norm": "absent", "ridge": "present", "flat": "present"}
VERDICTS = ("present", "absent", "undecided")


@dataclass(frozen=True, kw_only=True)
class Config(runs.RunOptions):
    """Settings of the calibration of the verdict.

    Attributes:
        n_sweeps: Sweeps of each kind.
        n_replicates: Training sets that the curve of one sweep is the mean over.
        block: Sweeps in one cell.
        widths: Features used, increasing; none within 1 of n_train, where the risk is infinite.
        n_train: Training rows.
        n_features: Features that the target depends on.
        signal: Norm of its coefficients.
        noise_std: Standard deviation of the noise of the targets.
        flat_std: Standard deviation of a replicate about a flat curve.
        margin: A second rise of the risk below this counts as none.
        level: Confidence level of the intervals, of the verdicts and of the rates.
        n_bootstrap: Resamples of a verdict.
        seed: Root of all randomness.
    """

    n_sweeps: int = 200
    n_replicates: int = 10
    block: int = 50
    widths: tuple[int, ...] = (3, 8, 15, 22, 27, 33, 40, 60, 80)
    n_train: int = 30
    n_features: int = 80
    signal: float = 1.0
    noise_std: float = 0.5
    flat_std: float = 0.1
    margin: float = 0.2
    level: float = 0.95
    n_bootstrap: int = 2000
    seed: int = 0


PRESETS = {"quick": Config(), "full": Config(preset="full", n_sweeps=2000, block=100)}


def main(config: Config) -> None:
    """Run the study: every kind of sweep in blocks, then the rates of wrong verdicts."""
    started = time.perf_counter()
    prepare(config)
    grid = cells(config)
    if config.dry_run:
        print(f"{len(grid)} cells of up to {config.block} sweeps; nothing was computed or written.")
        return
    folder = runs.open_folder("verdict_calibration", config)
    print(f"calibration of the verdict: {len(grid)} cells → {folder.path}")
    runs.run_cells(grid, lambda cell: compute(config, cell), folder, executor=config.executor)
    table = rates(config, grid, folder)
    verdict = conclusion(config, table)
    runs.write_results(
        folder, config, table=table, verdict=verdict, seed=config.seed, started=started
    )
    print("\n" + table_text(table) + "\n")
    for sentence in verdict["statements"]:
        print(sentence)
    print(f"\n{folder.path}   ({time.perf_counter() - started:.0f} s)")


def prepare(config: Config) -> None:
    """Everything that can be refused, before anything is computed or written.

    Raises:
        UserError: A setting or the device is not possible.
    """
    with runs.refusals():
        check(config)
        samplers.use_devices(config.device)


def check(config: Config) -> None:
    """Refuse settings that make no sweep, or one without a second rise to find.

    Raises:
        ValueError: With the mend.
    """
    least = {"n_sweeps": 1, "n_replicates": 2, "block": 1, "n_train": 3, "n_bootstrap": 100}
    for name, minimum in least.items():
        if getattr(config, name) < minimum:
            raise ValueError(f"{name}={getattr(config, name)} is too few; pass at least {minimum}.")
    for name in ("signal", "noise_std", "flat_std", "margin"):
        if not 0 < getattr(config, name) < float("inf"):
            raise ValueError(f"{name}={getattr(config, name)} is not possible; pass more than 0.")
    if not 0 < config.level < 1:
        raise ValueError(f"level={config.level} is no confidence level; 0.95 is usual.")
    widths = config.widths
    if len(widths) < 3 or list(widths) != sorted(set(widths)):
        raise ValueError(
            f"widths={list(widths)} is no sweep; pass at least 3 different widths in increasing order."
        )
    if widths[0] < 1 or widths[-1] > config.n_features:
        raise ValueError(
            f"widths={list(widths)} must lie between 1 and n_features={config.n_features}; change one "
            "of them."
        )
    if any(abs(width - config.n_train) <= 1 for width in widths):
        raise ValueError(
            f"widths={list(widths)} has one within 1 of n_train={config.n_train}, where the expected risk "
            "is infinite; leave it out."
        )
    height = true_height(config)
    if height < config.margin:
        raise ValueError(
            f"the second rise of least squares at these widths is {height:.3g}, below "
            f"margin={config.margin}; lower the margin, or pass widths nearer to n_train={config.n_train}."
        )


def true_height(config: Config) -> float:
    """The second rise of the exact risk of least squares of least norm at the widths of the sweep."""
    exact = [
        theory.minimum_norm_risk(
            width,
            config.n_train,
            config.n_features,
            signal=config.signal,
            noise_std=config.noise_std,
        )
        for width in config.widths
    ]
    rises = [exact[k] - max(min(exact[:k]), min(exact[k + 1 :])) for k in range(1, len(exact) - 1)]
    return max(0.0, *rises)


def cells(config: Config) -> list[runs.Cell]:
    """Every kind of sweep, in blocks."""
    return [
        runs.Cell(
            f"{kind}-b{block}",
            {
                "kind": kind,
                "first": first,
                "stop": min(first + config.block, config.n_sweeps),
            },
        )
        for kind in WRONG
        for block, first in enumerate(range(0, config.n_sweeps, config.block))
    ]


def compute(config: Config, cell: runs.Cell) -> xr.DataTree:
    """One cell: simulate the sweeps of a block and judge each."""
    kind, sweeps = cell.settings["kind"], range(cell.settings["first"], cell.settings["stop"])
    curves, peaks = [], []
    for sweep in sweeps:
        root = np.random.SeedSequence([config.seed, list(WRONG).index(kind), sweep])
        risks = np.stack(
            [replicate(config, kind, child) for child in root.spawn(config.n_replicates)]
        )
        curves.append(risks.mean(axis=0))
        peaks.append(
            double_descent.peak(
                curves[-1],
                risks,
                complexity=config.widths,
                margin=config.margin,
                level=config.level,
                n_bootstrap=config.n_bootstrap,
                seed=config.seed,
            )
        )
    judged = xr.Dataset(
        {
            "curve": (("sweep", "width"), np.stack(curves)),
            "verdict": (("sweep",), np.array([p.verdict for p in peaks])),
            "height": (("sweep",), np.array([p.height for p in peaks])),
            "lower": (("sweep",), np.array([p.interval.lower for p in peaks])),
            "upper": (("sweep",), np.array([p.interval.upper for p in peaks])),
        },
        {"sweep": list(sweeps), "width": list(config.widths)},
    )
    counts = {name: sum(p.verdict == name for p in peaks) for name in VERDICTS}
    summary = ", ".join(f"{name} {count}" for name, count in counts.items())
    return xr.DataTree(judged.assign_attrs(summary=summary))


def replicate(config: Config, kind: str, root: np.random.SeedSequence) -> np.ndarray:
    """The expected test loss at every width, from one training set."""
    seed = int(root.generate_state(1)[0])
    if kind == "flat":
        return 1 + config.flat_std * np.random.default_rng(seed).normal(size=len(config.widths))
    dataset = data.isotropic(
        config.n_train,
        n_features=config.n_features,
        n_test=1,
        signal=config.signal,
        noise_std=config.noise_std,
        seed=seed,
    )
    fit = minimum_norm if kind == "minimum_norm" else ridge
    weights = [fit(config, width, dataset) for width in config.widths]
    return np.array(
        [
            data.isotropic_risk(
                w,
                n_features=config.n_features,
                signal=config.signal,
                noise_std=config.noise_std,
            )
            for w in weights
        ]
    )


def minimum_norm(config: Config, width: int, dataset: Dataset) -> np.ndarray:
    """Weights of least squares of least norm, where gradient descent from 0 ends."""
    network = lowered(config.n_features, width)
    return conjugate.minimum_norm(network, dataset).params["map.weight"][0, 0, 0]


def ridge(config: Config, width: int, dataset: Dataset) -> np.ndarray:
    """Weights of ridge regression with the prior and the noise of the truth.

    What the model does not see of the target is noise to it.
    """
    unseen = config.signal**2 * (1 - width / config.n_features)
    posterior = conjugate.posterior(
        lowered(config.n_features, width),
        dataset,
        likelihoods.Gaussian((config.noise_std**2 + unseen) ** 0.5),
        priors.Normal(config.signal / config.n_features**0.5),
    )
    return posterior.maximum().params["map.weight"][0, 0, 0]


@cache
def lowered(n_features: int, width: int) -> Network:
    """The network of one width."""
    return Network(Linear(n_features, width), np.zeros((2, n_features), np.float32))


def rates(config: Config, grid: list[runs.Cell], folder: runs.RunFolder) -> pd.DataFrame:
    """Counts of every verdict and rates with Clopper–Pearson intervals, one row a kind."""
    rows = []
    for kind, wrong in WRONG.items():
        verdicts = np.concatenate(
            [
                folder.read_group(cell.key)["verdict"].to_numpy()
                for cell in grid
                if cell.settings["kind"] == kind
            ]
        )
        counts = {name: int((verdicts == name).sum()) for name in VERDICTS}
        row: dict[str, str | int | float] = {
            "kind": kind, "second_rise": kind == "minimum_norm", "n_sweeps": len(verdicts), **counts,
        }  # fmt: skip
        for name, count in {"wrong": counts[wrong], "undecided": counts["undecided"]}.items():
            interval = stats.binomtest(count, len(verdicts)).proportion_ci(config.level, "exact")
            row |= {
                f"{name}_rate": count / len(verdicts),
                f"{name}_lower": interval.low,
                f"{name}_upper": interval.high,
            }
        rows.append(row)
    return pd.DataFrame(rows)


def conclusion(config: Config, table: pd.DataFrame) -> dict[str, Any]:
    """The rates by name, and what they say of the level in a sentence each."""
    promised = 1 - config.level
    kinds, statements = {}, []
    for row in table.to_dict("records"):
        name = "false negatives" if row["second_rise"] else "false positives"
        lower, upper = row["wrong_lower"], row["wrong_upper"]
        word = "as promised" if upper <= promised else "more than promised"
        if lower <= promised < upper:
            word = "too few sweeps to tell from what is promised"
        statements.append(
            f"{row['kind']}: {row['wrong_rate']:.1%} {name} ({config.level:.0%} interval {lower:.1%} to "
            f"{upper:.1%}), {word} (at most {promised:.1%}); {row['undecided_rate']:.1%} undecided."
        )
        kinds[row["kind"]] = {
            "second_rise": row["second_rise"],
            "n_sweeps": row["n_sweeps"],
            name.replace(" ", "_"): {"rate": row["wrong_rate"], "interval": [lower, upper]},
            "undecided": {
                "rate": row["undecided_rate"],
                "interval": [row["undecided_lower"], row["undecided_upper"]],
            },
        }
    return {"true_height": true_height(config), "kinds": kinds, "statements": statements}


def table_text(table: pd.DataFrame) -> str:
    """The table for the terminal."""

    def with_interval(row: pd.Series, name: str) -> str:
        rate, lower, upper = (row[f"{name}_{what}"] for what in ("rate", "lower", "upper"))
        return f"{rate:.3f} [{lower:.3f}, {upper:.3f}]"

    shown = table[["kind", "n_sweeps", *VERDICTS]].assign(
        wrong_rate=table.apply(with_interval, axis=1, name="wrong"),
        undecided_rate=table.apply(with_interval, axis=1, name="undecided"),
    )
    return shown.to_string(index=False)


if __name__ == "__main__":
    # More threads than one slow matrices this small down.
    torch.set_num_threads(1)
    runs.run_study(lambda: main(runs.parse(PRESETS, prog="python -m studies.verdict_calibration")))
