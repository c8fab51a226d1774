"""P(f) by direct sampling, against theorems."""

from pathlib import Path

import jax
import numpy as np
import pytest
from scipy import stats

import models
from bayes_vs_sgd import Network, data, functions, priors
from bayes_vs_sgd.functions.blocks import block_size
from bayes_vs_sgd.functions.table import FunctionCounts


def perceptron(n: int, *, bias: bool = False) -> Network:
    return Network(models.Perceptron(n, bias=bias), np.zeros((1, n), np.float32))


def counted(n: int, n_draws: int, *, bias: bool = False, seed: int = 0) -> FunctionCounts:
    return functions.sample_prior(
        jax.random.key(seed),
        perceptron(n, bias=bias),
        priors.Normal(),
        data.boolean_inputs(n),
        n_draws=n_draws,
        progress=False,
    )


@pytest.mark.parametrize("n", [3, 5])
def test_a_perceptron_maps_any_number_of_inputs_to_1_equally_often(n: int) -> None:
    """Theorem 4.1 of arXiv 1909.11522."""
    counts = counted(n, 100_000)
    n_ones = counts.patterns.sum(axis=1)
    by_ones = np.bincount(n_ones, counts.counts, minlength=2**n + 1)
    assert by_ones[2**n] == 0
    assert stats.chisquare(by_ones[: 2**n]).pvalue > 1e-4


def test_on_inputs_of_plus_and_minus_1_it_maps_half_of_them() -> None:
    inputs = 2 * data.boolean_inputs(4) - 1
    counts = functions.sample_prior(
        jax.random.key(0), perceptron(4), priors.Normal(), inputs, n_draws=5000, progress=False
    )
    assert (counts.patterns.sum(axis=1) == 8).all()


@pytest.mark.parametrize(
    ("n", "wanted", "bias"),
    [(1, 2, False), (2, 6, False), (3, 32, False), (2, 14, True), (3, 104, True)],
)
def test_all_perceptron_functions_are_found_and_no_others(n: int, wanted: int, bias: bool) -> None:
    assert counted(n, 200_000, bias=bias).n_functions == wanted


def test_all_370_perceptron_functions_of_4_variables_are_found() -> None:
    assert counted(4, 1_000_000).n_functions == 370


@pytest.mark.parametrize(
    ("prior", "wanted"),
    [(priors.TorchDefault(), 0.50), (priors.FanIn(), 0.73), (priors.FanIn(1.0, 0.1), 0.17)],
)
def test_the_share_of_constant_functions_is_the_known_one(
    prior: priors.Prior, wanted: float
) -> None:
    network = Network(models.MLP(7, 40, 1, depth=2), np.zeros((1, 7), np.float32))
    counts = functions.sample_prior(
        jax.random.key(1), network, prior, data.boolean_inputs(7), n_draws=20_000, progress=False
    )
    patterns = counts.patterns
    share = counts.counts[patterns.min(axis=1) == patterns.max(axis=1)].sum() / counts.total
    # The known numbers have two digits.
    assert abs(share - wanted) < 0.005 + 4 * np.sqrt(wanted * (1 - wanted) / counts.total)


def test_ranges_of_draws_merge_to_one_run_of_all() -> None:
    size = block_size(3)
    whole = counted(3, 10 * size + 7)
    parts = [
        functions.sample_prior(
            jax.random.key(0),
            perceptron(3),
            priors.Normal(),
            data.boolean_inputs(3),
            n_draws=n,
            first_draw=first,
            progress=False,
        )
        for n, first in ((4 * size, 0), (6 * size + 7, 4 * size))
    ]
    merged = FunctionCounts.merged(parts)
    np.testing.assert_array_equal(merged.words, whole.words)
    np.testing.assert_array_equal(merged.counts, whole.counts)


def test_the_same_network_is_compiled_once(caplog: pytest.LogCaptureFixture) -> None:
    network, inputs = perceptron(3), data.boolean_inputs(3)

    def run(seed: int) -> None:
        functions.sample_prior(
            jax.random.key(seed), network, priors.Normal(), inputs, n_draws=999, progress=False
        )

    with jax.log_compiles():
        run(0)
        assert "Compiling" in caplog.text
        caplog.clear()
        run(1)
        assert "Compiling" not in caplog.text


def test_a_killed_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bayes_vs_sgd.functions import prior

    monkeypatch.setattr(prior, "_SECONDS_BETWEEN_SAVES", 0.0)
    arguments = (jax.random.key(0), perceptron(3), priors.Normal(), data.boolean_inputs(3))
    n = 5 * 64 * 64 * len(jax.devices())
    saved, save = [], prior._save

    def dies(folder: object, n_done: int, counter: object) -> None:
        save(folder, n_done, counter)
        saved.append(n_done)
        if len(saved) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(prior, "_save", dies)
    with pytest.raises(KeyboardInterrupt):
        functions.sample_prior(*arguments, n_draws=n, checkpoint=tmp_path / "c", progress=False)
    assert 0 < saved[-1] < n
    monkeypatch.setattr(prior, "_save", save)
    resumed = functions.sample_prior(
        *arguments, n_draws=n, checkpoint=tmp_path / "c", progress=False
    )
    whole = functions.sample_prior(*arguments, n_draws=n, progress=False)
    np.testing.assert_array_equal(resumed.counts, whole.counts)
    with pytest.raises(ValueError, match="holds a run of other settings"):
        functions.sample_prior(*arguments, n_draws=n + 1, checkpoint=tmp_path / "c", progress=False)


def test_several_classes_are_counted_too() -> None:
    network = Network(torch_linear(2, 3), np.zeros((1, 2), np.float32))
    inputs = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)
    counts = functions.sample_prior(
        jax.random.key(2),
        network,
        priors.Normal(),
        inputs,
        n_draws=3000,
        n_classes=3,
        progress=False,
    )
    patterns = counts.patterns
    assert patterns.max() == 2
    # By symmetry every class is as probable at every input.
    shares = np.stack([(patterns == c).T @ counts.counts for c in range(3)]) / counts.total
    assert (abs(shares - 1 / 3) < 5 * np.sqrt(2 / 9 / counts.total)).all()


def torch_linear(inputs: int, outputs: int):
    import torch

    return torch.nn.Linear(inputs, outputs)


def test_what_is_not_possible_is_refused() -> None:
    arguments = (jax.random.key(0), perceptron(3), priors.Normal(), data.boolean_inputs(3))
    with pytest.raises(ValueError, match="no multiple of 64"):
        functions.sample_prior(*arguments, n_draws=64, first_draw=3)
    with pytest.raises(ValueError, match="n_draws=0 is not possible"):
        functions.sample_prior(*arguments, n_draws=0)
    with pytest.raises(ValueError, match="10 classes need one logit a class"):
        functions.sample_prior(*arguments, n_draws=64, n_classes=10)
