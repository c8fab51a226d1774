"""The double-descent study at its smallest size, in this process, where torch and JAX are warm."""

from bayes_vs_sgd import runs
from studies import double_descent

TINY = [
    *("--widths", "2", "3", "5", "--n-train", "50", "--n-seeds", "4", "--ensemble-size", "2"),
    *("--max-epochs", "20", "--batch-size", "25", "--map.n-steps", "50"),
    *("--hmc.n-leapfrog", "5", "--n-warmup", "20", "--n-draws", "20", "--n-chains", "2"),
]


def study(*args: str) -> None:
    """Run it with these arguments on top."""
    runs.run_study(
        lambda: double_descent.main(runs.parse(double_descent.PRESETS, [*TINY, *args], prog="x"))
    )
