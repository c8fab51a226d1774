"""Train many copies of one torch module at once, each from its own seed."""

from .optimizers import SGD, Adam, Optimizer
from .train import train

__all__ = ["SGD", "Adam", "Optimizer", "train"]
