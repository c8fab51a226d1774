"""Are simple functions more probable before anything is learnt?

Parameters are drawn from the prior, and the Boolean functions that they make are counted. P(f) is set
beside the complexity of f, with the upper envelope of the coding theorem, for weights from the ordered
to the chaotic phase; and the number T of inputs that a function maps to 1 beside that of a perceptron,
where it is uniform by a theorem.
"""

from .config import PRESETS, Config
from .main import main

__all__ = ["PRESETS", "Config", "main"]
