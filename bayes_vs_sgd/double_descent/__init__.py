"""Does a curve over complexity rise again? Heights with intervals, verdicts, and the five arms."""

from .arms import ARMS, Arm
from .peak import Interval, Peak, peak, reduction
from .resampling import Resampled, resample
from .sweep import Sweep
from .threshold import threshold

__all__ = [
    "ARMS",
    "Arm",
    "Interval",
    "Peak",
    "Resampled",
    "Sweep",
    "peak",
    "reduction",
    "resample",
    "threshold",
]
