"""A NumPyro model as a target: any sampler here, on its unconstrained variables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
from jaxtyping import Array, Float, PRNGKeyArray


@dataclass(frozen=True)
class NumPyroTarget:
    """The log density of a NumPyro model, made by ``from_numpyro``.

    Attributes:
        log_density: Unconstrained variables by the names of the sites → log density, the log
            Jacobians of their constraints included.
        params: Unconstrained variables → the values of all sites, deterministic ones included; what
            to pass as ``collect=``.
        draw_prior: (key, n) → unconstrained draws of the prior with a leading axis of ``n``.
    """

    log_density: Callable[[Any], Float[Array, ""]]
    params: Callable[[Any], dict[str, Array]]
    draw_prior: Callable[[PRNGKeyArray, int], dict[str, Array]]


def from_numpyro(
    model: Callable[..., Any], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
) -> NumPyroTarget:
    """A NumPyro model as a target of ``sample``, with the transformations NumPyro chooses.

    ``target = from_numpyro(model, (x, y))``, then
    ``sample(key, target, target.draw_prior(key, 4), HMC(), collect=target.params, ...)``.

    Args:
        model: With ``numpyro.sample`` sites; the data are constants of the compiled run.
        args: Arguments of the model.
        kwargs: Keyword arguments of the model.

    Raises:
        ValueError: A site that is not observed is discrete, or a plate takes a part of its rows.
    """
    from numpyro.handlers import seed, trace
    from numpyro.infer.util import constrain_fn, potential_energy, unconstrain_fn

    keywords = dict(kwargs or {})

    def sites(key: PRNGKeyArray) -> dict[str, Any]:
        return trace(seed(model, key)).get_trace(*args, **keywords)

    def draw(key: PRNGKeyArray) -> dict[str, Array]:
        values = {name: site["value"] for name, site in sites(key).items() if _is_sampled(site)}
        return unconstrain_fn(model, args, keywords, values)

    jax.eval_shape(lambda key: _require_a_density(sites(key)), jax.random.key(0))
    return NumPyroTarget(
        log_density=lambda variables: -potential_energy(model, args, keywords, variables),
        params=lambda variables: constrain_fn(
            model, args, keywords, variables, return_deterministic=True
        ),
        draw_prior=lambda key, n: jax.jit(jax.vmap(draw))(jax.random.split(key, n)),
    )


def _is_sampled(site: Mapping[str, Any]) -> bool:
    return site["type"] == "sample" and not site["is_observed"]


def _require_a_density(sites: Mapping[str, Any]) -> None:
    for name, site in sites.items():
        if site["type"] == "plate" and (site["args"][1] or site["args"][0]) < site["args"][0]:
            raise ValueError(
                f"the plate {name!r} takes {site['args'][1]} of its {site['args'][0]} rows at random, "
                "so the model has no fixed density; let it take all of them."
            )
        if _is_sampled(site) and site["fn"].is_discrete:
            raise ValueError(
                f"the site {name!r} is discrete and has no gradient; sum over its values in the "
                "model."
            )
