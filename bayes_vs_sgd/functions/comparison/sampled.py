"""A distribution over functions that is known by samples, in independent replicates."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from ...checks import require_count

# Single-precision weights of many functions sum to 1 about that well.
_SUM_TOLERANCE = 1e-4
# The hypergeometric draws of NumPy end there.
_MOST_DRAWS = 10**9


@dataclass(frozen=True)
class Sampled:
    """Frequencies of functions in replicates that are independent of one another.

    A replicate is a run of SMC or of multilevel splitting, a chain, or a block of SGD runs. Every
    error of this package comes from how far the replicates lie apart, so nothing is asked of the
    draws inside of one.

    Runs of SMC find an evidence each, and a run counts by it: only Ê_r·w_r is without bias, for
    P(S, f), and the pooled distribution is the ratio Σ_r Ê_r·w_r/Σ_r Ê_r.

    Attributes:
        weights: Frequencies, shape (n_replicates, n_functions), at least 0, each row of sum 1. Rows
            are scaled to that sum to the last digit.
        n_draws: Independent draws that each row counts, shape (n_replicates,), almost equal in
            number; None where the draws of a replicate depend on one another or are weighted.
        log_evidences: log Ê_r of every row, −∞ for a run without draws, whose row is not read; None
            where all rows count alike, or by their draws.

    Raises:
        ValueError: The weights are no frequencies, or ``n_draws`` or ``log_evidences`` does not belong
            to them.
    """

    weights: Float[np.ndarray, "n_replicates n_functions"]
    n_draws: Int[np.ndarray, " n_replicates"] | None = None
    log_evidences: Float[np.ndarray, " n_replicates"] | None = None

    def __post_init__(self) -> None:
        weights = np.asarray(self.weights, dtype=np.float64)
        if self.log_evidences is not None:
            weights = _with_evidence(weights, np.asarray(self.log_evidences, dtype=np.float64))
            if self.n_draws is not None:
                raise ValueError("n_draws and log_evidences exclude one another; pass one of them.")
        _check_weights(weights)
        object.__setattr__(self, "weights", weights / weights.sum(axis=1, keepdims=True))
        if self.n_draws is not None:
            n_draws = np.asarray(self.n_draws)
            _check_draws(self.weights, n_draws)
            object.__setattr__(self, "n_draws", n_draws.astype(np.int64))

    @classmethod
    def independent(
        cls, counts: Int[np.ndarray, " n_functions"], *, n_replicates: int = 32, seed: int = 0
    ) -> "Sampled":
        """Counts of independent draws, dealt at random into blocks of equal size, give or take one.

        Independent draws are exchangeable, so the blocks are as independent as if they had been
        counted one by one.

        Args:
            counts: How often each function was drawn.
            n_replicates: Blocks.
            seed: Of the dealing.

        Raises:
            ValueError: The counts are no counts, or fewer than the blocks, or 10⁹ and more.
        """
        counts = np.asarray(counts)
        require_count("n_replicates", n_replicates, least=2)
        _check_counts(counts, n_replicates)
        rng, left, total = np.random.default_rng(seed), counts.astype(np.int64), int(counts.sum())
        n_draws = np.diff(np.arange(n_replicates + 1) * total // n_replicates)
        rows = np.zeros((n_replicates, len(counts)), np.int64)
        for row, n in zip(rows[:-1], n_draws[:-1], strict=True):
            row[:] = rng.multivariate_hypergeometric(left, n)
            left = left - row
        rows[-1] = left
        return cls(rows / n_draws[:, None], n_draws)

    @property
    def n_replicates(self) -> int:
        """Number of replicates."""
        return self.weights.shape[0]

    @property
    def n_functions(self) -> int:
        """Number of functions in the table, found or not."""
        return self.weights.shape[1]

    @cached_property
    def shares(self) -> Float[np.ndarray, " n_replicates"]:
        """What every replicate counts in the pooled distribution: by draws, by evidence, or equally."""
        if self.log_evidences is not None:
            relative = np.exp(self.log_evidences - self.log_evidences.max())
            return relative / relative.sum()
        if self.n_draws is None:
            return np.full(self.n_replicates, 1 / self.n_replicates)
        return self.n_draws / self.n_draws.sum()

    @cached_property
    def probabilities(self) -> Float[np.ndarray, " n_functions"]:
        """The pooled distribution Σ_r share_r·w_r."""
        return self.shares @ self.weights

    @cached_property
    def moves(self) -> Float[np.ndarray, "n_replicates n_functions"]:
        """What each of R replicates, counted alike, says: p̂ + R·share_r·(w_r − p̂), of mean p̂.

        They are the weights themselves where all count alike. Otherwise they are what the pooled
        distribution is to first order in every replicate, so that their spread is its error; an entry
        may then be negative.
        """
        if np.ptp(self.shares) == 0:
            return self.weights
        factor = self.n_replicates * self.shares[:, None]
        return self.probabilities + factor * (self.weights - self.probabilities)

    @cached_property
    def counts(self) -> Int[np.ndarray, " n_functions"] | None:
        """Independent draws of every function; None where they are not independent."""
        if self.n_draws is None:
            return None
        return np.rint(self.n_draws[:, None] * self.weights).astype(np.int64).sum(axis=0)

    @cached_property
    def gram(self) -> Float[np.ndarray, "n_replicates n_replicates"]:
        """Products Σ_f m_rf·m_sf of what the replicates say (``moves``)."""
        return self.moves @ self.moves.T

    @property
    def n_effective(self) -> float:
        """Independent draws that would be known as well: their number, or ``effective_draws``."""
        if self.n_draws is not None:
            return float(self.n_draws.sum())
        return effective_draws(self.gram)

    def pooled(
        self, chosen: Bool[np.ndarray, " n_replicates"]
    ) -> Float[np.ndarray, " n_functions"]:
        """The pooled distribution of some of the replicates; 0 of runs without draws alone."""
        shares = self.shares * chosen
        total = shares.sum()
        return (shares / total if total > 0 else shares) @ self.weights

    def subset(self, chosen: Bool[np.ndarray, " n_replicates"]) -> "Sampled":
        """Some of the replicates."""
        n_draws, evidences = self.n_draws, self.log_evidences
        return Sampled(
            self.weights[chosen],
            None if n_draws is None else n_draws[chosen],
            None if evidences is None else evidences[chosen],
        )


def effective_draws(gram: Float[np.ndarray, "n_replicates n_replicates"]) -> float:
    """Independent draws whose frequencies would scatter as the replicates do, all of them together.

    With n independent draws a replicate, E Σ_f w_rf² = Σ_f P_f² + (1 − Σ_f P_f²)/n, and between two
    replicates E Σ_f w_rf·w_sf = Σ_f P_f². Hence, with the means d over the diagonal and o off it, n
    = (1 − o)/(d − o) and R·n is returned. Common functions weigh most in it. Replicates that are
    equal to the last digit count one draw each, which is all that can be known of them.

    Args:
        gram: Products of at least two replicates.
    """
    n = len(gram)
    diagonal = np.trace(gram) / n
    between = (gram.sum() - np.trace(gram)) / (n * (n - 1))
    # Below that the difference is rounding.
    if diagonal - between <= 1e-14 * diagonal:
        return float(n)
    return float(n * (1 - between) / (diagonal - between))


def require_pair(p: Sampled, q: Sampled, *, least: int = 4) -> None:
    """Refuse two distributions that are not over one table, or are of too few replicates.

    Raises:
        ValueError: They differ in the number of functions, or one has fewer than ``least``
            replicates, or no draws in half of them.
    """
    if p.n_functions != q.n_functions:
        raise ValueError(
            f"p has {p.n_functions} functions and q {q.n_functions}; bring them to one table by align."
        )
    for name, side in (("p", p), ("q", q)):
        if side.n_replicates < least:
            raise ValueError(
                f"{name} has {side.n_replicates} replicates, too few for an error; pass at least {least} "
                "independent runs, or deal independent draws into blocks by Sampled.independent."
            )
        n_empty = int((side.shares == 0).sum())
        if n_empty >= side.n_replicates // 2:
            raise ValueError(
                f"{n_empty} of the {side.n_replicates} runs of {name} have no draws; less than half of them may."
            )


def _with_evidence(weights: np.ndarray, log_evidences: np.ndarray) -> np.ndarray:
    """The weights, those of a run without draws in equal parts."""
    if log_evidences.shape != weights.shape[:1]:
        raise ValueError(
            f"log_evidences has shape {log_evidences.shape}; pass one for each of the {len(weights)} replicates."
        )
    without = np.isneginf(log_evidences)
    if not np.isfinite(log_evidences[~without]).all() or without.all():
        raise ValueError(
            "log_evidences must be finite, or −∞ for runs without draws, not for all of them."
        )
    return np.where(without[:, None], 1 / max(weights.shape[-1], 1), weights)


def _check_weights(weights: np.ndarray) -> None:
    if weights.ndim != 2 or 0 in weights.shape:
        raise ValueError(
            f"weights has shape {weights.shape}; pass (n_replicates, n_functions), neither of them 0."
        )
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError("weights holds negative or not finite numbers; pass frequencies.")
    off = np.abs(weights.sum(axis=1) - 1)
    if off.max() > _SUM_TOLERANCE:
        row = int(off.argmax())
        raise ValueError(
            f"row {row} of weights sums to {weights[row].sum():.6g}; divide every row by its sum."
        )


def _check_draws(weights: np.ndarray, n_draws: np.ndarray) -> None:
    if n_draws.shape != (len(weights),) or not np.issubdtype(n_draws.dtype, np.integer):
        raise ValueError(
            f"n_draws has shape {n_draws.shape} and type {n_draws.dtype}; pass one integer for each of "
            f"the {len(weights)} replicates."
        )
    if n_draws.min() < 1 or n_draws.max() > max(n_draws.min() + 1, 1.25 * n_draws.min()):
        raise ValueError(
            f"n_draws goes from {n_draws.min()} to {n_draws.max()}; blocks must be of about one size: pool "
            "the counts and deal them anew by Sampled.independent."
        )
    counts = weights * n_draws[:, None]
    if np.abs(counts - np.rint(counts)).max() > 0.01:
        raise ValueError(
            "weights times n_draws are no whole numbers; pass counts to Sampled.independent, or "
            "n_draws=None where draws are weighted."
        )


def _check_counts(counts: np.ndarray, n_replicates: int) -> None:
    if counts.ndim != 1 or not np.issubdtype(counts.dtype, np.integer) or (counts < 0).any():
        raise ValueError(
            f"counts has shape {counts.shape} and type {counts.dtype}; pass (n_functions,) integers of "
            "at least 0."
        )
    if not n_replicates <= counts.sum() < _MOST_DRAWS:
        raise ValueError(
            f"counts sum to {counts.sum()}; {n_replicates} blocks take at least {n_replicates} draws and "
            f"less than {_MOST_DRAWS:.0e}."
        )
