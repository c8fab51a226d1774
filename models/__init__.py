"""The architectures of the studies: plain ``torch.nn.Module`` files with the width as an argument."""

from .mlp import MLP

__all__ = ["MLP"]
