"""The arms of the comparison: what is averaged, and what it is repeated over."""

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from .members import Members


@dataclass(frozen=True)
class Arm:
    """How the predictions of members become the predictions of an arm.

    Attributes:
        label: What it is called in tables and figures.
        averaged: True: a replicate predicts with the average of its members (an ensemble, a BMA).
            False: its loss is the mean of its members' losses, what one member is expected to lose.
        pooled: True: the estimate averages over the replicates' predictions too, because they are
            parts of one average (chains of one BMA). False: it is the mean of their losses.
        sampled: Whether the members are draws of Markov chains, whose convergence is in question.
    """

    label: str = ""
    averaged: bool = False
    pooled: bool = False
    sampled: bool = False

    def losses(self, test: Members, train: Members) -> xr.Dataset:
        """Everything that curves, intervals and comparisons need of this arm.

        Args:
            test: Members' predictions on the test rows.
            train: Members' predictions on the training rows.

        Returns:
            Every loss of ``test`` with the axes (replicate, test_point), and the same of the estimate
            as ``…_estimate`` (test_point); the loss that says whether training rows are fitted, as
            ``train_error`` or ``train_mse`` (replicate) and its estimate; what ``kept`` has of the
            averaged or last member.
        """
        predicted, fitted = (m.averaged() if self.averaged else m for m in (test, train))
        variables: dict[str, tuple[tuple[str, ...], Any]] = dict(predicted.kept())
        pooled = test.pooled().losses() if self.pooled else None
        for name, losses in predicted.losses().items():
            by_replicate = losses.mean(axis=1)
            estimate = by_replicate.mean(axis=0) if pooled is None else pooled[name][0, 0]
            variables[name] = (("replicate", "test_point"), by_replicate.astype(np.float32))
            variables[f"{name}_estimate"] = (("test_point",), estimate.astype(np.float32))
        fit = fitted.fit
        errors = fitted.losses()[fit].mean(axis=(1, 2))
        pooled_error = train.pooled().losses()[fit].mean() if self.pooled else errors.mean()
        variables[f"train_{fit}"] = (("replicate",), errors)
        variables[f"train_{fit}_estimate"] = ((), pooled_error)
        return xr.Dataset(variables)


# Without the first five one cannot tell what removed a peak: averaging, the prior or the noise.
ARMS = {
    "sgd": Arm("SGD, one network"),
    "deep_ensemble": Arm("deep ensemble", averaged=True),
    "map": Arm("MAP"),
    "draw": Arm("one posterior draw", sampled=True),
    "bma": Arm("BMA", averaged=True, pooled=True, sampled=True),
    "sgd_early": Arm("SGD, stopped early"),
    "swa": Arm("SWA"),
    "swag": Arm("SWAG", averaged=True),
    "multiswag": Arm("MultiSWAG", averaged=True),
    "laplace": Arm("Laplace", averaged=True),
    "map_tuned": Arm("MAP, tuned weight decay"),
    "nuts": Arm("BMA by NUTS", averaged=True, pooled=True, sampled=True),
    "mclmc": Arm("BMA by MCLMC ensemble", averaged=True, pooled=True, sampled=True),
    "sghmc": Arm("BMA by SGHMC", averaged=True, pooled=True, sampled=True),
    "csgld": Arm("BMA by cyclical SGLD", averaged=True, pooled=True, sampled=True),
    "smc": Arm("BMA by tempered SMC", averaged=True, pooled=True),
    "min_norm": Arm("minimum norm, exact"),
    "exact_map": Arm("ridge (MAP), exact"),
    "exact_draw": Arm("one posterior draw, exact"),
    "exact_bma": Arm("BMA, exact", averaged=True, pooled=True),
}
FIVE = tuple(ARMS)[:5]

# What a variant of an arm changes: its sign in the arm's name, and in words.
VARIANTS = {"T": "T = {:g}", "prior": "prior × {:g}"}


def variant(name: str, kind: str, value: float) -> str:
    """The name of an arm at another temperature or width of the prior, such as ``"bma@T0.1"``."""
    return f"{name}@{kind}{value:g}"


def split_variant(name: str) -> tuple[str, str | None, float]:
    """The arm, and what is varied to which value; ``("bma", "T", 0.1)`` for ``"bma@T0.1"``."""
    base, _, change = name.partition("@")
    found = re.fullmatch(r"([A-Za-z]+)([\d.e+-]+)", change)
    return (base, found[1], float(found[2])) if found else (base, None, float("nan"))


def arm(name: str) -> Arm:
    """The arm of a name, with or without a variant.

    Raises:
        KeyError: There is none.
    """
    base, kind, value = split_variant(name)
    if kind is None:
        return ARMS[base]
    return replace(ARMS[base], label=f"{ARMS[base].label}, {VARIANTS[kind].format(value)}")
