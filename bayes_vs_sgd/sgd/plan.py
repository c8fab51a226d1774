"""When networks are looked at, kept and ended, counted in steps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..checks import require_count, require_positive

# Looking at the training error costs a forward pass over all rows, so it is done this often.
_EPOCHS_BETWEEN_LOOKS = 10
_MAX_EPOCHS = 1000


@dataclass(frozen=True)
class Plan:
    """The events of a run.

    Attributes:
        n_steps: Steps at most.
        keeps: Steps after which parameters are kept, in order, the last step among them.
        look_every: Steps between two looks.
        patience: In steps.
    """

    n_steps: int
    keeps: tuple[int, ...]
    look_every: int
    patience: int | None

    @classmethod
    def of(
        cls,
        steps_per_epoch: int,
        max_epochs: int | None,
        max_steps: int | None,
        checkpoints: Sequence[int],
        look_every: int | None,
        patience: int | None,
    ) -> "Plan":
        """The plan in steps of what was given in epochs, or in steps with ``max_steps``.

        Raises:
            ValueError: A count is none, both limits are given, or a checkpoint lies outside them.
        """
        if max_epochs is not None and max_steps is not None:
            raise ValueError(
                f"max_epochs={max_epochs} and max_steps={max_steps} both end the run; pass one of them."
            )
        unit = 1 if max_steps is not None else steps_per_epoch
        name = "max_steps" if max_steps is not None else "max_epochs"
        usual = max_epochs if max_epochs is not None else _MAX_EPOCHS
        limit = max_steps if max_steps is not None else usual
        require_count(name, limit)
        for argument, value in (("patience", patience), ("look_every", look_every)):
            if value is not None:
                require_count(argument, value)
        outside = [c for c in checkpoints if not 0 <= c <= limit]
        if outside:
            what = "steps" if max_steps is not None else "epochs"
            raise ValueError(
                f"checkpoints={outside} lie outside 0…{name}={limit}; name {what} inside."
            )
        parts = [c for c in checkpoints if c != int(c)]
        if parts:
            raise ValueError(f"checkpoints={parts} are no whole numbers; pass integers.")
        every = (
            look_every * unit if look_every is not None else _EPOCHS_BETWEEN_LOOKS * steps_per_epoch
        )
        return cls(
            n_steps=limit * unit,
            keeps=tuple(sorted({int(c) * unit for c in checkpoints} | {limit * unit})),
            look_every=every,
            patience=None if patience is None else patience * unit,
        )

    def looks_at(self, step: int) -> bool:
        """Whether the stopping rules look after this step."""
        return step % self.look_every == 0 or step == self.n_steps

    def next_event(self, step: int) -> int:
        """The first step after this one at which networks are looked at or kept."""
        look = (step // self.look_every + 1) * self.look_every
        keep = min(k for k in (*self.keeps, self.n_steps) if k > step)
        return min(look, keep)


def log_grid(stop: int, *, n: int = 50, start: int = 1) -> list[int]:
    """About ``n`` whole numbers from ``start`` to ``stop``, equally spaced on a log scale.

    For ``checkpoints``. Small numbers that would repeat are named once, so there may be fewer.

    Raises:
        ValueError: ``start`` is no positive count, ``stop`` lies below it, or ``n`` is under 2.
    """
    require_count("start", start)
    require_count("n", n, least=2)
    require_positive("stop", stop)
    if stop < start:
        raise ValueError(f"stop={stop} lies below start={start}; pass at least {start}.")
    return np.unique(np.rint(np.geomspace(start, stop, n)).astype(int)).tolist()
