"""The result as lines for a terminal."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ..double_descent import ARMS

METRICS = {"error": "test error", "nll": "test NLL (nats)", "train_error": "train error"}


def table_text(table: pd.DataFrame) -> str:
    """Every arm's test error and NLL at every complexity, with standard errors."""
    lines = []
    for metric in ("error", "nll"):
        rows = table[table["metric"] == metric]
        shown = rows["value"].map("{:.3f}".format) + " ± " + rows["sem"].map("{:.3f}".format)
        wide = rows.assign(shown=shown).pivot(index="complexity", columns="arm", values="shown")
        wide = wide[[arm for arm in ARMS if arm in wide]].rename(columns=ARMS)
        lines += ["", f"{METRICS[metric]}, mean ± standard error", wide.to_string()]
    return "\n".join(lines)


def verdict_text(verdict: Mapping[str, Any]) -> str:
    """Convergence first, then the statement, then one line for every arm and metric."""
    lines = ["", verdict["statement"], ""]
    for arm, by_metric in verdict["arms"].items():
        for metric, entry in by_metric.items():
            lines.append(
                f"  {ARMS[arm]:<20} {metric:<6} {entry['verdict']:<10} {entry['statement']}"
            )
    return "\n".join(lines)
