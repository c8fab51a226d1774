"""Gradient flow in closed form against flow in the parameters, and against wide networks."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import linalg

from bayes_vs_sgd.functions.kernels import (
    FullyConnected,
    Kernels,
    empirical_ntk,
    gradient_flow,
    kernel_matrices,
    kernel_regression,
    trained_distribution,
)
from tests.conftest import within

from .wide import Finite

RNG = np.random.default_rng(0)
X, TEST = RNG.normal(size=(6, 4)), RNG.normal(size=(5, 4))
Y = RNG.normal(size=6)


def kernels_of(settings: FullyConnected) -> tuple[Kernels, Kernels, np.ndarray]:
    return (
        kernel_matrices(settings, X),
        kernel_matrices(settings, TEST, X),
        kernel_matrices(settings, TEST).nngp,
    )


@pytest.mark.parametrize("time", [0.0, 0.3, 5.0])
@pytest.mark.parametrize("n_features", [4, 9])
def test_it_is_the_flow_of_the_parameters_of_a_linear_model(time: float, n_features: int) -> None:
    """dθ/dt = −Φᵀ(Φθ − y) by a matrix exponential, with fewer and with more parameters than rows."""
    features, others = RNG.normal(size=(6, n_features)), RNG.normal(size=(5, n_features))
    start = RNG.normal(size=n_features)
    flow = np.zeros((n_features + 1, n_features + 1))
    flow[:-1, :-1], flow[:-1, -1] = -features.T @ features, features.T @ Y
    end = (linalg.expm(time * flow) @ np.append(start, 1.0))[:-1]
    found = gradient_flow(
        features @ features.T,
        others @ features.T,
        Y,
        time=time,
        initial_train=features @ start,
        initial_test=others @ start,
    )
    np.testing.assert_allclose(found, others @ end, rtol=1e-8, atol=1e-10)


def test_at_no_time_nothing_is_learnt_and_at_the_end_all_is() -> None:
    train, cross, _ = kernels_of(FullyConnected(2))
    start = RNG.normal(size=(5, 3))
    targets = RNG.normal(size=(6, 3))
    given = {"initial_test": start, "initial_train": RNG.normal(size=(6, 3))}
    still = gradient_flow(train.ntk, cross.ntk, targets, time=0.0, **given)
    np.testing.assert_array_equal(still, start)
    end = gradient_flow(train.ntk, train.ntk, targets)
    np.testing.assert_allclose(end, targets, atol=1e-9)
    late = gradient_flow(train.ntk, cross.ntk, targets, time=1e9, **given)
    endless = gradient_flow(train.ntk, cross.ntk, targets, **given)
    np.testing.assert_allclose(late, endless, atol=1e-9)


def test_the_end_without_a_start_is_regression_without_noise() -> None:
    train, cross, test = kernels_of(FullyConnected(2))
    exact = kernel_regression(train.ntk, cross.ntk, test, Y, noise_std=0.0).mean
    np.testing.assert_allclose(gradient_flow(train.ntk, cross.ntk, Y), exact, rtol=1e-7)


def test_where_both_kernels_are_one_the_trained_networks_are_the_posterior() -> None:
    train, cross, test = kernels_of(FullyConnected(2))
    same = Kernels(train.nngp, train.nngp), Kernels(cross.nngp, cross.nngp)
    found = trained_distribution(*same, test, Y)
    exact = kernel_regression(train.nngp, cross.nngp, test, Y, noise_std=0.0)
    np.testing.assert_allclose(found.mean, exact.mean, rtol=1e-7)
    np.testing.assert_allclose(found.covariance, exact.covariance, atol=1e-9)


def test_before_training_the_outputs_are_the_prior() -> None:
    train, cross, test = kernels_of(FullyConnected(2))
    found = trained_distribution(train, cross, test, Y, time=0.0)
    np.testing.assert_array_equal(found.mean, 0)
    np.testing.assert_allclose(found.covariance, test, rtol=1e-12)


@pytest.mark.parametrize("time", [0.2, math.inf])
def test_the_trained_distribution_is_that_of_flows_from_the_prior(time: float) -> None:
    train, cross, test = kernels_of(FullyConnected(1))
    joint = np.block([[train.nngp, cross.nngp.T], [cross.nngp, test]])
    start = RNG.multivariate_normal(np.zeros(11), joint, size=20_000)
    ends = gradient_flow(
        train.ntk,
        cross.ntk,
        np.repeat(Y[:, None], 20_000, axis=1),
        time=time,
        initial_train=start[:, :6].T,
        initial_test=start[:, 6:].T,
    )
    exact = trained_distribution(train, cross, test, Y, time=time)
    within(ends.mean(axis=1), exact.mean, ends.std(axis=1) / 20_000**0.5)
    residuals = ends - exact.mean[:, None]
    products = residuals[:, None] * residuals
    within(products.mean(axis=2), exact.covariance, products.std(axis=2) / 20_000**0.5)


def relative_distance_to_flow(network: Finite, *, n_seeds: int) -> float:
    """How far gradient descent is from the flow of its kernel at the start, by how far it went."""
    lr, n_steps = 0.01, 150

    def loss(values: Any) -> Any:
        return 0.5 * ((network.apply(values, X)[:, 0] - Y) ** 2).sum()

    def step(now: Any, _: None) -> tuple[Any, None]:
        return jax.tree.map(lambda p, g: p - lr * g, now, jax.grad(loss)(now)), None

    @jax.jit
    def descend(key: Any) -> Any:
        start = network.draw(key)
        end, _ = jax.lax.scan(step, start, None, length=n_steps)
        inputs = jnp.concatenate([X, TEST])
        kernel = empirical_ntk(network.apply, start, inputs, X)[:, 0, :, 0]
        return network.apply(start, inputs)[:, 0], network.apply(end, TEST)[:, 0], kernel

    off, moved = [], []
    for seed in range(n_seeds):
        start, end, kernel = map(np.asarray, descend(jax.random.key(seed)))
        before = {"initial_train": start[:6], "initial_test": start[6:]}
        flow = gradient_flow(kernel[:6], kernel[6:], Y, time=lr * n_steps, **before)
        off.append(end - flow)
        moved.append(end - start[6:])
    return float(np.linalg.norm(off) / np.linalg.norm(moved))


@pytest.mark.usefixtures("float64")
def test_gradient_descent_on_a_wide_network_follows_the_flow() -> None:
    """At least 1/√width is proved, up to the step size."""
    settings = FullyConnected(1, 1.0, 0.5, "erf")
    narrow, wide = (
        relative_distance_to_flow(Finite(settings, (4,), width), n_seeds=2) for width in (32, 2048)
    )
    assert wide < narrow / 4
    assert wide < 0.02


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time": -1.0}, "time=-1.0"),
        ({"time": float("nan")}, "time=nan"),
        ({"train": -np.eye(6)}, "eigenvalue -1"),
        ({"cross": np.ones((5, 4))}, r"cross has shape \(5, 4\)"),
        ({"initial_train": np.ones(5)}, r"initial_train has shape \(5,\)"),
        ({"initial_test": np.ones((5, 1))}, r"initial_test has shape \(5, 1\)"),
    ],
)
def test_what_has_no_flow_is_refused(change: dict, message: str) -> None:
    given = {"train": np.eye(6), "cross": np.ones((5, 6)), "y": Y} | change
    with pytest.raises(ValueError, match=message):
        gradient_flow(**given)
