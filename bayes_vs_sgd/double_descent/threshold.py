"""Where a model family begins to fit its training data."""

from collections.abc import Sequence

import numpy as np

from ..checks import require_fraction


def threshold(
    complexity: Sequence[float], train_error: Sequence[float], epsilon: float = 0.01
) -> float | None:
    """The least complexity whose mean training error is at most ``epsilon``.

    Args:
        complexity: Increasing, shape (k,).
        train_error: Mean training error at each, shape (k,).
        epsilon: What counts as fitting (0.01 in Nakkiran et al. 2020, section 2).

    Returns:
        The complexity, or None where none fits.
    """
    require_fraction("epsilon", epsilon)
    fits = np.flatnonzero(np.asarray(train_error) <= epsilon)
    return float(complexity[fits[0]]) if len(fits) else None
