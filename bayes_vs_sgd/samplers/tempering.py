"""A target between what is always there and the whole, by the power of its tempered part."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from .kernel import Density, LogDensity


def parts(target: Any) -> tuple[LogDensity, LogDensity]:
    """(log of what stays, log of what is tempered); their sum is the target's log density.

    Of a ``Posterior`` the prior stays and likelihood^(1/T) is tempered; of a plain density nothing
    stays.
    """
    if hasattr(target, "log_likelihood"):
        return target.log_prior, lambda p: target.total_log_likelihood(p) / target.temperature
    return lambda params: jnp.zeros(()), target.log_density


def tempered(target: Any, inverse_temperature: float | Array) -> Density:
    """The target with log density log(what stays) + β·log(what is tempered).

    Args:
        target: A ``Posterior`` or a ``Density``.
        inverse_temperature: β; it may be traced.
    """
    stays, tilts = parts(target)
    return Density(lambda params: stays(params) + inverse_temperature * tilts(params))
