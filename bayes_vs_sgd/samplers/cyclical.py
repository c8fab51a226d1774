"""The draws of the sampling stages of a cyclical sampler."""

import jax
import numpy as np

from ..types import Draws


def sampling_stage(draws: Draws) -> Draws:
    """The draws that updates with noise made; those of the exploration stages are no draws.

    The stages are the same in all chains, so the result is rectangular again. With ``thin`` the last
    iteration of a draw decides.

    Args:
        draws: Of a sampler whose ``step_size`` is ``CosineCycles``.

    Returns:
        ``Draws`` with fewer draws; ``last`` and ``info`` are those of the run.

    Raises:
        ValueError: The sampler has no stages, or no draw is of a sampling stage.
    """
    if "sampling_stage" not in draws.stats:
        raise ValueError(
            "these draws have no sampling stages; pass those of a sampler with "
            "step_size=CosineCycles(…)."
        )
    kept = np.flatnonzero(np.asarray(draws.stats["sampling_stage"])[0])
    if len(kept) == 0:
        raise ValueError(
            f"none of the {draws.n_draws} draws is of a sampling stage; raise n_draws, lower "
            "exploration, or choose thin so that it does not step over the stages."
        )
    params = jax.tree.map(lambda a: a[:, kept], draws.params)
    stats = {name: np.asarray(value)[:, kept] for name, value in draws.stats.items()}
    return Draws(params, stats, draws.last, draws.info)
