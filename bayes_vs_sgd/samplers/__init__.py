"""Markov chain Monte Carlo on any JAX log density: many chains over all cores and devices.

Nothing here knows of networks or of torch: a log density and starting points are enough. A sampler
is a frozen dataclass of its settings; ``sample`` runs it.
"""

from .devices import use_devices
from .hmc import HMC
from .kernel import Density, Kernel, Sampler
from .maximize import MAP, maximize
from .nuts import NUTS
from .sample import StoppedChainWarning, WarmupWarning, sample

# Every sampler that `sample` takes; the law tests run over all of them.
REGISTRY: dict[str, type[Sampler]] = {"hmc": HMC, "nuts": NUTS}

__all__ = [
    "HMC",
    "MAP",
    "NUTS",
    "REGISTRY",
    "Density",
    "Kernel",
    "Sampler",
    "StoppedChainWarning",
    "WarmupWarning",
    "maximize",
    "sample",
    "use_devices",
]
