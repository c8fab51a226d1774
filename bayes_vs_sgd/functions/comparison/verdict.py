"""Equal within a margin, different, or undecided: never more than the intervals say."""

from typing import Literal

from ...checks import require_probability
from .distances import Distance

Verdict = Literal["indistinguishable", "different", "undecided"]


def verdict(distance: Distance, *, margin: float, level: float = 0.95) -> Verdict:
    """What the bracket of a distance says against a margin.

    - "different": the lower limit of the lower bound exceeds the margin, so the distance does;
    - "indistinguishable": the upper limit of the plug-in is below the margin, so the distance is;
    - "undecided": neither. A small sample makes the plug-in large, and is undecided thereby.

    Each of the first two is wrong with probability (1 − level)/2 at most, as far as Student's law
    holds.

    Args:
        distance: The distance.
        margin: Distance below which two distributions count as equal, positive and less than 1.
        level: Of the intervals.

    Raises:
        ValueError: The margin or the level is not possible.
    """
    require_probability("margin", margin, usual=0.1)
    lower, upper = distance.bracket(level)
    if lower > margin:
        return "different"
    if upper < margin:
        return "indistinguishable"
    return "undecided"
