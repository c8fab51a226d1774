"""The result of comparing two sampled distributions, as numbers and as a statement."""

import math
from dataclasses import dataclass

import numpy as np

from .distances import Distances
from .equality import EqualityTest
from .null import MEASURES, Null
from .ranks import RankCorrelations
from .slope import LogRelation
from .student import StudentEstimate
from .table import FunctionTable
from .verdict import Verdict

Number = float | int | str | None


@dataclass(frozen=True)
class Comparison:
    """How one distribution over functions, q, compares with another, p.

    Attributes:
        names: What p and q are called.
        table: Every function with its probability on both sides.
        distances: Total variation and Jensen–Shannon divergence, bracketed.
        unseen: Mass of p and of q on functions that their samples have not found.
        n_effective: Draws, or effective draws, of p and of q.
        n_replicates: Replicates of p and of q.
        null_halves: Two halves of p against one another.
        null_sample: One half of p against a sample of the other half as large as q.
        equality: Permutation test of equality.
        ranks: Rank correlations over the common functions.
        log_relation: log q against log p over the functions common on both sides.
        margin: Total variation below which the two count as equal.
        level: Of all intervals, each by itself.
        verdict: On the total variation.
    """

    names: tuple[str, str]
    table: FunctionTable
    distances: Distances
    unseen: tuple[StudentEstimate, StudentEstimate]
    n_effective: tuple[float, float]
    n_replicates: tuple[int, int]
    null_halves: Null
    null_sample: Null
    equality: EqualityTest
    ranks: RankCorrelations
    log_relation: LogRelation
    margin: float
    level: float
    verdict: Verdict

    def estimates(self) -> dict[str, StudentEstimate]:
        """Every estimate that has an error, by name."""
        found = {"unseen_p": self.unseen[0], "unseen_q": self.unseen[1]}
        for name in ("total_variation", "jensen_shannon"):
            distance = getattr(self.distances, name)
            found[f"{name}_plug_in"] = distance.plug_in
            found[f"{name}_corrected"] = distance.corrected
            found[f"{name}_lower_bound"] = distance.lower_bound
        line = self.log_relation
        return found | {
            "spearman": self.ranks.spearman,
            "kendall": self.ranks.kendall,
            "slope": line.slope,
            "intercept": line.intercept,
            "log_correlation": line.correlation,
            "log_ratio": line.log_ratio,
            "common_mass_p": line.mass_p,
            "common_mass_q": line.mass_q,
        }

    def as_dict(self) -> dict[str, Number]:
        """Plain numbers and words, one level deep; None where a number does not exist.

        Each estimate has ``name``, ``name_sem``, and the limits ``name_lower`` and ``name_upper``
        of its interval at ``level``. Distances and logarithms are in nats.
        """
        p, q = self.table.p, self.table.q
        found: dict[str, Number] = {
            "verdict": self.verdict,
            "margin": self.margin,
            "level": self.level,
            "name_p": self.names[0],
            "name_q": self.names[1],
            "n_replicates_p": self.n_replicates[0],
            "n_replicates_q": self.n_replicates[1],
            "n_effective_p": self.n_effective[0],
            "n_effective_q": self.n_effective[1],
            "n_functions_both": int(self.table.both.sum()),
            "n_functions_only_p": int(self.table.only_p.sum()),
            "n_functions_only_q": int(self.table.only_q.sum()),
            "mass_p_not_found_by_q": float(p.probability[self.table.only_p].sum()),
            "mass_q_not_found_by_p": float(q.probability[self.table.only_q].sum()),
            "n_functions_ranked": self.ranks.n_functions,
            "n_functions_on_line": self.log_relation.n_functions,
            "equality_p_value": self.equality.p_value,
            "equality_p_value_lower": self.equality.interval[0],
            "equality_p_value_upper": self.equality.interval[1],
            "equality_n_permutations": self.equality.n_permutations,
        }
        for name, estimate in self.estimates().items():
            lower, upper = estimate.interval(self.level)
            found |= {name: float(estimate.value), f"{name}_sem": float(estimate.sem)}
            found |= {f"{name}_lower": lower, f"{name}_upper": upper}
        for name, null in (("halves", self.null_halves), ("sample", self.null_sample)):
            found |= self._of_null(f"null_{name}", null)
        return {name: _plain(value) for name, value in found.items()}

    def sentence(self) -> str:
        """What can be said, none of it beyond its interval."""
        return " ".join(
            [self._verdict(), self._equality(), self._seen(), self._order(), self._line()]
        )

    def _of_null(self, name: str, null: Null) -> dict[str, Number]:
        observed = {
            "total_variation": self.distances.total_variation.plug_in,
            "jensen_shannon": self.distances.jensen_shannon.plug_in,
            "spearman": self.ranks.spearman,
            "slope": self.log_relation.slope,
        }
        found: dict[str, Number] = {}
        for measure in MEASURES:
            lower, middle, upper = null.quantiles(measure, level=self.level)
            tail = null.tail(measure, observed[measure].value, level=self.level)
            found |= {
                f"{name}_{measure}": middle,
                f"{name}_{measure}_lower": lower,
                f"{name}_{measure}_upper": upper,
                f"{name}_{measure}_tail": tail.share,
                f"{name}_{measure}_tail_lower": tail.interval[0],
                f"{name}_{measure}_tail_upper": tail.interval[1],
            }
        return found

    def _verdict(self) -> str:
        p, q = self.names
        by = f"{self.margin:g} in total variation"
        lower, upper = self.distances.total_variation.bracket(self.level)
        start = {
            "different": f"{q} differs from {p} by more than {by}",
            "indistinguishable": f"{q} equals {p} to within {by}",
            "undecided": f"Whether {q} differs from {p} by {by} is undecided",
        }[self.verdict]
        return (
            f"{start}: it lies between {max(lower, 0):.3f} and {min(upper, 1):.3f} ({self._level()}; "
            "lower limit of a cross-fitted bound, upper limit of the plug-in)."
        )

    def _equality(self) -> str:
        halves = self.null_halves.quantiles("total_variation", level=self.level)[1]
        plug_in = self.distances.total_variation.plug_in.value
        rejected = "is rejected" if self.equality.p_value <= 1 - self.level else "is not rejected"
        return (
            f"Exact equality {rejected} by exchanging replicates (p = {self.equality.p_value:.2g}); "
            f"the plug-in is {plug_in:.3f}, and {halves:.3f} between two halves of {self.names[0]} (median)."
        )

    def _seen(self) -> str:
        parts = [
            f"{_percent(mass.value, 2)} % (± {_percent(mass.sem, 1)}) of {name}"
            for mass, name in zip(self.unseen, self.names, strict=True)
        ]
        return f"Not yet seen are functions that hold {' and '.join(parts)}."

    def _order(self) -> str:
        rho = self.ranks.spearman
        if not math.isfinite(rho.value):
            return "Too few functions are common enough to be ranked."
        halves = self.null_halves.quantiles("spearman", level=self.level)[1]
        against = f"; {halves:.2f} between two halves" if math.isfinite(halves) else ""
        return (
            f"Over {self.ranks.n_functions:.0f} common functions Spearman's ρ is {rho.value:.2f} "
            f"({self._interval(rho, -1, 1)}{against})."
        )

    def _line(self) -> str:
        line, (p, q) = self.log_relation, self.names
        if not math.isfinite(line.slope.value):
            return f"The slope of log {q} on log {p} is not determined."
        held = f"{100 * line.mass_p.value:.3g} % of {p} and {100 * line.mass_q.value:.3g} % of {q}"
        return (
            f"Over {line.n_functions:.0f} functions common on both sides, {held}, the slope of "
            f"log {q} on log {p} is {line.slope.value:.2f} ({self._interval(line.slope)})."
        )

    def _interval(
        self, estimate: StudentEstimate, least: float = -np.inf, most: float = np.inf
    ) -> str:
        lower, upper = estimate.interval(self.level)
        if not math.isfinite(lower):
            return "without an interval"
        return f"{max(lower, least):.2f} to {min(upper, most):.2f}"

    def _level(self) -> str:
        return f"{100 * self.level:g} %"


def _plain(value: Number) -> Number:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _percent(share: float, digits: int) -> str:
    """A share in percent to some digits, without an exponent."""
    percent = 100 * share
    if percent >= 10**digits - 0.5:
        return f"{percent:.0f}"
    return "<0.001" if 0 < percent < 0.001 else f"{percent:.{digits}g}"
