"""Does the volume around one solution tell the volume of its function?

Generalisation is often measured around one trained network: local volume, local learning coefficient,
flatness, Laplace's evidence. Here networks are trained whose functions are known, and these numbers
are set beside the posterior volume P_B(f | S) of their functions, the frequency P_SGD(f | S) with
which training ends there, and the test error.
"""

from .config import PRESETS, Config
from .main import main

__all__ = ["PRESETS", "Config", "main"]
