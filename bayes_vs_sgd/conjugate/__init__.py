"""Networks that are linear in their parameters, solved in closed form: test beds for double descent.

f(x; θ) = Φ(x)·θ, such as ``models.Linear`` and ``models.RandomFeatures``. Gradient descent ends at
``minimum_norm``; with Gaussian noise and a prior of normals the ``posterior`` is a normal that needs
no sampler. Both give ``Draws``, so that averaging, metrics and double descent take them as they
take SGD's and a sampler's. All of it is computed in float64 by NumPy.
"""

from .features import features
from .minimum_norm import minimum_norm
from .posterior import Conjugate, posterior

__all__ = ["Conjugate", "features", "minimum_norm", "posterior"]
