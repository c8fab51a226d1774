"""Where rays leave a region: a compiled search over many directions on all devices."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ...programs import found_again
from ...samplers.devices import ChainMap
from .along import along
from .coordinates import Coordinates
from .regions import Inside

# A ray that is outside at this share of where it starts has no length.
_SHORTEST = 2.0**-40


class Exit(NamedTuple):
    """Where a ray leaves.

    Attributes:
        low: The largest radius seen inside, 0 where there was none.
        high: A radius outside that lies just above; infinite where the ray never leaves.
        n_evaluations: How often the region was asked.
    """

    low: Array
    high: Array
    n_evaluations: Array


class Program(NamedTuple):
    """The compiled functions of a region.

    Attributes:
        search: (directions (n, d), starts (n,), centre, largest, tolerance, growth, data) → ``Exit``
            of every ray.
        contains: (directions (n, d), radii (n,), centre, data) → whether centre + radius·direction is
            inside, for every ray.
    """

    search: Callable[..., Exit]
    contains: Callable[..., Array]


@found_again(32)
def program(inside: Inside, coordinates: Coordinates, n_rays: int, n_at_once: int) -> Program:
    """The program for ``n_rays`` rays, found again where it was compiled before.

    Args:
        inside: (params, data) → whether they belong to the region.
        coordinates: How whitened vectors become parameters.
        n_rays: Rays of one call, spread over the devices.
        n_at_once: Rays that one device takes side by side; side by side they wait for the longest.
    """
    rays = ChainMap(n_rays)

    def search(
        directions: Array, starts: Array, centre: Array, largest: Array, tolerance: Array,
        growth: Array, data: Any,
    ) -> Exit:  # fmt: skip
        def one(ray: tuple[Array, Array]) -> Exit:
            direction, start = ray

            def contains(z: Array) -> Bool[Array, ""]:
                return inside(coordinates.params(z), data)

            is_inside = along(contains, centre, direction)
            return first_exit(is_inside, start, largest, tolerance, growth)

        return jax.lax.map(one, (directions, starts), batch_size=_lanes(n_at_once, len(starts)))

    def contains(directions: Array, radii: Array, centre: Array, data: Any) -> Array:
        def one(point: tuple[Array, Array]) -> Bool[Array, ""]:
            direction, radius = point
            return inside(coordinates.params(centre + radius * direction), data)

        return jax.lax.map(one, (directions, radii), batch_size=_lanes(n_at_once, len(radii)))

    return Program(rays.jit(search, n_shared=5), rays.jit(contains, n_shared=2))


def first_exit(
    is_inside: Callable[[Array], Bool[Array, ""]],
    start: Float[Array, ""],
    largest: Float[Array, ""],
    tolerance: Float[Array, ""],
    growth: Float[Array, ""],
) -> Exit:
    """Go out from ``start`` by factors of ``growth`` until outside, then halve between the last two.

    Where the start is outside already, go in by the same factors until inside. An exit and a return
    between two radii of the way out are not seen.

    Args:
        is_inside: Radius → whether the ray is inside there.
        start: The first radius.
        largest: A ray that is inside there never leaves.
        tolerance: (high − low)/high at which halving ends.
        growth: Greater than 1.
    """

    def trial(low: Array, high: Array) -> Array:
        outwards = jnp.where(low > 0, jnp.minimum(low * growth, largest), start)
        inwards = jnp.where(low > 0, 0.5 * (low + high), high / growth)
        return jnp.where(jnp.isinf(high), outwards, inwards)

    def goes_on(found: Exit) -> Array:
        low, high, _ = found
        middle = trial(low, high)
        open_above = jnp.isinf(high) & (low < largest)
        narrow = (high - low <= tolerance * high) | (middle <= low) | (middle >= high)
        open_between = jnp.isfinite(high) & (low > 0) & ~narrow
        open_below = jnp.isfinite(high) & (low == 0) & (high > _SHORTEST * start)
        return open_above | open_between | open_below

    def step(found: Exit) -> Exit:
        low, high, n = found
        radius = trial(low, high)
        inside = is_inside(radius)
        return Exit(jnp.where(inside, radius, low), jnp.where(inside, high, radius), n + 1)

    zero = jnp.zeros_like(start)
    begun = Exit(zero, jnp.full_like(start, jnp.inf), jnp.zeros(start.shape, jnp.int32))
    return jax.lax.while_loop(goes_on, step, begun)


def _lanes(n_at_once: int, n_rays: int) -> int | None:
    """The batch size of ``lax.map``; None for one after another, without a batch axis."""
    lanes = min(n_at_once, n_rays)
    return lanes if lanes > 1 else None
