"""The verdicts of a sweep in sentences that claim no more than the intervals."""

from collections.abc import Collection, Mapping, Sequence

from .arms import VARIANTS, arm, split_variant
from .axes import Axis
from .peak import Kind, Peak

Peaks = Mapping[str, Mapping[str, Peak]]

# Metrics that the sentences speak of; the others stand in the tables.
SPOKEN = {"error": "test error", "nll": "test NLL", "mse": "test mean squared error"}


def statement(
    axis: Axis,
    peaks: Mapping[Kind, Peaks],
    unconverged: Mapping[str, Sequence[str]],
    held: Collection[tuple[str, str, Kind]],
    level: float,
) -> str:
    """What the verdicts say together; convergence comes first.

    Args:
        axis: What is swept.
        peaks: Kind → arm → metric → its rise of that kind.
        unconverged: Arm → cells that have not converged.
        held: The (arm, metric, kind) whose verdicts hold in their family.
        level: Confidence level.
    """
    sentences = _convergence(unconverged)
    for metric, name in SPOKEN.items():
        for kind in axis.kinds:
            found = {n: of[metric] for n, of in peaks[kind].items() if metric in of}
            if not found:
                continue
            sentences.append(f"{_subject(axis, kind, name)}: {_by_verdict(found)}.")
            if axis.name in ("width", "depth", "sparsity"):
                sentences += _attribution({n: one.verdict for n, one in found.items()}, name)
            if kind == axis.kind:
                sentences += _bridges(found, name)
    return " ".join([*sentences, *_family(peaks, held, level)])


def _subject(axis: Axis, kind: Kind, name: str) -> str:
    if axis.kind == "peak":
        return f"Second rise of the {name} along {axis.name}"
    if kind == "rise":
        return f"Rise of the {name} along {axis.name}"
    return "A rise that is followed by a descent"


def _by_verdict(found: Mapping[str, Peak]) -> str:
    parts = []
    for verdict in ("present", "absent", "undecided"):
        arms = [arm(name).label for name, one in found.items() if one.verdict == verdict]
        parts += [f"{verdict} for {', '.join(arms)}"] if arms else []
    return "; ".join(parts)


def _convergence(unconverged: Mapping[str, Sequence[str]]) -> list[str]:
    cells = list(dict.fromkeys(cell for cells in unconverged.values() for cell in cells))
    if not cells:
        return []
    arms = [arm(name).label for name, some in unconverged.items() if some]
    return [
        f"Not converged: {', '.join(cells)}; what is said of {_listed(arms)} rests on unconverged "
        "chains."
    ]


def _attribution(verdicts: Mapping[str, str], metric: str) -> list[str]:
    """What the arms without a rise have in common; nothing where SGD shows none."""
    if verdicts.get("sgd") != "present":
        return []
    said = []
    if verdicts.get("draw") == "absent":
        said.append("One posterior draw has none either, so averaging is not needed to remove it.")
    if verdicts.get("draw") == "present" and verdicts.get("bma") == "absent":
        said.append("One posterior draw still has it, so it is the averaging that removes it.")
    if verdicts.get("map") == "absent":
        said.append("The MAP under the same prior has none, so no posterior spread is needed.")
    if verdicts.get("map") == "present":
        said.append("The MAP still has it, so the prior alone does not remove it.")
    if verdicts.get("deep_ensemble") == "present":
        said.append(
            "The deep ensemble still has it, so averaging SGD's networks does not remove it."
        )
    if verdicts.get("deep_ensemble") == "absent":
        said.append("The deep ensemble has none, so averaging SGD's networks is enough.")
    return [f"({metric}) {' '.join(said)}"] if said else []


def _bridges(found: Mapping[str, Peak], metric: str) -> list[str]:
    """Where along temperature or width of the prior the rise of an arm comes and goes."""
    varied: dict[tuple[str, str], dict[float, str]] = {}
    for name, one in found.items():
        base, kind, value = split_variant(name)
        if kind is not None:
            varied.setdefault((base, kind), {})[value] = one.verdict
    said = []
    for (base, kind), by_value in varied.items():
        if base in found:
            by_value[1.0] = found[base].verdict
        parts = []
        for verdict in ("present", "absent", "undecided"):
            values = sorted(value for value, v in by_value.items() if v == verdict)
            if values:
                parts.append(f"{verdict} at {VARIANTS[kind].format(values[0])}")
                parts[-1] += "".join(f", {value:g}" for value in values[1:])
        said.append(f"({metric}, {arm(base).label}) {'; '.join(parts)}.")
    return said


def _family(
    peaks: Mapping[Kind, Peaks], held: Collection[tuple[str, str, Kind]], level: float
) -> list[str]:
    spoken = {
        (name, metric, kind): of[metric]
        for kind, of_arms in peaks.items()
        for name, of in of_arms.items()
        for metric in SPOKEN
        if metric in of
    }
    decided = [key for key, one in spoken.items() if one.verdict != "undecided"]
    if not decided:
        return []
    start = (
        f"Each verdict stands at {100 * level:g} % by itself; for all {len(spoken)} of these to be right "
        f"together at {100 * level:g} % (Holm)"
    )
    lost = [key for key in decided if key not in held]
    if not lost:
        return [f"{start}, every one decided still holds."]
    names = [f"{arm(n).label} ({m}{', descent' * (k != next(iter(peaks)))})" for n, m, k in lost]
    return [
        f"{start}, {len(decided) - len(lost)} of the {len(decided)} decided ones still hold, and these "
        f"do not: {', '.join(names)}."
    ]


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
