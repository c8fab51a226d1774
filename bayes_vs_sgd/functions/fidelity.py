"""Agreement and total variation between predictions (Izmailov et al. 2021, section 3)."""

import numpy as np
from jaxtyping import Float

from ..types import Estimate


def agreement(
    log_probs: Float[np.ndarray, "... n c"], reference: Float[np.ndarray, "n c"]
) -> Estimate:
    """Share of rows on which the most probable class is the same: mean 1[argmax p = argmax q].

    Args:
        log_probs: Predictions; leading axes are averaged over.
        reference: The predictions compared with.

    Returns:
        The share, with its standard error over rows.
    """
    same = log_probs.argmax(axis=-1) == reference.argmax(axis=-1)
    return _over_rows(same.astype(np.float64))


def total_variation(
    log_probs: Float[np.ndarray, "... n c"], reference: Float[np.ndarray, "n c"]
) -> Estimate:
    """Mean total variation ½ Σ_c |p_c − q_c| over rows.

    Args:
        log_probs: Predictions; leading axes are averaged over.
        reference: The predictions compared with.

    Returns:
        The mean, with its standard error over rows.
    """
    return _over_rows(0.5 * np.abs(np.exp(log_probs) - np.exp(reference)).sum(axis=-1))


def _over_rows(values: Float[np.ndarray, "... n"]) -> Estimate:
    rows = values.reshape(-1, values.shape[-1]).mean(axis=0)
    return Estimate(float(rows.mean()), float(rows.std(ddof=1) / np.sqrt(len(rows))))
