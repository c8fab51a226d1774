"""What a sweep runs over: the axes along which double descent has been seen, and those of the posterior."""

from dataclasses import dataclass
from typing import Any

from .peak import Kind


@dataclass(frozen=True)
class Axis:
    """One axis of a sweep.

    Attributes:
        name: What it is called in settings and in statements.
        label: What figures write beside it.
        kind: What is asked of a curve over it, a ``"peak"`` or a ``"rise"``.
        question: What its verdicts answer.
    """

    name: str
    label: str
    question: str
    kind: Kind = "peak"

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What is asked: along an axis of rises also whether one is followed by a descent."""
        return ("rise", "peak") if self.kind == "rise" else ("peak",)

    def as_dict(self) -> dict[str, Any]:
        """For a file of JSON."""
        return {"name": self.name, "label": self.label, "kind": self.kind}


_MODEL = "Does a larger model do worse before it does better?"

AXES = {
    axis.name: axis
    for axis in (
        Axis("width", "width (hidden units or channels)", _MODEL),
        Axis("depth", "depth (hidden layers)", _MODEL),
        Axis("sparsity", "share of weights kept (1 − sparsity)", _MODEL),
        Axis(
            "epochs",
            "epochs (gradients on all rows)",
            "Does longer training, or a longer chain, do worse at some time, and better again later?",
            kind="rise",
        ),
        Axis("samples", "training rows", "Do more data hurt, and help again later?", kind="rise"),
        Axis(
            "temperature", "temperature T", "Is there a temperature that does worse than both ends?"
        ),
        Axis(
            "prior",
            "prior standard deviation × √fan-in",
            "Is there a width of the prior that does worse than both ends?",
        ),
        Axis(
            "warmup",
            "iterations of the warm-up",
            "Do draws after a longer warm-up do worse before they do better?",
        ),
        Axis("draws", "draws of each chain", "Does a longer chain do worse before it does better?"),
    )
}
