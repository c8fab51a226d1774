"""The five arms of the comparison: what is averaged, and what it is repeated over."""

from dataclasses import dataclass

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
        by_metric = self._pointwise(test, dataset.y_test)
        train_error = self._pointwise(train, dataset.y_train)["error"]
        predicted = self._predict(test) if self.averaged else test[:, -1]
        calibration = np.array([self._ece(members, dataset.y_test) for members in test])
        variables: dict[str, tuple[tuple[str, ...], np.ndarray]] = {
            "log_prob": (("replicate", "test_point", "class"), predicted.astype(np.float32)),
            "train_error": (("replicate",), train_error.mean(axis=1)),
            "train_error_estimate": ((), self._estimate(train, dataset.y_train)["error"].mean()),
            "ece": (("replicate",), calibration),
            "ece_estimate": (
                (),
                ece(bma(test), dataset.y_test) if self.pooled else calibration.mean(),
            ),
        }
        for name, losses in by_metric.items():
            variables[name] = (("replicate", "test_point"), losses.astype(np.float32))
        for name, losses in self._estimate(test, dataset.y_test).items():
            variables[f"{name}_estimate"] = (("test_point",), losses.astype(np.float32))
        return xr.Dataset(variables)

    def _predict(self, members: np.ndarray) -> np.ndarray:
        return np.stack([bma(one[None]) for one in members])

    def _pointwise(
        self, members: np.ndarray, y: Int[np.ndarray, " n"]
    ) -> dict[str, Float[np.ndarray, "replicate n"]]:
        if self.averaged:
            return pointwise(self._predict(members), y)
        one_by_one = [pointwise(one, y) for one in members]
        return {k: np.stack([one[k].mean(axis=0) for one in one_by_one]) for k in one_by_one[0]}

    def _estimate(
        self, members: np.ndarray, y: Int[np.ndarray, " n"]
    ) -> dict[str, Float[np.ndarray, " n"]]:
        if self.pooled:
            return pointwise(bma(members), y)
        return {name: value.mean(axis=0) for name, value in self._pointwise(members, y).items()}

    def _ece(self, members: np.ndarray, y: Int[np.ndarray, " n"]) -> float:
        return float(ece(bma(members[None]), y) if self.averaged else ece(members, y).mean())
