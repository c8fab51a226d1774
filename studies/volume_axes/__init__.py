"""How does the agreement of SGD and posterior volume change with the target, the data, the network and the learning rate?

P_SGD(f | S) of several ways to train is set beside the posterior volume P_B(f | S), as in
``studies.function_volume``, at every value of one axis: the Boolean target, the training rows, the width
or the depth of the network, the standard deviation of its weights, or the learning rate.
"""

from .config import PRESETS, Config
from .main import main

__all__ = ["PRESETS", "Config", "main"]
