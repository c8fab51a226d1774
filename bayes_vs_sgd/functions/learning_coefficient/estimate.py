"""The local learning coefficient of any network, around one solution or many, by any sampler."""

import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ...posterior import Posterior
from ...programs import found_again
from ...samplers import Sampler, sample
from ...samplers.devices import count_chains
from ...samplers.targets import Template, split_data
from ...types import Draws, Estimate
from .bias import step_size_biases
from .chains import effective_sample_size, mean_error, rank_rhat
from .localized import Around, Localized
from .result import LearningCoefficient
from .settings import LocalChains

# Beyond the numbers of all chains, whose keys are folded from the same one.
_PROBES = 2**31 - 2


def learning_coefficient(
    key: PRNGKeyArray,
    posterior: Posterior,
    centre: Any,
    sampler: Sampler,
    *,
    chains: LocalChains = LocalChains(),  # noqa: B008
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> LearningCoefficient:
    """λ̂ = nβ·[E L_n(w) − L_n(w*)] under p(w | w*) ∝ exp(−nβ·L_n(w) − (γ/2)·|w − w*|²).

    L_n(w) = −(1/n) Σ_i log p(data_i | w) is the mean loss over the n rows; the prior and the temperature
    of ``posterior`` take no part. All chains start at w*, and the burn-in is left out of the average.

    With an accept step (``HMC``, ``NUTS``) the chains sample that density. **SGLD does not.** For a
    quadratic loss of curvatures h each term ½·nβh/a of λ̂, a = nβh + γ, is divided by 1 − εa/4, to first
    order ε·nβ·tr(H)/8 more in all, which is estimated and reported (not subtracted). The noise of
    mini-batches of b rows comes on top: gradients that vary by s² around their mean multiply a term
    by 1 + εs²/4. For a well-specified model and batches drawn independently s² = (nβ)²h/b, so that λ̂
    grows by nβ/b times the step size's bias once more; batches without replacement, as here, add
    less. And with ``loss="batch"`` the rows that an epoch has not used yet have a higher loss than
    those it has; ``loss="full"`` is free of that.

    Args:
        key: Source of randomness.
        posterior: Its likelihood and data are those of L_n.
        centre: w*, parameters by name; usually a minimum of L_n.
        sampler: ``SGLD(step_size=…, batch_size=…)``, ``HMC(…)``, or another whose chains are alone.
        chains: Number and length of the chains, β, γ, and which loss is averaged.
        checkpoint: A folder that makes the run resumable, as for ``samplers.sample``.
        progress: Show iterations, acceptance and the time left.

    Returns:
        λ̂ with its Monte Carlo error, and the chains' diagnostics.

    Raises:
        ValueError: A setting is not possible, the loss is not finite at the centre, or ``loss="batch"``
            is asked of a sampler without batches.

    Source:
        Lau, Furman, Wang, Murfet & Wei 2023, "The local learning coefficient" (arXiv 2308.12108).
    """
    centres = jax.tree.map(lambda a: jnp.asarray(a)[None], centre)
    return learning_coefficients(
        key, posterior, centres, sampler, chains=chains, checkpoint=checkpoint, progress=progress
    )[0]


def learning_coefficients(
    key: PRNGKeyArray,
    posterior: Posterior,
    centres: Any,
    sampler: Sampler,
    *,
    chains: LocalChains = LocalChains(),  # noqa: B008
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> list[LearningCoefficient]:
    """``learning_coefficient`` around many centres at once, as one program over all devices.

    Args:
        key: Source of randomness; chain j around centre i depends on it and on i·n_chains + j alone.
        posterior: As for one centre.
        centres: Parameters by name with a leading axis of centres, such as trained networks.
        sampler: As for one centre.
        chains: As for one centre.
        checkpoint: A folder that makes the run resumable.
        progress: Show how far it is.

    Returns:
        One result a centre.

    Raises:
        ValueError: As for one centre.
    """
    chains.require_sampler(sampler)
    n_centres = count_chains(centres)
    target = chains.target(posterior, {name: np.shape(a)[1:] for name, a in centres.items()})
    flat = [jnp.reshape(jnp.asarray(a), (n_centres, -1)) for a in centres.values()]
    places = jnp.concatenate(flat, axis=1)
    starts = jnp.repeat(places, chains.n_chains, axis=0)
    is_full = chains.loss == "full"
    draws = sample(
        key, target, {"centre": starts, "position": starts}, Around(sampler, chains.loss),
        n_warmup=chains.n_burn_in, n_draws=chains.n_draws, thin=chains.thin,
        collect=_loss if is_full else _nothing, checkpoint=checkpoint, progress=progress,
    )  # fmt: skip
    template, data = split_data(target)
    lowest = np.asarray(_mean_losses(template)(places, data), dtype=np.float64)
    key_probes = jax.random.fold_in(key, _PROBES)
    biases = step_size_biases(key_probes, target, places, sampler, chains.n_probes)
    losses = np.asarray(draws.params if is_full else draws.stats["batch_loss"], np.float64)
    return [
        _result(
            draws,
            losses,
            slice(i * chains.n_chains, (i + 1) * chains.n_chains),
            at_centre,
            bias,
            target,
        )
        for i, (at_centre, bias) in enumerate(zip(lowest.tolist(), biases, strict=True))
    ]


def _loss(params: Any) -> Array:
    return params["loss"]


def _nothing(params: Any) -> tuple[()]:
    return ()


@found_again(32)
def _mean_losses(template: Template) -> Any:
    """(centres, data) → L_n at each."""
    return jax.jit(lambda centres, data: jax.lax.map(template(data).mean_loss, centres))


def _result(
    draws: Draws,
    all_losses: Float[np.ndarray, "chain draw"],
    chains: slice,
    at_centre: float,
    bias: Estimate | None,
    target: Localized,
) -> LearningCoefficient:
    losses = all_losses[chains]
    gains = target.n_beta * (losses - at_centre)
    ran = np.isfinite(gains).all(axis=1)
    value, sem, ess, rhat = (math.nan,) * 4
    if ran.any():
        value, sem = float(gains[ran].mean()), mean_error(gains[ran])
        ess, rhat = effective_sample_size(gains[ran]), rank_rhat(gains[ran])
    stats = {name: np.asarray(values)[chains] for name, values in draws.stats.items()}
    accepted = stats.get("acceptance_rate")
    return LearningCoefficient(
        estimate=Estimate(value, sem),
        by_chain=np.where(ran, gains.mean(axis=1), np.nan),
        loss_at_centre=at_centre,
        losses=losses,
        ess=ess,
        rhat=rhat,
        step_size_bias=bias,
        acceptance=None if accepted is None else accepted.mean(axis=1),
        n_divergences=int(stats["diverging"].sum()) if "diverging" in stats else 0,
        n_stopped=int((~ran).sum()),
        n_beta=target.n_beta,
        localization=target.localization,
        last=target.by_name(draws.last["position"][chains]),
        info=draws.info,
    )
