"""How much of a distribution its sample has not seen."""

import numpy as np

from .sampled import Sampled
from .student import StudentEstimate


def unseen_mass(sampled: Sampled) -> StudentEstimate:
    """The probability of all functions that were not found (Good–Turing).

    For n independent draws, f₁ and f₂ functions of which were found once and twice: f₁/n, with
    sem² = [f₁(1 − f₁/n) + 2f₂]/n² (Esty 1983, Ann. Statist. 11), and at least 1/n².

    Otherwise by replicates: the mean over r, by evidence where there is one, of the mass that
    replicate r has on functions that no other replicate found. It is without bias for the mass that R − 1 replicates have not seen, and
    thereby too large for R of them. The error is the jackknife's over replicates.

    Raises:
        ValueError: There are fewer than 3 replicates, and their draws are dependent.
    """
    counts = sampled.counts
    if counts is not None:
        n, once, twice = int(counts.sum()), int((counts == 1).sum()), int((counts == 2).sum())
        squared = max(once * (1 - once / n) + 2 * twice, 1)
        return StudentEstimate(once / n, float(np.sqrt(squared) / n), np.inf)
    n_replicates = sampled.n_replicates
    if n_replicates < 3:
        raise ValueError(
            f"there are {n_replicates} replicates of dependent draws; unseen mass takes at least 3."
        )
    shares = sampled.shares
    found = (sampled.weights > 0) & (shares > 0)[:, None]
    by_number = found.sum(axis=0)
    weights = shares[:, None] * np.where(found, sampled.weights, 0)
    alone = weights[:, by_number == 1].sum(axis=1)
    in_two = by_number == 2
    # Mass of r on functions that it shares with s alone: theirs once s is left out.
    shared = weights[:, in_two] @ found[:, in_two].T.astype(float)
    np.fill_diagonal(shared, 0)
    without = [
        (alone.sum() - alone[s] + shared[:, s].sum()) / (1 - shares[s]) for s in range(n_replicates)
    ]
    sem = np.sqrt((n_replicates - 1) / n_replicates * ((without - np.mean(without)) ** 2).sum())
    return StudentEstimate(float(alone.sum()), float(sem), n_replicates - 1)
