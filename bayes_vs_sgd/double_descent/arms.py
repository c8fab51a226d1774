"""The five arms of the comparison: what is averaged, and what it is repeated over."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from ..averaging import bma, ece, pointwise
from ..types import Dataset

# Without all five one cannot tell what removed a peak: averaging, the prior or the noise.
ARMS = {
    "sgd": "SGD, one network",
    "deep_ensemble": "deep ensemble",
    "map": "MAP",
    "draw": "one posterior draw",
    "bma": "BMA",
}


@dataclass(frozen=True)
class Arm:
    """How member predictions become the predictions of an arm.

    Members have the axes (replicate, member): a replicate is a repetition of the whole arm (a seed,
    a group of seeds, a chain), and a member is what one repetition holds.

    Attributes:
        averaged: True: a replicate predicts with the average of its members (an ensemble, a BMA).
            False: its loss is the mean of its members' losses, what one member is expected to lose.
        pooled: True: the estimate averages over the replicates' predictions too, because they are
            parts of one average (chains of one BMA). False: it is the mean of their losses.
    """

    averaged: bool
    pooled: bool = False

    def losses(
        self,
        test: Float[np.ndarray, "replicate member n c"],
        train: Float[np.ndarray, "replicate member m c"],
        dataset: Dataset,
    ) -> xr.Dataset:
        """Everything that curves, intervals and comparisons need of this arm.

        Args:
            test: Members' log probabilities on the test rows.
            train: Members' log probabilities on the training rows.
            dataset: The labels.

        Returns:
            ``error``, ``nll``, ``brier`` with the axes (replicate, test_point), and the same of the
            estimate as ``…_estimate`` (test_point); ``train_error`` (replicate) and
            ``train_error_estimate``; ``ece`` (replicate) and ``ece_estimate``; ``log_prob``
            (replicate, test_point, class), the average or the last member.
        """
        predicted, fitted = self._predict(test), self._predict(train)
        calibration = np.array([ece(one, dataset.y_test).mean() for one in predicted])
        pooled = bma(test) if self.pooled else None
        variables: dict[str, tuple[tuple[str, ...], Any]] = {
            "log_prob": (("replicate", "test_point", "class"), predicted[:, -1].astype(np.float32)),
            "ece": (("replicate",), calibration),
            "ece_estimate": (
                (),
                calibration.mean() if pooled is None else ece(pooled, dataset.y_test),
            ),
        }
        for name, losses in _mean_over_members(predicted, dataset.y_test).items():
            estimate = (
                losses.mean(axis=0) if pooled is None else pointwise(pooled, dataset.y_test)[name]
            )
            variables[name] = (("replicate", "test_point"), losses.astype(np.float32))
            variables[f"{name}_estimate"] = (("test_point",), estimate.astype(np.float32))
        train_error = _mean_over_members(fitted, dataset.y_train)["error"].mean(axis=1)
        pooled_error = (
            pointwise(bma(train), dataset.y_train)["error"] if self.pooled else train_error
        )
        variables["train_error"] = (("replicate",), train_error)
        variables["train_error_estimate"] = ((), pooled_error.mean())
        return xr.Dataset(variables)

    def _predict(self, members: np.ndarray) -> np.ndarray:
        """Predictions with the axes (replicate, member, n, class); averaged, one member is left."""
        return np.stack([bma(one[None])[None] for one in members]) if self.averaged else members


def _mean_over_members(
    log_probs: Float[np.ndarray, "replicate member n c"], y: Int[np.ndarray, " n"]
) -> dict[str, Float[np.ndarray, "replicate n"]]:
    one_by_one = [pointwise(one, y) for one in log_probs]
    return {
        name: np.stack([one[name].mean(axis=0) for one in one_by_one]) for name in one_by_one[0]
    }
