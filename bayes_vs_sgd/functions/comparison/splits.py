"""Cross-fitting: something is chosen on some replicates and measured on the others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from ...checks import require_count
from .sampled import Sampled
from .student import LeftOut

Mask = Bool[np.ndarray, " n_replicates"]


@dataclass(frozen=True)
class Split:
    """Which replicates of either side choose; the others measure.

    Attributes:
        choose_p: Shape (n_replicates_p,).
        choose_q: Shape (n_replicates_q,).
    """

    choose_p: Mask
    choose_q: Mask


@dataclass(frozen=True)
class Part:
    """Some replicates of both sides, pooled.

    Attributes:
        p: Probabilities, shape (n_functions,); where replicates count by evidence, those of a part that
            measures add up to its mean evidence as against that of all.
        q: Those of the other side.
        in_p: The replicates of p, shape (n_replicates_p,).
        in_q: Those of q.
    """

    p: Float[np.ndarray, " n_functions"]
    q: Float[np.ndarray, " n_functions"]
    in_p: Mask
    in_q: Mask


Statistic = Callable[[Part, Part], Float[np.ndarray, " n_statistics"]]


def splits(
    n_replicates_p: int, n_replicates_q: int, *, n_folds: int, n_splits: int, seed: int
) -> list[Split]:
    """Deal the replicates of both sides into folds, and let each fold measure what the others choose.

    Args:
        n_replicates_p: Replicates of the one side.
        n_replicates_q: Replicates of the other.
        n_folds: Folds; no more than there are replicates. Two are halves, each measuring once.
        n_splits: How often they are dealt anew.
        seed: Of the dealing.

    Returns:
        n_splits·n_folds splits.

    Raises:
        ValueError: A count is not possible.
    """
    require_count("n_folds", n_folds, least=2)
    require_count("n_splits", n_splits)
    rng = np.random.default_rng(seed)
    n_folds = min(n_folds, n_replicates_p, n_replicates_q)
    found = []
    for _ in range(n_splits):
        fold_p = rng.permutation(n_replicates_p) % n_folds
        fold_q = rng.permutation(n_replicates_q) % n_folds
        found += [Split(fold_p != k, fold_q != k) for k in range(n_folds)]
    return found


def cross_fitted(
    p: Sampled,
    q: Sampled,
    statistic: Statistic,
    over: Sequence[Split],
    *,
    least_choose: int = 1,
    least_measure: int = 1,
) -> LeftOut:
    """The mean of statistics over splits, with all replicates and with each of them left out.

    A split that is left with fewer replicates than ``least_choose`` or ``least_measure`` on a side
    is passed over.

    Args:
        p: The one side.
        q: The other.
        statistic: (the part that chooses, the part that measures) to (n_statistics,) numbers.
        over: The splits.
        least_choose: Replicates that choosing takes on each side.
        least_measure: Replicates that measuring takes on each side.
    """
    places: list[tuple[int | None, int | None]] = [(None, None)]
    places += [(r, None) for r in range(p.n_replicates)]
    places += [(None, r) for r in range(q.n_replicates)]
    found: list[list[np.ndarray]] = [[] for _ in places]
    for split in over:
        pooled = (_Pooled(p), _Pooled(q))
        for values, (without_p, without_q) in zip(found, places, strict=True):
            kept = (_kept(p.n_replicates, without_p), _kept(q.n_replicates, without_q))
            choose = (split.choose_p & kept[0], split.choose_q & kept[1])
            measure = (~split.choose_p & kept[0], ~split.choose_q & kept[1])
            if _enough(choose, least_choose) and _enough(measure, least_measure):
                measured = _scaled(_part(pooled, measure), p, q, kept)
                values.append(statistic(_part(pooled, choose), measured))
    means = np.array([np.mean(values, axis=0) for values in found])
    return LeftOut(means[0], means[1 : 1 + p.n_replicates], means[1 + p.n_replicates :])


def cross_fitted_value(
    p: Sampled, q: Sampled, statistic: Statistic, over: Sequence[Split], *, least_measure: int = 1
) -> Float[np.ndarray, " n_statistics"] | None:
    """The mean over splits alone, without an error; None where every split has too few replicates."""
    pooled = (_Pooled(p), _Pooled(q))
    values = []
    for split in over:
        choose, measure = (split.choose_p, split.choose_q), (~split.choose_p, ~split.choose_q)
        if _enough(choose, 1) and _enough(measure, least_measure):
            kept = (_kept(p.n_replicates, None), _kept(q.n_replicates, None))
            measured = _scaled(_part(pooled, measure), p, q, kept)
            values.append(statistic(_part(pooled, choose), measured))
    return np.mean(values, axis=0) if values else None


class _Pooled:
    """Pooled replicates of one side; what was pooled last with none left out is kept."""

    def __init__(self, sampled: Sampled) -> None:
        self._sampled = sampled
        self._found: dict[bytes, np.ndarray] = {}

    def __call__(self, chosen: Mask) -> np.ndarray:
        key = chosen.tobytes()
        if key in self._found:
            return self._found[key]
        pooled = self._sampled.pooled(chosen)
        # The first two are the whole parts, which every other combination needs again.
        if len(self._found) < 2:
            self._found[key] = pooled
        return pooled


def _part(pooled: tuple[_Pooled, _Pooled], chosen: tuple[Mask, Mask]) -> Part:
    return Part(pooled[0](chosen[0]), pooled[1](chosen[1]), *chosen)


def _scaled(part: Part, p: Sampled, q: Sampled, kept: tuple[Mask, Mask]) -> Part:
    """The part that measures, counted by its share, of draws or of evidence, in all that are kept.

    Scaled to the sum 1 by itself, a part of one replicate would count alike whatever its share; so
    scaled, the mean over all folds of what is linear is that of the pooled distribution.
    """

    def factor(sampled: Sampled, chosen: Mask, kept: Mask) -> float:
        return float(sampled.shares[chosen].mean() / sampled.shares[kept].mean())

    return replace(
        part,
        p=part.p * factor(p, part.in_p, kept[0]),
        q=part.q * factor(q, part.in_q, kept[1]),
    )


def _enough(chosen: tuple[Mask, Mask], least: int) -> bool:
    return min(int(side.sum()) for side in chosen) >= least


def _kept(n: int, without: int | None) -> Mask:
    kept = np.ones(n, bool)
    if without is not None:
        kept[without] = False
    return kept
