"""The comparison of two sampled distributions over functions, whole."""

from ...checks import require_count, require_positive, require_probability
from .common import Side, require_side
from .comparison import Comparison
from .distances import distances
from .equality import LEAST_PERMUTATIONS, equality
from .null import null
from .ranks import rank_correlations
from .sampled import Sampled, require_pair
from .slope import log_relation
from .table import function_table
from .unseen import unseen_mass
from .verdict import verdict


def compare(
    p: Sampled,
    q: Sampled,
    *,
    names: tuple[str, str] = ("P_B", "P_SGD"),
    margin: float = 0.1,
    level: float = 0.95,
    least_count: float = 10,
    side: Side = "p",
    n_folds: int = 5,
    n_splits: int = 8,
    n_null: int = 100,
    n_permutations: int = 999,
    seed: int = 0,
) -> Comparison:
    """Compare q, the functions that SGD finds, with p, their posterior volume, or any two.

    Errors come from the replicates of both sides, by the jackknife, with Student's law. A cluster
    bootstrap would add the noise of the sample to that of the resample, and at functions found a
    few times its intervals for distances are up to twice as wide.

    Args:
        p: The reference, at least 4 independent replicates. The nulls are made of its halves.
        q: What is compared with it, over the same functions (``align``), independent of p.
        names: What the two are called in the statement.
        margin: Total variation below which they count as equal.
        level: Of every interval by itself.
        least_count: Draws in one half of the replicates that make a function common.
        side: Where a function must be common to be ranked.
        n_folds: Folds of the cross-fitted lower bounds.
        n_splits: How often replicates are dealt into folds and halves anew.
        n_null: Pairs in each null.
        n_permutations: Exchanges in the test of equality.
        seed: Of everything that is dealt, drawn or exchanged.

    Raises:
        ValueError: The tables differ, a side has fewer than 4 replicates, or a setting is not
            possible.
    """
    require_pair(p, q)
    require_probability("level", level, usual=0.95)
    require_probability("margin", margin, usual=0.1)
    require_positive("least_count", least_count)
    require_side(side)
    for name, value, least in (
        ("n_folds", n_folds, 2),
        ("n_splits", n_splits, 1),
        ("n_null", n_null, 1),
        ("n_permutations", n_permutations, LEAST_PERMUTATIONS),
    ):
        require_count(name, value, least=least)
    between = distances(p, q, n_folds=n_folds, n_splits=n_splits, seed=seed)
    halves, sample = (
        null(p, n, n_null=n_null, least_count=least_count, side=side, seed=seed)
        for n in (None, max(round(q.n_effective), p.n_replicates))
    )
    return Comparison(
        names=names,
        table=function_table(p, q, level=level),
        distances=between,
        unseen=(unseen_mass(p), unseen_mass(q)),
        n_effective=(p.n_effective, q.n_effective),
        n_replicates=(p.n_replicates, q.n_replicates),
        null_halves=halves,
        null_sample=sample,
        equality=equality(p, q, n_permutations=n_permutations, level=level, seed=seed),
        ranks=rank_correlations(
            p, q, least_count=least_count, side=side, n_splits=n_splits, seed=seed
        ),
        log_relation=log_relation(p, q, least_count=least_count, n_splits=n_splits, seed=seed),
        margin=margin,
        level=level,
        verdict=verdict(between.total_variation, margin=margin, level=level),
    )
