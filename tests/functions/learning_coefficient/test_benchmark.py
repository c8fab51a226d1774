"""The forms of the benchmark give one estimate, or are refused."""

import numpy as np
import pytest

from benchmarks import learning_coefficient as benchmark


@pytest.mark.slow
def test_ours_and_the_scan_in_jax_give_one_estimate() -> None:
    work = benchmark.problem(n_steps=200)
    forms = {"ours": benchmark.ours(work, 300, "batch"), "JAX": benchmark.by_jax(work, 300)}
    assert benchmark.require_one_estimate(forms).startswith("estimates ")


def test_another_estimate_is_refused() -> None:
    apart = {"ours": lambda seed: np.array([1.0, 1.1]), "peer": lambda seed: np.array([2.0, 2.1])}
    with pytest.raises(ValueError, match=r"peer estimates 2\.05 and ours 1\.05"):
        benchmark.require_one_estimate(apart)
