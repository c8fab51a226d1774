"""Learning rates over a run: what the learning rate is multiplied by at each step."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from itertools import pairwise

from ..checks import require_count, require_fraction, require_positive


@dataclass(frozen=True)
class Schedule(ABC):
    """Factor on the learning rate: (t + 1)/n_warmup at step t < n_warmup, then ``decay``.

    The first of n_warmup steps has 1/n_warmup of the learning rate, the last of them all of it.

    Attributes:
        n_warmup: Steps of the linear warm-up.
    """

    n_warmup: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        require_count("n_warmup", self.n_warmup, 0)

    def __call__(self, step: int, n_steps: int) -> float:
        """The factor at a step.

        Args:
            step: t, from 0.
            n_steps: Steps of the whole run.

        Raises:
            ValueError: The warm-up is longer than the run, or the step lies outside of it.
        """
        if self.n_warmup > n_steps:
            raise ValueError(
                f"n_warmup={self.n_warmup} exceeds the {n_steps} steps of the run; pass at most "
                f"{n_steps}."
            )
        if not 0 <= step < n_steps:
            raise ValueError(f"step={step} lies outside 0…{n_steps - 1}, the steps of the run.")
        if step < self.n_warmup:
            return (step + 1) / self.n_warmup
        return self.decay(step, n_steps)

    @abstractmethod
    def decay(self, step: int, n_steps: int) -> float:
        """The factor at a step after the warm-up."""


@dataclass(frozen=True)
class Constant(Schedule):
    """The learning rate itself, after the warm-up.

    Attributes:
        n_warmup: Steps of the linear warm-up.
    """

    def decay(self, step: int, n_steps: int) -> float:
        """1."""
        return 1.0


@dataclass(frozen=True)
class Cosine(Schedule):
    """end + (1 − end)·(1 + cos(π(t − n_warmup)/(n_steps − n_warmup)))/2 at step t.

    As torch's ``CosineAnnealingLR`` with ``T_max`` = n_steps − n_warmup: the first step after the
    warm-up has factor 1, and the one after the last step of the run would have ``end``.

    Attributes:
        end: Where the half cosine ends, as a share of the learning rate.
        n_warmup: Steps of the linear warm-up.
    """

    end: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_fraction("end", self.end)

    def decay(self, step: int, n_steps: int) -> float:
        """The half cosine."""
        done = (step - self.n_warmup) / (n_steps - self.n_warmup)
        return self.end + (1 - self.end) * (1 + math.cos(math.pi * done)) / 2


@dataclass(frozen=True)
class Steps(Schedule):
    """factor^k at step t, k the number of milestones ≤ t: torch's ``MultiStepLR``.

    Attributes:
        at: Milestones: the steps, counted from the run's start, at which the learning rate falls.
        factor: What it is multiplied by there.
        n_warmup: Steps of the linear warm-up; no milestone may lie inside.
    """

    at: tuple[int, ...]
    factor: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive("factor", self.factor)
        for milestone in self.at:
            require_count("at", milestone)
        if any(later <= earlier for earlier, later in pairwise(self.at)):
            raise ValueError(f"at={self.at} is not in order; name each milestone once, rising.")
        if self.at and self.at[0] < self.n_warmup:
            raise ValueError(
                f"at={self.at} begins within the warm-up of n_warmup={self.n_warmup} steps; pass "
                "milestones after it."
            )

    def decay(self, step: int, n_steps: int) -> float:
        """A power of the factor."""
        return self.factor ** sum(milestone <= step for milestone in self.at)


@dataclass(frozen=True)
class InverseSqrt(Schedule):
    """1/√(1 + (t − n_warmup)/every) at step t, the quotient rounded down where ``in_steps``.

    With ``in_steps``, every = 512 and no warm-up it is the schedule of the CNNs of Nakkiran et al. 2020
    (arXiv 1912.02292, appendix B.2); without, and every = n_warmup, that of Vaswani et al. 2017
    (arXiv 1706.03762, section 5.3), whose learning rate at the end of the warm-up is lr.

    Attributes:
        every: Steps over which the square of the learning rate falls to one half.
        in_steps: Whether it changes once in so many steps, instead of at every one.
        n_warmup: Steps of the linear warm-up.
    """

    every: int = 512
    in_steps: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require_count("every", self.every)

    def decay(self, step: int, n_steps: int) -> float:
        """The inverse square root."""
        after = step - self.n_warmup
        passed = after // self.every if self.in_steps else after / self.every
        return 1 / math.sqrt(1 + passed)


@dataclass(frozen=True)
class Linear(Schedule):
    """1 up to the share ``start`` of the run, falling linearly to ``end`` at ``stop``, and ``end`` after.

    With s = step/n_steps it is 1 for s ≤ start, 1 − (1 − end)·(s − start)/(stop − start) up to
    s = stop, and end from there on: the schedule of SWAG (Maddox et al., arXiv 1902.02476), run_swag.py
    of github.com/izmailovpavel/understandingbdl.

    Attributes:
        start: Share of the run after which it falls.
        stop: Share of the run at which it has fallen.
        end: What is left of the learning rate.
        n_warmup: Steps of the linear warm-up.
    """

    start: float = 0.5
    stop: float = 0.9
    end: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("start", "stop", "end"):
            require_fraction(name, getattr(self, name))
        if not self.start < self.stop:
            raise ValueError(
                f"start={self.start} is not before stop={self.stop}; the learning rate falls in between."
            )

    def decay(self, step: int, n_steps: int) -> float:
        """The piecewise linear factor."""
        fallen = (step / n_steps - self.start) / (self.stop - self.start)
        return 1 - (1 - self.end) * min(max(fallen, 0.0), 1.0)
