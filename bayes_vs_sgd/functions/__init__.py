"""Function space: how far apart the functions that two methods find are."""

from .fidelity import agreement, total_variation

__all__ = ["agreement", "total_variation"]
