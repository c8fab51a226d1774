"""The second rise of a curve over complexity: its height, an interval, and a verdict."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from .resampling import Center, Resampled, resample

Kind = Literal["peak", "rise"]


class Interval(NamedTuple):
    """A confidence interval."""

    lower: float
    upper: float


@dataclass(frozen=True)
class Peak:
    """What can be said of a second rise.

    Attributes:
        verdict: ``"present"`` (the interval excludes 0), ``"absent"`` (it lies below the margin) or
            ``"undecided"``.
        height: Rise over the lowest earlier value or over the lowest later value, whichever is less;
            0 for a curve without an interior maximum. In the unit of the curve.
        interval: Confidence interval of the height.
        complexity: Where the highest such point lies.
        margin: A height below this counts as none.
        level: Confidence level of the interval.
        converged: False where the draws behind the curve have not converged.
        statement: The verdict in a sentence that claims no more than the interval.
        bootstrap: Heights of the resampled curves, widened at ``level``, for paired differences.
    """

    verdict: str
    height: float
    interval: Interval
    complexity: float
    margin: float
    level: float
    converged: bool
    statement: str
    bootstrap: Float[np.ndarray, " bootstrap"] = field(repr=False)


@dataclass(frozen=True)
class Rise:
    """A curve with the resamples that say how well it is known; ``at`` judges it at any level.

    Attributes:
        curve: The estimate at each complexity, in order of complexity.
        resampled: How far it moves in every resample.
        complexity: Names of the positions.
        kind: ``"peak"``: the height is h = max_{i<p<j} min(y_p − y_i, y_p − y_j), how far a point
            stands out both over an earlier and over a later one. ``"rise"``: h = max_{i<p} y_p − y_i,
            whatever comes later.
        axis: What the positions are, for the statement.
    """

    curve: Float[np.ndarray, " complexity"]
    resampled: Resampled | None
    complexity: Sequence[float]
    kind: Kind = "peak"
    axis: str = "complexity"

    @classmethod
    def of(
        cls,
        curve: Float[np.ndarray, " complexity"],
        replicates: Float[np.ndarray, "..."],
        *,
        complexity: Sequence[float] | None = None,
        kind: Kind = "peak",
        center: Center = "mean",
        axis: str = "complexity",
        n_bootstrap: int = 2000,
        seed: int = 0,
    ) -> "Rise":
        """Resample the replicates of a curve; see ``peak`` for the arguments."""
        curve = np.asarray(curve, dtype=np.float64)
        places = list(range(len(curve))) if complexity is None else list(complexity)
        _check(curve, np.asarray(replicates), np.asarray(places))
        if not (np.isfinite(curve).all() and np.isfinite(replicates).all()):
            return cls(curve, None, places, kind, axis)
        resampled = resample(replicates, n_bootstrap=n_bootstrap, seed=seed, center=center)
        return cls(curve, resampled, places, kind, axis)

    def at(self, level: float, margin: float, *, converged: bool = True) -> "Peak":
        """Height, interval and verdict at a confidence level; see ``peak``.

        Raises:
            ValueError: The margin or the level is not possible.
        """
        _check_level(margin, level)
        if self.resampled is None:
            return _not_finite(self, margin, level, converged)
        resampled, curve = self.resampled, self.curve
        difference = curve[:, None] - curve[None, :]

        def differences(level: float | None) -> tuple[np.ndarray, np.ndarray]:
            moved = resampled.deviations(level)
            by_pair = moved[:, :, None] - moved[:, None, :]
            return by_pair, np.sqrt((by_pair**2).mean(axis=0))

        moved, error = differences(None)
        largest = (np.abs(moved) / np.where(error > 0, error, 1)).max(axis=(1, 2))
        one_sided = (1 + level) / 2
        simultaneous = max(
            float(np.quantile(largest, one_sided)),
            float(stats.norm.ppf(1 - (1 - one_sided) / len(curve))),
        )
        # Beyond this the level is 1 to the last digit, and Student's quantile infinite.
        simultaneous = min(simultaneous, 8.0)
        _, lower_error = differences(2 * stats.norm.cdf(simultaneous) - 1)
        pointwise = stats.norm.ppf((1 + one_sided) / 2)
        _, upper_error = differences(one_sided)
        at_level, _ = differences(level)
        height, at = _height(difference, self.kind)
        interval = Interval(
            float(max(_height(difference - simultaneous * lower_error, self.kind)[0], 0)),
            float(max(_height(difference + pointwise * upper_error, self.kind)[0], 0)),
        )
        verdict = (
            "absent"
            if interval.upper < margin
            else "present"
            if interval.lower > 0
            else "undecided"
        )
        place = self.complexity[at]
        return Peak(
            verdict=verdict,
            height=float(max(height, 0)),
            interval=interval,
            complexity=float(place),
            margin=margin,
            level=level,
            converged=converged,
            statement=_statement(self, verdict, height, interval, place, margin, level, converged),
            bootstrap=np.maximum(_heights(difference + at_level, self.kind).max(axis=-1), 0),
        )


def peak(
    curve: Float[np.ndarray, " complexity"],
    replicates: Float[np.ndarray, "..."],
    *,
    complexity: Sequence[float] | None = None,
    margin: float,
    level: float = 0.95,
    converged: bool = True,
    kind: Kind = "peak",
    center: Center = "mean",
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> Peak:
    """Measure the second rise of a curve.

    The height is h = max_{i<p<j} min(y_p − y_i, y_p − y_j), clipped at 0: how far a point stands out
    both over an earlier and over a later one. Its interval is built from the differences
    d_pi = y_p − y_i, whose standard errors s_pi come from the bootstrap of ``resample``, widened
    for few replicates at the level at which each is used:

    - lower = max_{i<p<j} min(d_pi − c·s_pi, d_pj − c·s_pj) with c the (1 + level)/2 quantile of the
      largest |d*_pi − d_pi|/s_pi over all pairs: simultaneous, because the data choose i, p and j.
      At least the normal quantile of 1 − (1 − level)/(2k) for k complexities, because m replicates
      show the bootstrap no more than m − 1 of the directions that noise can take;
    - upper = max_{i<p<j} min(d_pi + z·s_pi, d_pj + z·s_pj) with z the normal quantile of
      1 − (1 − level)/4: the true i, p, j are among those maximised over, and each of the two
      differences has half of the error that the upper side may make.

    Both are conservative. Upper < margin gives "absent"; else lower > 0 gives "present"; else
    "undecided".

    Args:
        curve: The estimate at each complexity, in order of complexity.
        replicates: What the estimate varies over: (replicate, complexity), (replicate, complexity,
            point) or (split, replicate, complexity, point). Only its variation is used, so the curve
            may be another function of the same data, such as the average over all chains.
        complexity: Names of the positions; 0, 1, … by default.
        margin: Equivalence margin in the unit of the curve: a peak lower than this is none.
        level: Confidence level.
        converged: Whether the draws behind the curve have converged; if not, the statement says so
            first.
        kind: ``"rise"`` asks for h = max_{i<p} y_p − y_i instead, a rise whatever comes later.
        center: What the curve is over replicates (splits): their ``"mean"`` or their ``"median"``.
        n_bootstrap: Resamples.
        seed: Curves over the same test points with the same seed are resampled together.

    Returns:
        Height, interval and verdict.

    Raises:
        ValueError: Fewer than 3 complexities, shapes that do not fit, no replicates, or a margin or
            level that is not possible.
    """
    _check_level(margin, level)
    measured = Rise.of(
        curve,
        replicates,
        complexity=complexity,
        kind=kind,
        center=center,
        n_bootstrap=n_bootstrap,
        seed=seed,
    )
    return measured.at(level, margin, converged=converged)


def reduction(reference: Peak, other: Peak) -> tuple[float, Interval]:
    """How much lower the peak of ``other`` is than that of ``reference``, with a paired interval.

    difference ± z·std(h*_reference − h*_other), over resamples in which both curves saw the same
    test points (the same ``seed`` of ``peak``).

    Returns:
        The difference of heights (positive: ``other`` is lower) and its interval.

    Raises:
        ValueError: The two have bootstraps of unequal length.
    """
    if len(reference.bootstrap) != len(other.bootstrap):
        raise ValueError(
            f"the peaks have {len(reference.bootstrap)} and {len(other.bootstrap)} resamples; pass "
            "the same n_bootstrap and seed to both."
        )
    value = reference.height - other.height
    error = (reference.bootstrap - other.bootstrap).std(ddof=1) if len(other.bootstrap) else np.nan
    half = stats.norm.ppf((1 + reference.level) / 2) * error
    return value, Interval(float(value - half), float(value + half))


def _height(difference: np.ndarray, kind: Kind) -> tuple[float, int]:
    """max_p min(max_{i<p} d_pi, max_{j>p} d_pj) and the p that attains it."""
    heights = _heights(difference, kind)
    best = int(np.argmax(heights))
    return float(heights[best]), best + 1


def _heights(difference: np.ndarray, kind: Kind) -> np.ndarray:
    """min(max_{i<p} d_pi, max_{j>p} d_pj) at every interior p, shape (..., complexity − 2).

    Of a rise max_{i<p} d_pi at every p but the first.
    """
    n = difference.shape[-1]
    over_earlier = [difference[..., p, :p].max(axis=-1) for p in range(1, n)]
    if kind == "rise":
        return np.stack(over_earlier, axis=-1)
    over_later = [difference[..., p, p + 1 :].max(axis=-1) for p in range(1, n - 1)]
    return np.stack(
        [np.minimum(*pair) for pair in zip(over_earlier[:-1], over_later, strict=True)], axis=-1
    )


_NAMES = {"peak": "second rise", "rise": "rise"}


def _statement(
    rise: Rise,
    verdict: str,
    height: float,
    interval: Interval,
    place: float,
    margin: float,
    level: float,
    converged: bool,
) -> str:
    lower, upper = interval
    name, range_ = _NAMES[rise.kind], f"{100 * level:.4g}% interval {lower:.3g} to {upper:.3g}"
    sentence = {
        "present": f"A {name} of {height:.3g} ({range_}) at {rise.axis} {place:g}.",
        "absent": f"No {name} above the margin of {margin:g} ({range_}).",
        "undecided": f"The data do not decide between a {name} and none: height "
        f"{max(height, 0):.3g}, {range_}, margin {margin:g}.",
    }[verdict]
    return sentence if converged else f"On draws that have not converged: {sentence}"


def _not_finite(rise: Rise, margin: float, level: float, converged: bool) -> Peak:
    places = np.asarray(rise.complexity)
    bad = ", ".join(f"{p:g}" for p in places[~np.isfinite(rise.curve)]) or "some replicates"
    sentence = f"The curve is not finite at {bad}, so its height is not known."
    return Peak(
        verdict="undecided",
        height=float("nan"),
        interval=Interval(0.0, float("inf")),
        complexity=float("nan"),
        margin=margin,
        level=level,
        converged=converged,
        statement=sentence if converged else f"On draws that have not converged: {sentence}",
        bootstrap=np.full(0, np.nan),
    )


def _check(curve: np.ndarray, replicates: np.ndarray, places: np.ndarray) -> None:
    if curve.ndim != 1 or len(curve) < 3:
        raise ValueError(
            f"curve has shape {curve.shape}; a second rise needs one axis of at least 3 complexities."
        )
    axis = 1 if replicates.ndim == 2 else -2
    if replicates.ndim < 2 or replicates.shape[axis] != len(curve) or len(places) != len(curve):
        raise ValueError(
            f"curve has {len(curve)} complexities, complexity {len(places)}, and replicates has shape "
            f"{replicates.shape}; their complexity axes must agree."
        )
    if not (np.diff(places) > 0).all():
        raise ValueError(f"complexity={places.tolist()} is not increasing; sort the curve by it.")


def _check_level(margin: float, level: float) -> None:
    if not margin > 0:
        raise ValueError(f"margin={margin} is not possible; pass the least height that matters.")
    if not 0 < level < 1:
        raise ValueError(f"level={level} is no confidence level; 0.95 is usual.")
