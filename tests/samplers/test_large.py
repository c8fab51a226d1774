"""Large models: the exact sum over micro-batches, rows shared by devices, memory that stays bounded."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from bayes_vs_sgd import Dataset, Network, Posterior, likelihoods, priors, samplers

N, D = 30, 3


@pytest.fixture(scope="module")
def posterior() -> Posterior:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, D)).astype(np.float32)
    y = (x @ np.array([1.0, -1.0, 0.5]) + 0.3 * rng.normal(size=N)).astype(np.float32)

    def log_likelihood(w: jax.Array, data: tuple) -> jax.Array:
        return likelihoods.Gaussian(0.5).log_prob(jnp.tanh(data[0] @ w), data[1])

    return Posterior(
        log_prior=lambda w: priors.Normal(1.0).log_prob({"w": w}),
        log_likelihood=log_likelihood,
        data=(jnp.asarray(x), jnp.asarray(y)),
        temperature=0.7,
    )


@pytest.mark.parametrize("micro_batch", [1, 7, 10, 29, 30, 64])
def test_micro_batches_leave_the_density_and_its_gradient_as_they_are(
    posterior: Posterior, micro_batch: int, float64: None
) -> None:
    double = dataclasses.replace(
        posterior, data=jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), posterior.data)
    )
    cut = dataclasses.replace(double, micro_batch=micro_batch)
    w = jnp.array([0.3, -0.2, 0.9])
    whole, by_parts = (jax.value_and_grad(p.log_density)(w) for p in (double, cut))
    np.testing.assert_allclose(by_parts[0], whole[0], rtol=1e-13)
    np.testing.assert_allclose(by_parts[1], whole[1], rtol=1e-12)


@pytest.mark.parametrize("micro_batch", [None, 4])
def test_rows_shared_by_devices_give_the_same_chain(
    posterior: Posterior, micro_batch: int | None
) -> None:
    target = dataclasses.replace(posterior, micro_batch=micro_batch)
    alone, shared = (
        samplers.sample(
            jax.random.key(1),
            target,
            jnp.zeros((2, D)),
            samplers.HMC(n_leapfrog=5, step_size=0.15),
            n_warmup=0,
            n_draws=15,
            n_data_shards=n,
            progress=False,
        )
        for n in (1, 2)
    )
    np.testing.assert_allclose(alone.params, shared.params, rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(alone.stats["lp"], shared.stats["lp"], rtol=1e-4)


@pytest.mark.parametrize(
    ("n_data_shards", "message"),
    [(1000, "exceeds the . devices"), (0, "n_data_shards=0")],
)
def test_shares_that_cannot_be_are_refused(
    posterior: Posterior, n_data_shards: int, message: str
) -> None:
    rows = jax.tree.map(lambda a: jnp.concatenate([a] * 100), posterior.data)
    with pytest.raises(ValueError, match=message):
        samplers.sample(
            jax.random.key(1),
            dataclasses.replace(posterior, data=rows),
            jnp.zeros((2, D)),
            samplers.HMC(),
            n_warmup=0,
            n_draws=1,
            n_data_shards=n_data_shards,
        )


def test_rows_that_do_not_divide_and_densities_without_rows_are_refused(
    posterior: Posterior,
) -> None:
    rows = jax.tree.map(lambda a: a[:29], posterior.data)
    for target, message in (
        (dataclasses.replace(posterior, data=rows), "does not divide the 29 rows"),
        (lambda w: -(w**2).sum(), "needs the rows of the data"),
    ):
        with pytest.raises(ValueError, match=message):
            samplers.sample(
                jax.random.key(1),
                target,
                jnp.zeros((2, D)),
                samplers.HMC(),
                n_warmup=0,
                n_draws=1,
                n_data_shards=2,
            )


def conv_posterior(n_rows: int, micro_batch: int | None) -> Posterior:
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.AvgPool2d(2),
        torch.nn.Conv2d(8, 16, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.AvgPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(16 * 7 * 7, 10),
    )
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n_rows, 1, 28, 28)).astype(np.float32)
    y = rng.integers(0, 10, n_rows)
    dataset = Dataset(x, y, x[:1], y[:1], n_classes=10)
    return Posterior.of(
        Network(module, x[:1]),
        dataset,
        likelihoods.Categorical(),
        priors.FanIn(),
        micro_batch=micro_batch,
    )


def working_memory(posterior: Posterior) -> int:
    """Bytes that the compiled gradient takes besides the data and the parameters."""
    one = jax.tree.map(lambda a: a[0], posterior.draw_prior(jax.random.key(0), 1))

    def gradient(data: object, params: object) -> object:
        return jax.grad(dataclasses.replace(posterior, data=data).log_density)(params)

    compiled = jax.jit(gradient).lower(posterior.data, one).compile()
    return compiled.memory_analysis().temp_size_in_bytes


@pytest.mark.slow
def test_a_convolutional_network_over_10000_images_is_sampled_in_200_megabytes() -> None:
    posterior = conv_posterior(10_000, micro_batch=250)
    data = sum(leaf.nbytes for leaf in jax.tree.leaves(posterior.data))
    bounded = working_memory(posterior)
    whole = working_memory(dataclasses.replace(posterior, micro_batch=None))
    assert bounded < data + 200e6
    assert whole > 10 * bounded
    draws = samplers.sample(
        jax.random.key(0),
        posterior,
        posterior.draw_prior(jax.random.key(1), 1),
        samplers.HMC(n_leapfrog=2, step_size=1e-4),
        n_warmup=0,
        n_draws=2,
        progress=False,
    )
    assert np.isfinite(draws.stats["lp"]).all()
    assert draws.stats["acceptance_rate"].min() > 0.5


def test_draws_on_the_disk_are_read_where_they_are_indexed(
    posterior: Posterior, tmp_path: Path
) -> None:
    def run(**changes: object) -> object:
        return samplers.sample(
            jax.random.key(1),
            posterior,
            {"w": jnp.zeros((2, D))}["w"],
            samplers.HMC(n_leapfrog=2),
            n_warmup=10,
            n_draws=50,
            progress=False,
            **changes,
        )

    lazy, whole = run(checkpoint=tmp_path / "run", in_memory=False), run()
    assert not isinstance(lazy.params, np.ndarray)
    assert lazy.params.chunks[1] < 50
    np.testing.assert_array_equal(lazy.params[:, -5:], whole.params[:, -5:])
    np.testing.assert_array_equal(lazy.last, whole.last)


STREAM = """
import resource, sys
from bayes_vs_sgd import samplers
samplers.use_devices("cpu", 2)
import jax, jax.numpy as jnp

def run(n_draws, folder):
    return samplers.sample(
        jax.random.key(0),
        lambda x: -0.5 * jnp.sum(x**2),
        jnp.zeros((2, 250_000)),
        samplers.HMC(n_leapfrog=1),
        n_warmup=2,
        n_draws=n_draws,
        checkpoint=folder,
        in_memory=False,
        progress=False,
    )

peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
run(100, sys.argv[1] + "/few")
few = peak()
draws = run(600, sys.argv[1] + "/many")
assert draws.params.nbytes > 1e9
print(peak() - few)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_draws_on_the_disk(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STREAM, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 250e6
