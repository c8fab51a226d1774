"""The command line of the study."""

from bayes_vs_sgd import runs

from .config import PRESETS
from .main import main

runs.run_study(lambda: main(runs.parse(PRESETS, prog="python -m studies.volume_axes")))
