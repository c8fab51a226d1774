"""Prior distributions over named parameters: a log density, and draws to start from.

A prior is anything with ``log_prob(params)`` and ``sample(key, shapes)``. Most of these are
independent over parameters. PyTorch's layout is assumed: a weight is (out, in, ...), so its fan-in
is the product of all axes but the first; a parameter with one axis or none is called a bias here.

What is sampled need not be the parameters themselves: a prior with ``params(variables)`` and
``sample_variables(key, shapes)``, such as ``Hierarchical``, is one on variables that make them, and its
``log_prob`` is the density of those. A prior with ``distributions(shapes)`` says to NumPyro what the
variables are, and one with ``gaussian_stds(shapes)`` that it is nothing but normals around 0.
"""

from ..scales import HalfCauchy, HalfNormal
from .distributions import distributions_of
from .hierarchical import Hierarchical
from .noise import LOG_NOISE_STD, WithNoise
from .normal import FanIn, Independent, Normal
from .prior import Params, Prior, Shapes, fan_in, params_of
from .sampling import sample_many, sample_variables
from .semi_orthogonal import SemiOrthogonal
from .torch_default import TorchDefault
from .weight_decay import gaussian_stds, weight_decay

__all__ = [
    "LOG_NOISE_STD",
    "FanIn",
    "HalfCauchy",
    "HalfNormal",
    "Hierarchical",
    "Independent",
    "Normal",
    "Params",
    "Prior",
    "SemiOrthogonal",
    "Shapes",
    "TorchDefault",
    "WithNoise",
    "distributions_of",
    "fan_in",
    "gaussian_stds",
    "params_of",
    "sample_many",
    "sample_variables",
    "weight_decay",
]
