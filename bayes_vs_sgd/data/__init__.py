"""Datasets: built-in, from a file, and what is done to their labels."""

from .arrays import split
from .boolean import boolean, boolean_inputs
from .boolean_targets import BOOLEAN_TARGETS, truth_table
from .digits import digits
from .downloads import torchvision
from .images import images
from .label_noise import LabelNoise, Pairwise, Symmetric, as_label_noise, symmetric
from .load import load
from .noise_file import FromFile
from .npz import from_npz, uci
from .synthetic import (
    isotropic,
    isotropic_coefficients,
    isotropic_risk,
    orthogonal,
    random_binary,
)
from .text import text
from .translation import Translation, translation

__all__ = [
    "BOOLEAN_TARGETS",
    "FromFile",
    "LabelNoise",
    "Pairwise",
    "Symmetric",
    "Translation",
    "as_label_noise",
    "boolean",
    "boolean_inputs",
    "digits",
    "from_npz",
    "images",
    "isotropic",
    "isotropic_coefficients",
    "isotropic_risk",
    "load",
    "orthogonal",
    "random_binary",
    "split",
    "symmetric",
    "text",
    "torchvision",
    "translation",
    "truth_table",
    "uci",
]
