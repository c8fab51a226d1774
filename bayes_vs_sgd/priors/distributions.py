"""Priors as NumPyro has them: a distribution for every variable."""

from typing import Any

from .prior import Shapes


def distributions_of(prior: Any, shapes: Shapes) -> dict[str, Any]:
    """The prior's NumPyro distribution of every variable, by name.

    Raises:
        ValueError: The prior has no ``distributions``.
    """
    if not hasattr(prior, "distributions"):
        raise ValueError(
            f"{type(prior).__name__} does not say its NumPyro distributions; give it a method "
            "distributions(shapes) that returns one for every variable."
        )
    return prior.distributions(shapes)


def shaped(distribution: Any, shape: tuple[int, ...]) -> Any:
    """The same NumPyro distribution for every entry, together one event."""
    return distribution.expand(shape).to_event(len(shape))
