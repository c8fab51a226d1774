"""What the step size of Langevin chains adds to the estimate, at every centre."""

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ...programs import found_again
from ...samplers import SGLD, Constant, Sampler
from ...samplers.targets import Template, split_data
from ...types import Estimate
from ..local_volume.hutchinson import probe
from .localized import Localized
from .quadratic import step_size_bias


def step_size_biases(
    key: PRNGKeyArray,
    target: Localized,
    centres: Float[Array, "n d"],
    sampler: Sampler,
    n_probes: int,
) -> list[Estimate | None]:
    """ε·nβ·tr(H)/8 of ``SGLD`` with a constant step, H = ∇²L_n at each centre by Hutchinson's estimator.

    Args:
        key: Source of randomness.
        target: L_n, n and β.
        centres: One a row.
        sampler: What runs the chains.
        n_probes: Products with H at each centre.

    Returns:
        One a centre; None for other samplers, and where the step size varies.
    """
    step = _constant_step(sampler)
    if step is None:
        return [None] * len(centres)
    template, data = split_data(target)
    keys = jax.random.split(key, n_probes)
    traces = np.asarray(_traces(template)(keys, centres, data), dtype=np.float64)
    biases = np.asarray(step_size_bias(traces, n_beta=target.n_beta, step_size=step))
    sems = biases.std(axis=1, ddof=1) / math.sqrt(n_probes)
    return [Estimate(float(b), float(s)) for b, s in zip(biases.mean(axis=1), sems, strict=True)]


def _constant_step(sampler: Sampler) -> float | None:
    if not isinstance(sampler, SGLD):
        return None
    step = sampler.step_size
    if isinstance(step, Constant):
        return step.step_size
    return float(step) if isinstance(step, int | float) else None


@found_again(32)
def _traces(template: Template) -> Callable[..., Array]:
    """(keys, centres, data) → vᵀHv of every centre and key."""

    def cost(params: Any, data: Any) -> Array:
        return template(data).mean_loss(params)

    def traces(keys: Any, centres: Any, data: Any) -> Array:
        def one(centre: Array, key: PRNGKeyArray) -> Array:
            return probe(key, cost, centre, data).sum()

        return jax.lax.map(lambda centre: jax.lax.map(lambda k: one(centre, k), keys), centres)

    return jax.jit(traces)
