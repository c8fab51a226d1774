"""Does the double-descent peak that SGD shows go away under Bayesian model averaging, and why?

One network at many widths, depths, sparsities; or along training, or with more and more data. SGD
trains it from many seeds; chains sample its posterior; the MAP maximises the very log density that
they sample. Five arms tell what removes a peak: SGD, a deep ensemble (averaging without a posterior),
the MAP (the prior without averaging), one posterior draw (the posterior without averaging), and the
BMA. Further arms stand between them: SGD stopped early, SWA, SWAG, MultiSWAG, Laplace, a tuned weight
decay, BMAs by other samplers, tempered posteriors and wider priors; and the exact solutions of
linear models.
"""

from .config import Config
from .main import main
from .settings import PRESETS

__all__ = ["PRESETS", "Config", "main"]
