"""What every estimator of function volume returns: log P(S) and P_B(f | S), run by run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8, UInt32
from scipy.special import logsumexp

from ...checks import require_count
from ...types import Estimate
from ..comparison.alignment import Alignment
from ..comparison.sampled import Sampled
from ..patterns import pack_bits, unpack
from ..table import count_rows, find_rows

# As many runs of equal weight carry an error, however many others weigh nothing.
_ENOUGH_RUNS = 20


@dataclass(frozen=True)
class FunctionPosterior:
    """P_B(f | S) and log P(S), from independent runs of one estimator.

    Run r says log Ê_r, with Ê_r unbiased for P(S), and p̂_r(f), its share of draws that make f, with
    Ê_r·p̂_r(f) unbiased for P(S, f). So with w_r = Ê_r/Σ Ê,

        P̂_B(f | S) = Σ_r w_r p̂_r(f),   sem² = R/(R − 1) Σ_r w_r² (p̂_r(f) − P̂_B(f | S))²,

    which is the error of a ratio of means over R runs.

    Attributes:
        words: Packed patterns of the functions found, each once, in rising order.
        shares: p̂_r(f), shape (n_runs, n_functions).
        log_evidences: log Ê_r.
        draws: The function of every draw of every run, as its place in ``words``; those of one run may
            depend on one another.
        n_test: Inputs of a pattern.
        n_classes: Classes.
        info: Facts on the runs.
        doubts: Why these numbers should not be trusted, a sentence each; empty where nothing speaks
            against them.
    """

    words: UInt32[np.ndarray, "n_functions words"]
    shares: Float[np.ndarray, "n_runs n_functions"]
    log_evidences: Float[np.ndarray, " n_runs"]
    draws: tuple[Int[np.ndarray, " n_draws"], ...]
    n_test: int
    n_classes: int = 2
    info: Mapping[str, Any] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        runs: Sequence[UInt32[np.ndarray, "n_draws words"]],
        log_evidences: Float[np.ndarray, " n_runs"],
        n_test: int,
        n_classes: int,
        *,
        weights: Sequence[Float[np.ndarray, " n_draws"]] | None = None,
        info: Mapping[str, Any] | None = None,
        doubts: Sequence[str] = (),
    ) -> "FunctionPosterior":
        """Of the patterns of all draws.

        Args:
            runs: Packed patterns of the draws of every run; a run may have none.
            log_evidences: log Ê_r of every run; −∞ where no draw fits.
            n_test: Inputs of a pattern.
            n_classes: Classes.
            weights: Of the draws of every run; equal by default.
            info: Facts on the runs.
            doubts: What is known to be wrong with them.
        """
        found, _ = count_rows(np.concatenate(runs))
        draws = tuple(find_rows(found, words) for words in runs)
        shares = np.zeros((len(runs), len(found)))
        for r, places in enumerate(draws):
            mass = np.ones(len(places)) if weights is None else np.asarray(weights[r])
            if mass.sum() > 0:
                np.add.at(shares[r], places, mass / mass.sum())
        values = np.asarray(log_evidences, float)
        return cls(
            found,
            shares,
            values,
            draws,
            n_test,
            n_classes,
            info or {},
            (*doubts, *_doubts(values)),
        )

    @property
    def n_runs(self) -> int:
        """Independent runs."""
        return len(self.log_evidences)

    @property
    def n_functions(self) -> int:
        """Functions found."""
        return len(self.words)

    @property
    def patterns(self) -> UInt8[np.ndarray, "n_functions n_test"]:
        """The class that every function gives to every test row."""
        return unpack(self.words, self.n_test, self.n_classes)

    @property
    def weights(self) -> Float[np.ndarray, " n_runs"]:
        """w_r = Ê_r/Σ Ê."""
        return np.exp(self.log_evidences - logsumexp(self.log_evidences))

    @property
    def log_evidence(self) -> Estimate:
        """Log P(S): log((1/R) Σ_r Ê_r), with the jackknife's error over runs."""
        return log_mean(self.log_evidences)

    @property
    def probability(self) -> Estimate:
        """P_B(f | S) of every function found."""
        w = self.weights
        value = w @ self.shares
        return Estimate(value, np.sqrt(_factor(w) * (w**2 @ (self.shares - value) ** 2)))

    @property
    def unweighted(self) -> "FunctionPosterior":
        """The runs that fit, each counting alike: (1/R) Σ_r p̂_r(f); its evidences are all 1.

        Where every run has frozen features of its own, that is P(f) of training last layers of random
        features, among the features that fit.

        Raises:
            ValueError: No run fits.
        """
        fit = np.isfinite(self.log_evidences)
        if not fit.any():
            raise ValueError("no run fits the training rows; there is nothing to average.")
        runs = np.flatnonzero(fit)
        draws = tuple(self.draws[r] for r in runs) if self.draws else ()
        return replace(
            self, shares=self.shares[runs], log_evidences=np.zeros(len(runs)), draws=draws
        )

    def pooled(self, n_groups: int) -> "FunctionPosterior":
        """Consecutive runs as one: of a group, Ê is the mean of Ê_r and p̂(f) is Σ Ê_r p̂_r(f)/Σ Ê_r.

        All estimates stay as they are; errors come from groups, and memory with them.

        Raises:
            ValueError: The runs are no multiple of the groups.
        """
        require_count("n_groups", n_groups)
        if self.n_runs % n_groups:
            raise ValueError(
                f"{self.n_runs} runs do not make n_groups={n_groups} groups of one size; pass a divisor."
            )
        evidences = self.log_evidences.reshape(n_groups, -1)
        log_evidences = logsumexp(evidences, axis=1) - np.log(evidences.shape[1])
        # A group in which no run fits has no shares.
        relative = np.exp(evidences - np.maximum(evidences.max(axis=1, keepdims=True), -1e300))
        relative /= np.maximum(relative.sum(axis=1, keepdims=True), np.finfo(float).tiny)
        groups = np.split(self.shares, n_groups)
        shares = np.stack([w @ mine for w, mine in zip(relative, groups, strict=True)])
        return replace(self, shares=shares, log_evidences=log_evidences, draws=())

    def probability_of(self, patterns: Int[np.ndarray, "m n_test"]) -> Estimate:
        """P_B(f | S) of given functions; 0 with a sem of 1/n where never found, n being ``n_effective``."""
        places = find_rows(self.words, pack_bits(np.asarray(patterns), self.n_classes))
        columns = np.where(places >= 0, places, 0)
        w, shares = self.weights, self.shares[:, columns] * (places >= 0)
        value = w @ shares
        sem = np.sqrt(_factor(w) * (w**2 @ (shares - value) ** 2))
        return Estimate(value, np.where(places >= 0, sem, 1 / self.n_effective))

    @property
    def n_effective(self) -> float:
        """Independent draws that would scatter as the runs do; see ``comparison.effective_draws``."""
        if self.n_runs < 2 or not np.isfinite(self.log_evidences).any():
            return 1.0
        return max(self.sampled().n_effective, 1.0)

    def sampled(self, alignment: Alignment | None = None) -> Sampled:
        """The runs as replicates that count by their evidence, for ``comparison.compare``.

        Args:
            alignment: With the functions of the other side, this one first; without, over ``words``.
        """
        shares = self.shares if alignment is None else alignment.a(self.shares)
        return Sampled(shares, log_evidences=self.log_evidences)

    def mean_of(self, values: Float[np.ndarray, "n_functions ..."]) -> Estimate:
        """The posterior mean of a property of the functions."""
        w = self.weights
        of_runs = np.tensordot(self.shares, values, 1)
        mean = np.tensordot(w, of_runs, 1)
        return Estimate(mean, np.sqrt(_factor(w) * np.tensordot(w**2, (of_runs - mean) ** 2, 1)))

    def mean_error(self, y_test: Int[np.ndarray, " n_test"]) -> Estimate:
        """The posterior mean of the share of test rows that a function gets wrong."""
        found = self.mean_of((self.patterns != np.asarray(y_test)).mean(axis=1))
        return Estimate(float(found.value), float(found.sem))


def log_mean(runs: Float[np.ndarray, " n_runs"]) -> Estimate:
    """log((1/R) Σ_r exp v_r), with the jackknife's error; NaN for a single run, or where none is finite."""
    n = len(runs)
    value = float(logsumexp(runs) - np.log(n))
    if n == 1 or not np.isfinite(value):
        return Estimate(value, float("nan"))
    without = np.array([logsumexp(np.delete(runs, r)) - np.log(n - 1) for r in range(n)])
    return Estimate(value, float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())))


def _factor(w: Float[np.ndarray, " n_runs"]) -> float:
    return len(w) / (len(w) - 1) if len(w) > 1 else float("nan")


def _doubts(log_evidences: Float[np.ndarray, " n_runs"]) -> list[str]:
    if not np.isfinite(log_evidences).any():
        return ["no draw of any run fits the training rows, so that nothing is known of P(S)"]
    w = np.exp(log_evidences - logsumexp(log_evidences))
    effective = 1 / (w**2).sum()
    if len(w) > 1 and effective < min(len(w) / 2, _ENOUGH_RUNS):
        return [
            f"the evidences of the {len(w)} runs differ so much that they weigh like {effective:.1f}; "
            "raise the particles, moves or draws of a run"
        ]
    return []
