"""Markov chain Monte Carlo on any JAX log density: many chains over all cores and devices.

Nothing here knows of networks or of torch: a log density and starting points are enough. A sampler
is a frozen dataclass of its settings; ``sample`` runs it.
"""

from .chees import ChEES
from .devices import use_devices
from .ghmc import GHMC
from .hmc import HMC
from .kernel import Density, Kernel, Sampler
from .mala import MALA
from .maximize import MAP, maximize
from .mclmc import MCLMC, AdjustedMCLMC
from .nuts import NUTS
from .sample import StoppedChainWarning, WarmupWarning, sample

# Every sampler that `sample` takes; the law tests run over all of them.
REGISTRY: dict[str, type[Sampler]] = {
    "adjusted_mclmc": AdjustedMCLMC,
    "chees": ChEES,
    "ghmc": GHMC,
    "hmc": HMC,
    "mala": MALA,
    "mclmc": MCLMC,
    "nuts": NUTS,
}

__all__ = [
    "GHMC",
    "HMC",
    "MALA",
    "MAP",
    "MCLMC",
    "NUTS",
    "REGISTRY",
    "AdjustedMCLMC",
    "ChEES",
    "Density",
    "Kernel",
    "Sampler",
    "StoppedChainWarning",
    "WarmupWarning",
    "maximize",
    "sample",
    "use_devices",
]
