"""The prior mass of what rays from a solution see of a region: its local volume."""

from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from ...priors import Prior
from ...types import Estimate
from .coordinates import Coordinates
from .directions import Directions, Uniform
from .follow import Found, Rays, Search
from .mean import log_mean_exp
from .regions import Region
from .result import LocalVolume


def local_volume(
    key: PRNGKeyArray,
    region: Region,
    centre: Any,
    prior: Prior,
    *,
    directions: Directions = Uniform(),  # noqa: B008
    rays: Rays = Rays(),  # noqa: B008
) -> LocalVolume:
    """The log of the prior mass of a region, as far as straight rays from a solution see it.

    In the coordinates z in which the prior is N(0, I), with z* the centre, u = x/|x| for x drawn by
    ``directions``, r(u) the first exit of the ray z* + r·u and I(R, b) = ∫₀ᴿ r^{d−1} exp(−r²/2 − b·r) dr:

        P = (1/K) Σ_k exp[log I(r(u_k), u_k·z*) − |z*|²/2 − log q(u_k)]

    q(u) = (2π)^{d/2} ∫₀^∞ r^{d−1} p(r·u) dr, p the density of x. For the standard normal q is the
    constant 2^{d/2−1}Γ(d/2), and for a centre at the prior mean P = E_u[gammainc(d/2, r(u)²/2)].
    P̂ is unbiased for the prior mass of the star-shaped part of the region around θ*; its logarithm is
    too low on average (Jensen), by much where few directions carry the mean.

    **It is a lower bound of a function's probability.** The parameters of one function, or of one
    cost, need be neither star-shaped around θ* nor connected: with ``same_function`` P ≤ P(f).

    What is affine along a ray, such as the outputs of a first layer, is computed once a ray.

    Args:
        key: Source of randomness; direction k depends on it and on k alone.
        region: Made by ``cost_below`` or ``same_function``, or any (params, data) → bool.
        centre: θ*, parameters by name, inside the region.
        prior: Independent normals: Normal, FanIn, Independent or TorchDefault("normal").
        directions: ``Uniform``, ``Preconditioned`` or ``Tilted``.
        rays: Their number, and how each is followed.

    Returns:
        The log volume in nats with its errors, and what they rest on.

    Raises:
        ValueError: The centre is not inside the region, its names are not finite arrays, or the prior
            is no product of normals or has width 0 somewhere.

    Source:
        Scherlis & Belrose 2025, "Estimating the probability of sampling a trained neural network at
        random" (arXiv 2501.18812), for the radial estimator and preconditioners.
    """
    shapes = {name: tuple(np.shape(value)) for name, value in centre.items()}
    coordinates = Coordinates.of(prior, shapes)
    place = coordinates.z(centre)
    law = directions.law(coordinates, place)
    search = Search(region, coordinates, place, law, rays)
    search.require_inside()
    key_directions, key_errors = jax.random.split(key)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key_errors)))
    size = search.n_in_a_chunk
    chunks = [
        search.follow(key_directions, start, min(start + size, rays.n_directions), rng)
        for start in range(0, rays.n_directions, size)
    ]
    found = Found(*(np.concatenate(parts) for parts in zip(*map(Found.parts, chunks), strict=True)))
    return _result(found, rng, coordinates.dimension)


def _result(found: Found, rng: np.random.Generator, dimension: int) -> LocalVolume:
    mean = log_mean_exp(found.log_terms, rng)
    top = found.log_terms.max()
    weights = np.exp(found.log_terms - top) if np.isfinite(top) else np.zeros_like(found.log_terms)
    share, sem, resolution = np.nan, np.nan, np.nan
    if weights.sum() > 0:
        resolution = float(np.log(weights @ np.exp(found.resolutions) / weights.sum()))
        share = float(weights @ found.inside / weights.sum())
        sem = float(np.sqrt((weights**2 * (found.inside - share) ** 2).sum()) / weights.sum())
    return LocalVolume(
        log_volume=mean.estimate,
        bootstrap_sem=mean.bootstrap_sem,
        interval=mean.interval,
        effective_directions=mean.effective,
        share_inside=Estimate(share, sem),
        resolution=resolution,
        n_unbounded=int(np.isinf(found.radii).sum()),
        n_without_length=int((found.radii == 0).sum()),
        n_evaluations=int(found.n_evaluations.sum() + len(found.radii)),
        dimension=dimension,
        log_terms=found.log_terms,
        radii=found.radii,
    )
