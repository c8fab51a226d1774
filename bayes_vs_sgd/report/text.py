"""The result as lines for a terminal, and what numbers and metrics look like."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..double_descent import ARMS, arm, split_variant

METRICS = {
    "error": "test error",
    "nll": "test NLL (nats)",
    "brier": "test Brier score",
    "ece": "test ECE",
    "mse": "test mean squared error",
    "error_noisy": "test error, noisy labels",
    "nll_noisy": "test NLL, noisy labels (nats)",
    "brier_noisy": "test Brier score, noisy labels",
    "log_evidence": "log evidence (nats)",
    "train_error": "train error",
    "train_mse": "train mean squared error",
}
_ON_THE_TERMINAL = ("error", "nll", "mse")


def number(value: float, sem: float) -> str:
    """A value with its standard error; large ones with an exponent."""
    if not np.isfinite(value):
        return "unknown"
    if max(abs(value), sem if np.isfinite(sem) else 0) >= 1000:
        return f"{value:.3g} ± {sem:.2g}"
    return f"{value:.3f} ± {sem:.3f}"


def label(name: str) -> str:
    """What an arm is called."""
    return arm(name).label


def in_order(names: Any) -> list[str]:
    """Arms in the order of the registry, variants by their value behind all others."""
    order = list(ARMS)
    keys = {n: split_variant(n) for n in dict.fromkeys(names)}
    return sorted(
        keys, key=lambda n: (keys[n][1] or "", order.index(keys[n][0]), np.nan_to_num(keys[n][2]))
    )


def table_text(table: pd.DataFrame) -> str:
    """Every arm's test error and NLL (or mean squared error) at every place, with standard errors."""
    lines = []
    for metric in _ON_THE_TERMINAL:
        rows = table[table["metric"] == metric]
        if rows.empty:
            continue
        shown = [number(v, s) for v, s in zip(rows["value"], rows["sem"], strict=True)]
        wide = rows.assign(shown=shown).pivot(index="complexity", columns="arm", values="shown")
        wide = wide[in_order(wide)].rename(columns=label).fillna("")
        wide.index = pd.Index([f"{c:g}" for c in wide.index], name="")
        lines += ["", f"{METRICS[metric]}, value ± standard error", wide.to_string()]
    return "\n".join(lines)


def verdict_text(verdict: Mapping[str, Any]) -> str:
    """Convergence first, then the statement, then one line for every arm and metric."""
    lines = ["", verdict["statement"], ""]
    for name, by_metric in verdict["arms"].items():
        for metric, entry in by_metric.items():
            if metric in _ON_THE_TERMINAL:
                lines.append(
                    f"  {label(name):<28} {metric:<6} {entry['verdict']:<10} {entry['statement']}"
                )
    return "\n".join(lines)
