"""Does it matter that features are learnt, for SGD and for the posterior?

The same problem with all layers, with the last layer alone over frozen random features, and at infinite
width, where features do not move: by posterior volume, where runs of random features count by their
evidence or all alike, and by training. And how far each layer moves as the width grows, in standard,
neural tangent and maximal update parameterization.
"""

from .config import PRESETS, Config
from .main import main

__all__ = ["PRESETS", "Config", "main"]
