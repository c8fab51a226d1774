"""The cheapest choice of sets that covers everything, with a proven lower bound."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int
from scipy import optimize


@dataclass(frozen=True)
class Cover:
    """Sets that cover every element.

    Attributes:
        chosen: Their numbers, ascending.
        cost: The sum of their costs.
        lower_bound: No cover costs less. The cover is a cheapest one where this equals ``cost``.
    """

    chosen: Int[np.ndarray, " chosen"]
    cost: int
    lower_bound: int


def minimum_cover(
    covers: Bool[np.ndarray, "sets elements"],
    costs: Int[np.ndarray, " sets"],
    *,
    time_limit: float,
) -> Cover:
    """Minimise Σ costs_s·z_s, z ∈ {0, 1}, under Σ_s covers_se·z_s ≥ 1 for every element e.

    Sets that alone cover some element are chosen first. What they leave over is an integer programme
    for HiGHS (``scipy.optimize.milp``), run to a gap of 0.

    Args:
        covers: Which elements a set covers; every element must be in some set.
        costs: Positive integers.
        time_limit: Seconds for HiGHS. Past it the best cover found so far, or a greedy one, comes back.
    """
    essential = covers[:, covers.sum(axis=0) == 1].any(axis=1)
    left = ~covers[essential].any(axis=0)
    useful = np.flatnonzero(covers[:, left].any(axis=1))
    base = int(costs[essential].sum())
    chosen = essential.copy()
    rest = 0
    if left.any():
        picked, rest = _solve(covers[np.ix_(useful, left)], costs[useful], time_limit)
        chosen[useful[picked]] = True
    return Cover(np.flatnonzero(chosen), int(costs[chosen].sum()), base + rest)


def _solve(
    covers: Bool[np.ndarray, "sets elements"], costs: Int[np.ndarray, " sets"], time_limit: float
) -> tuple[Bool[np.ndarray, " sets"], int]:
    """Sets chosen, and a lower bound of what any choice costs."""
    result = optimize.milp(
        costs,
        integrality=np.ones(len(costs)),
        bounds=optimize.Bounds(0, 1),
        constraints=optimize.LinearConstraint(covers.T.astype(np.float64), lb=1),
        options={"time_limit": time_limit, "mip_rel_gap": 0.0},
    )
    picked = _greedy(covers, costs) if result.x is None else result.x > 0.5
    bound = result.mip_dual_bound
    if bound is None or not np.isfinite(bound):
        return picked, int(costs.min())
    # The dual bound is a float just below or above the integer that it proves.
    return picked, max(int(costs.min()), math.ceil(bound - 1e-6))


def _greedy(
    covers: Bool[np.ndarray, "sets elements"], costs: Int[np.ndarray, " sets"]
) -> Bool[np.ndarray, " sets"]:
    """Again and again the set that covers the most new elements for its cost."""
    picked = np.zeros(len(costs), dtype=bool)
    left = np.ones(covers.shape[1], dtype=bool)
    while left.any():
        best = np.argmax(covers[:, left].sum(axis=1) / costs)
        picked[best] = True
        left &= ~covers[best]
    return picked
