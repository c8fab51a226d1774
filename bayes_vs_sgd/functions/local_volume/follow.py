"""Many rays from one centre, followed to their ends in pieces that fit in memory."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ...checks import require_count, require_positive
from ...programs import found_again
from ...samplers.devices import ChainMap
from .coordinates import Coordinates
from .law import Normal
from .radii import Program, program
from .ray import log_ray_integral, radius_at
from .regions import Region

# Beyond |z*| + √d + 12 a ray has less than e⁻⁷² of its mass.
_BEYOND = 12.0
# Entries of directions that are held at once.
_ENTRIES = 2**24
# Rays side by side on an accelerator; a CPU is faster with one after another.
_LANES = 128


@dataclass(frozen=True)
class Rays:
    """How many rays, and how each is followed.

    Attributes:
        n_directions: K.
        start: The first radius, as a share of the length that the law of the directions expects.
        growth: Factor from radius to radius on the way out; the smaller, the fewer exits are missed.
        tolerance: The radius is known so well that log(r^d) is known to so many nats, as far as
            the numbers' precision goes.
        n_at_once: Rays that one device takes side by side; None for what suits it.
    """

    n_directions: int = 100
    start: float = 1 / 64
    growth: float = 2.0
    tolerance: float = 0.01
    n_at_once: int | None = None

    def __post_init__(self) -> None:
        require_count("n_directions", self.n_directions, least=2)
        require_positive("start", self.start)
        require_positive("tolerance", self.tolerance)
        if not 1 < self.growth < float("inf"):
            raise ValueError(f"growth={self.growth} is not possible; pass a number above 1.")
        if self.n_at_once is not None:
            require_count("n_at_once", self.n_at_once)


@dataclass(frozen=True)
class Found:
    """What is known of every ray.

    Attributes:
        log_terms: What its direction contributes.
        radii: Where it leaves.
        resolutions: How much more its logarithm would be at the next radius outside.
        inside: Whether a random point of its mass is inside.
        n_evaluations: How often the region was asked.
    """

    log_terms: np.ndarray
    radii: np.ndarray
    resolutions: np.ndarray
    inside: np.ndarray
    n_evaluations: np.ndarray

    def parts(self) -> tuple[np.ndarray, ...]:
        """All of it, in order, to be joined with that of other rays."""
        return self.log_terms, self.radii, self.resolutions, self.inside, self.n_evaluations


@dataclass(frozen=True)
class Search:
    """A region, a centre and a law of directions.

    Attributes:
        region: What is measured.
        coordinates: Those in which the prior is N(0, I).
        centre: z*.
        law: x, whose x/|x| is a direction.
        rays: How each is followed.
    """

    region: Region
    coordinates: Coordinates
    centre: Float[np.ndarray, " d"]
    law: Normal
    rays: Rays

    @property
    def n_in_a_chunk(self) -> int:
        """Directions that are held in memory together."""
        n_most = max(1, _ENTRIES // len(self.centre))
        n_chunks = -(-self.rays.n_directions // n_most)
        return -(-self.rays.n_directions // n_chunks)

    def require_inside(self) -> None:
        """Refuse a centre that is not inside.

        Raises:
            ValueError: It is not.
        """
        params = self.coordinates.params(jnp.asarray(self.centre, _dtype()))
        if not bool(jax.jit(self.region.inside)(params, self.region.data)):
            raise ValueError(
                "the centre is not inside the region; pass the parameters that the region was made "
                "around."
            )

    def follow(self, key: PRNGKeyArray, start: int, stop: int, rng: np.random.Generator) -> Found:
        """Directions ``start`` … ``stop`` − 1 to their ends, and a random point of each."""
        x = self.law.draw(_standard_normals(key, start, stop, len(self.centre)))
        lengths = np.linalg.norm(x, axis=1)
        u = x / lengths[:, None]
        d, slopes = len(self.centre), u @ self.centre
        run = self._program(stop - start)
        on_device = jnp.asarray(u, _dtype())
        low, high, n_evaluations = self._exits(run, on_device, lengths)
        radii = np.where(np.isinf(high) & (low > 0), np.inf, low)
        masses = log_ray_integral(radii, slopes, d)
        constant = -0.5 * self.centre @ self.centre - self.law.log_angular_density(u)
        has_length = radii > 0
        resolutions, points = np.zeros_like(radii), np.zeros_like(radii)
        resolutions[has_length] = (log_ray_integral(high, slopes, d) - masses)[has_length]
        quantiles = rng.uniform(size=len(radii))[has_length]
        points[has_length] = radius_at(quantiles, radii[has_length], slopes[has_length], d)
        inside = np.asarray(run.contains(on_device, jnp.asarray(points, _dtype()), *self._shared()))
        return Found(masses + constant, radii, resolutions, inside, n_evaluations)

    def _program(self, n_rays: int) -> Program:
        n_at_once = self.rays.n_at_once
        if n_at_once is None:
            n_at_once = 1 if jax.default_backend() == "cpu" else _LANES
        return program(self.region.inside, self.coordinates, n_rays, n_at_once)

    def _shared(self) -> tuple[Array, Any]:
        return jnp.asarray(self.centre, _dtype()), self.region.data

    def _exits(
        self, run: Program, u: Array, lengths: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        centre, data = self._shared()
        d = len(self.centre)
        largest = float(np.linalg.norm(self.centre)) + d**0.5 + _BEYOND
        starts = np.minimum(self.rays.start * lengths, largest)
        numbers = (largest, self.rays.tolerance / d, self.rays.growth)
        largest_, tolerance, growth = (jnp.asarray(number, _dtype()) for number in numbers)
        found = run.search(
            u, jnp.asarray(starts, _dtype()), centre, largest_, tolerance, growth, data
        )
        low, high = (np.asarray(a, dtype=np.float64) for a in (found.low, found.high))
        return low, high, np.asarray(found.n_evaluations, dtype=np.int64)


def _standard_normals(
    key: PRNGKeyArray, start: int, stop: int, dimension: int
) -> Float[np.ndarray, "n d"]:
    with jax.enable_x64(True):
        return np.asarray(_draws(stop - start, dimension)(np.arange(start, stop), key))


@found_again(32)
def _draws(n: int, dimension: int) -> Callable[[np.ndarray, PRNGKeyArray], Float[Array, "n d"]]:
    """(Numbers of n directions, key) → a vector of standard normals for each, on all devices."""

    def draw(numbers: Int[Array, " n"], key: PRNGKeyArray) -> Float[Array, "n d"]:
        def one(number: Array) -> Array:
            return jax.random.normal(jax.random.fold_in(key, number), (dimension,), jnp.float64)

        return jax.lax.map(one, numbers)

    return ChainMap(n).jit(draw, n_shared=1)


def _dtype() -> Any:
    """The precision that JAX computes in."""
    return jnp.float64 if jax.config.jax_enable_x64 else jnp.float32
