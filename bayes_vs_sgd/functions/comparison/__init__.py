"""Two distributions over functions, known by samples: bracketed distances, nulls, tests, verdicts."""

from .alignment import Alignment, align
from .common import Side
from .compare import compare
from .comparison import Comparison
from .distances import Distance, Distances, distances, plug_in_distances
from .equality import EqualityTest, equality
from .lower_bound import lower_bounds
from .null import Null, Tail, null
from .ranks import RankCorrelations, rank_correlations
from .sampled import Sampled, effective_draws
from .slope import LogRelation, deming, log_relation
from .student import StudentEstimate
from .table import Axis, FunctionTable, clopper_pearson, function_table
from .trend import Trend, trend
from .unseen import unseen_mass
from .verdict import Verdict, verdict

__all__ = [
    "Alignment",
    "Axis",
    "Comparison",
    "Distance",
    "Distances",
    "EqualityTest",
    "FunctionTable",
    "LogRelation",
    "Null",
    "RankCorrelations",
    "Sampled",
    "Side",
    "StudentEstimate",
    "Tail",
    "Trend",
    "Verdict",
    "align",
    "clopper_pearson",
    "compare",
    "deming",
    "distances",
    "effective_draws",
    "equality",
    "function_table",
    "log_relation",
    "lower_bounds",
    "null",
    "plug_in_distances",
    "rank_correlations",
    "trend",
    "unseen_mass",
    "verdict",
]
