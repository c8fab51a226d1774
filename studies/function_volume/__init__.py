"""Do SGD's functions follow posterior volume?

A network on inputs that are all known: a Boolean function of 7 variables, or 100 test images. A function is
the pattern of classes that the network gives to the inputs it was not trained on. P_B(f | S) is the
share of the posterior under the 0/1 likelihood that makes f, measured for the finite network itself by
estimators that check one another; P_SGD(f | S) is how often SGD ends in f among the runs that reach zero
training error, for several optimisers, learning rates and batch sizes.
"""

from .config import PRESETS, Config
from .main import main

__all__ = ["PRESETS", "Config", "main"]
