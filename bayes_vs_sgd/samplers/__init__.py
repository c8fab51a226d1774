"""Markov chain Monte Carlo on any JAX log density: many chains over all cores and devices.

Nothing here knows of networks or of torch: a log density and starting points are enough. A sampler
is a frozen dataclass of its settings; ``sample`` runs it.
"""

from ..types import StoppedChainWarning
from .chees import ChEES
from .cyclical import sampling_stage
from .devices import use_devices
from .elliptical import EllipticalSlice
from .ghmc import GHMC
from .hmc import HMC
from .hmcecs import HMCECS
from .kernel import Density, Kernel, Sampler
from .mala import MALA
from .maximize import MAP, maximize
from .mclmc import MCLMC, AdjustedMCLMC
from .nested import NestedSampling
from .numpyro_target import NumPyroTarget, from_numpyro
from .nuts import NUTS
from .parallel_tempering import ParallelTempering
from .population import log_evidence, sample_population
from .preconditioner import RMSprop
from .sample import WarmupWarning, sample
from .schedules import Constant, CosineCycles, Polynomial, Schedule
from .sghmc import SGHMC
from .sgld import SGLD, PreconditionedSGLD
from .sgnht import SGNHT
from .tempered_smc import TemperedSMC
from .with_warmup import WithWarmup

# Every sampler that `sample` takes; the law tests run over all of them.
REGISTRY: dict[str, type[Sampler]] = {
    "adjusted_mclmc": AdjustedMCLMC,
    "chees": ChEES,
    "elliptical_slice": EllipticalSlice,
    "ghmc": GHMC,
    "hmc": HMC,
    "hmcecs": HMCECS,
    "mala": MALA,
    "mclmc": MCLMC,
    "nuts": NUTS,
    "parallel_tempering": ParallelTempering,
    "preconditioned_sgld": PreconditionedSGLD,
    "sghmc": SGHMC,
    "sgld": SGLD,
    "sgnht": SGNHT,
}

__all__ = [
    "GHMC",
    "HMC",
    "HMCECS",
    "MALA",
    "MAP",
    "MCLMC",
    "NUTS",
    "REGISTRY",
    "SGHMC",
    "SGLD",
    "SGNHT",
    "AdjustedMCLMC",
    "ChEES",
    "Constant",
    "CosineCycles",
    "Density",
    "EllipticalSlice",
    "Kernel",
    "NestedSampling",
    "NumPyroTarget",
    "ParallelTempering",
    "Polynomial",
    "PreconditionedSGLD",
    "RMSprop",
    "Sampler",
    "Schedule",
    "StoppedChainWarning",
    "TemperedSMC",
    "WarmupWarning",
    "WithWarmup",
    "from_numpyro",
    "log_evidence",
    "maximize",
    "sample",
    "sample_population",
    "sampling_stage",
    "use_devices",
]
