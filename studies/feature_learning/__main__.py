"""The command line of the study."""

import torch

from bayes_vs_sgd import runs

from .config import PRESETS
from .main import main

# Small networks are trained one chunk a thread; beside JAX's, more threads than cores slow both down.
torch.set_num_threads(2)
runs.run_study(lambda: main(runs.parse(PRESETS, prog="python -m studies.feature_learning")))
