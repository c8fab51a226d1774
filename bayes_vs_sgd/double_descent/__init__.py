"""Does a curve along an axis rise again? Heights with intervals, verdicts, and the arms compared."""

from .arms import ARMS, FIVE, Arm, arm, split_variant, variant
from .axes import AXES, Axis
from .members import ClassMembers, Members, RealMembers
from .peak import Interval, Peak, Rise, peak, reduction
from .resampling import Resampled, resample
from .sweep import Sweep, median_interval
from .threshold import (
    Capacity,
    effective_model_complexity,
    interpolation_threshold,
    threshold,
)
from .verdict import holm, verdict

__all__ = [
    "ARMS",
    "AXES",
    "FIVE",
    "Arm",
    "Axis",
    "Capacity",
    "ClassMembers",
    "Interval",
    "Members",
    "Peak",
    "RealMembers",
    "Resampled",
    "Rise",
    "Sweep",
    "arm",
    "effective_model_complexity",
    "holm",
    "interpolation_threshold",
    "median_interval",
    "peak",
    "reduction",
    "resample",
    "split_variant",
    "threshold",
    "variant",
    "verdict",
]
