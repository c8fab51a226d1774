"""How arms are computed: a method is one computation that gives one or more arms."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayes_vs_sgd import double_descent

from . import chains, descent, early, exact, maxima, population
from .found import Found

if TYPE_CHECKING:
    from ..config import Config
    from ..problem import Problem

# Axes of the posterior alone, on which SGD and its averages stand still.
_POSTERIOR_AXES = ("temperature", "prior", "warmup", "draws")
_LINEAR = ("linear", "random_features")


@dataclass(frozen=True)
class Method:
    """One way of finding functions.

    Attributes:
        arms: What it can give.
        compute: (problem, the arms wanted, places along epochs or None) → what was found.
        axes: Axes of the posterior along which it changes.
        follows: Arms that one computation gives at all places along epochs; the others have no epochs.
    """

    arms: tuple[str, ...]
    compute: Callable[["Problem", tuple[str, ...], tuple[int, ...] | None], Found]
    axes: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()


# The order seeds the cells.
METHODS: Mapping[str, Method] = {
    "sgd": Method(
        ("sgd", "deep_ensemble", "swa", "swag", "multiswag"),
        descent.compute,
        follows=("sgd", "deep_ensemble", "swa"),
    ),
    "map": Method(("map", "laplace"), maxima.compute, ("temperature", "prior")),
    "hmc": Method(("draw", "bma"), chains.reference, _POSTERIOR_AXES, ("draw", "bma")),
    "early": Method(("sgd_early",), early.compute),
    "map_tuned": Method(("map_tuned",), maxima.tuned, ("temperature",)),
    "nuts": Method(("nuts",), chains.nuts, _POSTERIOR_AXES),
    "mclmc": Method(("mclmc",), chains.mclmc, _POSTERIOR_AXES),
    "sghmc": Method(("sghmc",), chains.sghmc, ("temperature", "prior")),
    "csgld": Method(("csgld",), chains.csgld, ("temperature", "prior")),
    "smc": Method(("smc",), population.compute, ("temperature", "prior")),
    "exact": Method(
        ("min_norm", "exact_map", "exact_draw", "exact_bma"),
        exact.compute,
        ("temperature", "prior"),
    ),
}

# The methods with variants, and the arms that have them.
VARIED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "T": {"hmc": ("draw", "bma")},
    "prior": {"map": ("map",), "hmc": ("draw", "bma")},
}


def possible_arms(config: "Config") -> list[str]:
    """The arms that these settings can have, in the order of ``double_descent.ARMS``."""
    allowed: set[str] = set()
    for name, method in METHODS.items():
        if name == "exact" and (config.model not in _LINEAR or config.sample_noise):
            continue
        if config.axis in _POSTERIOR_AXES and config.axis not in method.axes:
            continue
        allowed |= set(method.follows if config.axis == "epochs" else method.arms)
    if config.axis in _POSTERIOR_AXES:
        allowed -= {"min_norm"}
    if config.hierarchical or config.sample_noise:
        allowed -= {"laplace", "exact_map", "exact_draw", "exact_bma"}
    return [name for name in double_descent.ARMS if name in allowed]


__all__ = ["METHODS", "VARIED", "Found", "Method", "possible_arms"]
