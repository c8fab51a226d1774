"""Functions common enough to be ranked, chosen on replicates that do not measure them."""

from typing import Literal

import numpy as np
from jaxtyping import Bool

from ...checks import require_positive
from .sampled import Sampled
from .splits import Part

Side = Literal["p", "q", "both"]
_SIDES = ("p", "q", "both")


def least_frequencies(p: Sampled, q: Sampled, least_count: float) -> tuple[float, float]:
    """``least_count``/(n/2) for both sides, n their draws or effective draws.

    It stays the same when a replicate is left out, and so does the population of functions that is
    spoken of. Effective draws are an estimate, and the boundary of the population is one with them;
    errors are of what is said of the functions within it.

    Raises:
        ValueError: ``least_count`` is not positive.
    """
    require_positive("least_count", least_count)
    return 2 * least_count / p.n_effective, 2 * least_count / q.n_effective


def require_side(side: Side) -> None:
    """Refuse a side that does not exist.

    Raises:
        ValueError: ``side`` is none of p, q and both.
    """
    if side not in _SIDES:
        raise ValueError(f"side={side!r} is not known; pass one of {', '.join(_SIDES)}.")


def common_functions(
    choose: Part, least: tuple[float, float], side: Side
) -> Bool[np.ndarray, " n_functions"]:
    """Functions whose frequency in the choosing half is positive and at least that of ``least``.

    Measured on other replicates they have no selection bias; chosen and measured on the same ones,
    those drawn too often by chance would be in, and their like drawn too rarely out.

    Args:
        choose: The choosing half.
        least: Least frequency on either side.
        side: Where a function must be common.
    """
    in_p = (choose.p > 0) & (choose.p >= least[0])
    in_q = (choose.q > 0) & (choose.q >= least[1])
    return {"p": in_p, "q": in_q, "both": in_p & in_q}[side]
