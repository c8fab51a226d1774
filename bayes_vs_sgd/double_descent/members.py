"""Predictions of the members of an arm on rows whose targets are known."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from ..averaging import Regression, bma, calibration_gap, pointwise

Losses = dict[str, Float[np.ndarray, "replicate member n"]]


class Members(Protocol):
    """Predictions with the axes (replicate, member), and what they lose.

    A replicate is a repetition of a whole arm (a seed, a group of seeds, a chain), and a member is
    what one repetition holds.

    Attributes:
        fit: The loss that says whether training rows are fitted.
    """

    fit: ClassVar[str]

    def averaged(self) -> Self:
        """Every replicate predicts with the average of its members: one member is left."""
        ...

    def pooled(self) -> Self:
        """The average over all replicates and members: one of each is left."""
        ...

    def losses(self) -> Losses:
        """Metric → the loss of every member on every row."""
        ...

    def kept(self) -> dict[str, tuple[tuple[str, ...], Any]]:
        """What is stored of the last members' predictions, as variables of a data set."""
        ...


@dataclass(frozen=True)
class ClassMembers:
    """Log probabilities of classes.

    Losses are error, NLL, Brier score, the part of each row in the ECE
    (``averaging.calibration_gap``), and, where noisy labels are given, the first three on those under
    ``…_noisy``.

    Attributes:
        log_probs: Shape (replicate, member, n, c), or (replicate, member, n, length, c) for tokens.
        y: Classes, shape (n,), or (n, length).
        y_noisy: The labels with the noise of the training labels; None where there is none.
        pad: The token that counts for nothing; None where all count.
    """

    fit: ClassVar[str] = "error"
    log_probs: Float[np.ndarray, "replicate member n ..."]
    y: Int[np.ndarray, "n ..."]
    y_noisy: Int[np.ndarray, "n ..."] | None = None
    pad: int | None = 0

    def averaged(self) -> "ClassMembers":
        """Log (1/M) Σ_m p_m over the members of every replicate."""
        return replace(self, log_probs=np.stack([bma(one[None])[None] for one in self.log_probs]))

    def pooled(self) -> "ClassMembers":
        """Log (1/M) Σ_m p_m over the members of all replicates."""
        return replace(self, log_probs=bma(self.log_probs)[None, None])

    def losses(self) -> Losses:
        """Error, NLL, Brier score and calibration, replicate by replicate to save memory."""
        by_replicate = [self._losses(one) for one in self.log_probs]
        return {name: np.stack([one[name] for one in by_replicate]) for name in by_replicate[0]}

    def kept(self) -> dict[str, tuple[tuple[str, ...], Any]]:
        """``log_prob`` (replicate, test_point, class) of the last member."""
        if self.log_probs.ndim > 4:
            return {}
        last = self.log_probs[:, -1].astype(np.float32)
        return {"log_prob": (("replicate", "test_point", "class"), last)}

    def _losses(self, log_probs: np.ndarray) -> dict[str, np.ndarray]:
        found = dict(pointwise(log_probs, self.y, self.pad))
        found["ece"] = calibration_gap(log_probs, self.y, self.pad)
        if self.y_noisy is not None:
            noisy = pointwise(log_probs, self.y_noisy, self.pad)
            found |= {f"{name}_noisy": value for name, value in noisy.items()}
        return found


@dataclass(frozen=True)
class RealMembers:
    """Predictive distributions of real targets.

    Losses are those of ``averaging.Regression``: ``mse`` and ``nll``.

    Attributes:
        values: Predictions with the axes (replicate, member).
    """

    fit: ClassVar[str] = "mse"
    values: Regression

    @classmethod
    def of(
        cls,
        mean: Float[np.ndarray, "replicate member n ..."],
        std: float | Float[np.ndarray, "replicate member"],
        y: Float[np.ndarray, "n ..."],
    ) -> "RealMembers":
        """Members with a predictive N(mean, std²) each, independent over the components.

        Args:
            mean: Predictive means.
            std: Noise level: one number, or one of every member.
            y: Targets.
        """
        targets = np.asarray(y, np.float64).reshape(len(y), -1)
        means = np.asarray(mean, np.float64).reshape(*np.shape(mean)[:3], -1)
        level = np.broadcast_to(std, means.shape[:2])[:, :, None, None]
        log_density = stats.norm.logpdf(targets, means, level).sum(axis=-1)
        return cls(Regression(means, log_density, targets))

    def averaged(self) -> "RealMembers":
        """The mixture of the members of every replicate."""
        mean, density, y = self.values.mean, self.values.log_density, self.values.y
        pairs = zip(mean, density, strict=True)
        mixed = [Regression(m[None], d[None], y).bma() for m, d in pairs]
        means = np.stack([one.mean for one in mixed])[:, None]
        return RealMembers(
            Regression(means, np.stack([one.log_density for one in mixed])[:, None], y)
        )

    def pooled(self) -> "RealMembers":
        """The mixture of the members of all replicates."""
        mixed = self.values.bma()
        return RealMembers(
            Regression(mixed.mean[None, None], mixed.log_density[None, None], self.values.y)
        )

    def losses(self) -> Losses:
        """Squared error of the mean and negative log density."""
        return self.values.pointwise()

    def kept(self) -> dict[str, tuple[tuple[str, ...], Any]]:
        """``mean`` (replicate, test_point, output) of the last member."""
        last = self.values.mean[:, -1].astype(np.float32)
        return {"mean": (("replicate", "test_point", "output"), last)}
