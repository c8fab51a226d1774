"""A local volume with what it rests on, and whether it can be trusted."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from ...types import Estimate

# Fewer directions than this carry no mean.
MIN_EFFECTIVE = 10
# Nats that the search for the radii may leave open, and the share of the mass that may be outside.
MAX_RESOLUTION = 0.5
MIN_SHARE_INSIDE = 0.9


@dataclass(frozen=True)
class LocalVolume:
    """The log of a prior mass, in nats.

    Attributes:
        log_volume: log P̂ and its standard error by the delta method.
        bootstrap_sem: The same error from resampled directions.
        interval: The central 95 % of the resamples.
        effective_directions: (Σw)²/Σw² over the terms w of all directions.
        share_inside: The share of P̂ at random points of the rays that is inside indeed. Below 1, rays
            have left and come back between two radii of the search; P̂·share is the lower bound then.
        resolution: Nats that the radii leave open: log P̂ is at radii inside, and this much higher at
            the next radii outside.
        n_unbounded: Rays that are inside as far as the prior has mass.
        n_without_length: Rays that are outside from the start; their terms are 0.
        n_evaluations: How often the region was asked, all rays together.
        dimension: d.
        log_terms: The logarithm of each direction's term.
        radii: Where each ray leaves, in the coordinates in which the prior is N(0, I).
    """

    log_volume: Estimate
    bootstrap_sem: float
    interval: tuple[float, float]
    effective_directions: float
    share_inside: Estimate
    resolution: float
    n_unbounded: int
    n_without_length: int
    n_evaluations: int
    dimension: int
    log_terms: Float[np.ndarray, " n"] = field(repr=False)
    radii: Float[np.ndarray, " n"] = field(repr=False)

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why the number cannot be trusted, a sentence each; empty where nothing speaks against it."""
        found = []
        if not self.effective_directions >= MIN_EFFECTIVE:
            found.append(
                f"{self.effective_directions:.1f} of {len(self.radii)} directions carry it, fewer than "
                f"{MIN_EFFECTIVE}: it is most likely too low, and its errors too small; precondition, or "
                "draw more directions"
            )
        if not self.resolution <= MAX_RESOLUTION:
            found.append(
                f"the radii leave {self.resolution:.2g} nats open; lower the tolerance, or compute in "
                "float64"
            )
        if not self.share_inside.value >= MIN_SHARE_INSIDE:
            found.append(
                f"{1 - self.share_inside.value:.0%} of the mass that it counts is outside the region; "
                "lower the growth from radius to radius"
            )
        return tuple(found)

    @property
    def trusted(self) -> bool:
        """Whether nothing speaks against the number."""
        return not self.doubts

    def __str__(self) -> str:
        text = (
            f"log volume {self.log_volume} nats, {self.effective_directions:.1f} effective of "
            f"{len(self.radii)} directions in {self.dimension} dimensions"
        )
        return text if self.trusted else f"{text}; it cannot be trusted: {'; '.join(self.doubts)}."
