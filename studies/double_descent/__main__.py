"""The command line of the study."""

import torch

from bayes_vs_sgd import runs

from .main import main
from .settings import PRESETS

# More threads than one slow small networks down, the more so beside JAX's; ``main`` gives a
# convolutional network all of them.
torch.set_num_threads(1)
runs.run_study(lambda: main(runs.parse(PRESETS, prog="python -m studies.double_descent")))
