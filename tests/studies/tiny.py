"""The double-descent study at its smallest size, in this process, where torch and JAX are warm."""

from studies import double_descent

from .folders import runner

TINY = [
    *("--widths", "2", "3", "5", "--n-train", "50", "--n-seeds", "4", "--ensemble-size", "2"),
    *("--max-epochs", "20", "--batch-size", "25", "--map.n-steps", "50"),
    *("--hmc.n-leapfrog", "5", "--n-warmup", "20", "--n-draws", "20", "--n-chains", "2"),
]
run = runner(double_descent, TINY)
