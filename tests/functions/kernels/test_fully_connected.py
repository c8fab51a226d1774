"""Kernels of fully connected networks: identities, finite networks, and what is refused."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayes_vs_sgd.functions.kernels import FullyConnected, empirical_ntk
from bayes_vs_sgd.functions.kernels.layers import Affine, Covariances, nonlinearity
from tests.conftest import within

from .wide import Finite, mean_kernels

X = np.random.default_rng(0).normal(size=(4, 3))
pytestmark = pytest.mark.usefixtures("float64")


def test_one_hidden_layer_is_the_arc_cosine_kernel() -> None:
    weight, bias = 1.4, 0.6
    first = bias**2 + weight**2 * X @ X.T / 3
    norms = np.sqrt(np.diag(first))
    angle = np.arccos(np.clip(first / norms / norms[:, None], -1, 1))
    nngp = bias**2 + weight**2 / (2 * np.pi) * norms * norms[:, None] * (
        np.sin(angle) + (np.pi - angle) * np.cos(angle)
    )
    ntk = nngp + weight**2 * first * (np.pi - angle) / (2 * np.pi)
    found = FullyConnected(1, weight, bias).kernels(X)
    np.testing.assert_allclose(found.nngp, nngp, rtol=1e-7)
    np.testing.assert_allclose(found.ntk, ntk, rtol=1e-7)


@pytest.mark.parametrize("depth", [0, 1, 4])
def test_a_linear_network_has_one_tangent_kernel_a_layer(depth: int) -> None:
    """Without biases K = σ_w^{2(depth+1)}·x·x′/d, and each of the layers gives the same tangent kernel."""
    found = FullyConnected(depth, 1.3, 0.0, "identity").kernels(X)
    nngp = 1.3 ** (2 * (depth + 1)) * X @ X.T / 3
    np.testing.assert_allclose(found.nngp, nngp, rtol=1e-12)
    np.testing.assert_allclose(found.ntk, (depth + 1) * nngp, rtol=1e-12)


def test_with_trained_biases_of_zero_a_linear_network_gains_a_constant_a_layer() -> None:
    found = FullyConnected(2, 1.3, 0.0, "identity", bias_multiplier=1.0).kernels(X)
    without = FullyConnected(2, 1.3, 0.0, "identity").kernels(X)
    np.testing.assert_allclose(found.nngp, without.nngp, rtol=1e-12)
    np.testing.assert_allclose(found.ntk, without.ntk + 1 + 1.3**2 + 1.3**4, rtol=1e-12)


@pytest.mark.parametrize("depth", [1, 5])
def test_relu_keeps_the_variance_at_the_edge_of_chaos(depth: int) -> None:
    """With σ_w² = 2 and no bias E[f²] = 2·|x|²/d at every depth, and the tangent kernel (depth + 1) times it."""
    found = FullyConnected(depth, 2**0.5, 0.0).kernels(X)
    variances = 2 * (X**2).mean(axis=1)
    np.testing.assert_allclose(np.diag(found.nngp), variances, rtol=1e-12)
    np.testing.assert_allclose(np.diag(found.ntk), (depth + 1) * variances, rtol=1e-12)


SETTINGS = [
    FullyConnected(1, 1.5, 0.5, "erf"),
    FullyConnected(1, 1.5, 0.5, "relu", weight_multiplier=1.0, bias_multiplier=1.0),
    FullyConnected(1, 1.5, 0.0, "erf", weight_multiplier=0.7, bias_multiplier=2.0),
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_one_hidden_layer_of_any_width_has_these_kernels_on_average(
    settings: FullyConnected,
) -> None:
    """With one hidden layer both means over the parameters are the limit itself, without 1/width."""
    network = Finite(settings, (3,), width=8)
    mean, sem = mean_kernels(network, X, n_draws=4000)
    within(mean, np.stack(settings.kernels(X)), sem)


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_two_hidden_layers_tend_to_these_kernels(activation: str) -> None:
    """Twice the mean at width 2w less that at width w leaves 1/w², which is below the errors here."""
    settings = FullyConnected(2, 1.5, 0.5, activation)
    means, sems = [], []
    for width in (12, 24):
        network = Finite(settings, (3,), width)
        mean, sem = mean_kernels(network, X[:3], n_draws=3000, seed=width)
        means.append(mean)
        sems.append(sem)
    exact = np.stack(settings.kernels(X[:3]))
    within(2 * means[1] - means[0], exact, np.hypot(2 * sems[1], sems[0]))


def test_outputs_of_a_narrow_relu_network_have_the_known_kurtosis() -> None:
    """3(1 + 5/w) for width w without biases; E f⁴ and E f² from independent batches."""
    rng, width = np.random.default_rng(0), 10
    ratios = []
    for _ in range(20):
        hidden = np.maximum(rng.normal(size=(20_000, width)), 0)
        outputs = (hidden * rng.normal(size=hidden.shape)).sum(axis=1) * np.sqrt(2 / width)
        variance = float(FullyConnected(1, 2**0.5, 0.0).kernels(np.ones((1, 1))).nngp[0, 0]) / 2
        ratios.append((outputs**4).mean() / variance**2)
    within(np.mean(ratios), 3 * (1 + 5 / width), np.std(ratios, ddof=1) / 20**0.5)


def test_the_standard_parameterization_has_the_multipliers_that_are_stated() -> None:
    """√fan_in and 1; by the width n, input weights and all biases lose their part in the kernel."""
    n, weight, bias = 12, 1.5, 0.5

    def plain(params: Any, x: Any) -> Any:
        return jax.nn.relu(x @ params["W"].T + params["b"]) @ params["v"] + params["c"]

    def of_key(key: Any) -> Any:
        w, b, v, c = jax.random.split(key, 4)
        params = {
            "W": weight / 3**0.5 * jax.random.normal(w, (n, 3)),
            "b": bias * jax.random.normal(b, (n,)),
            "v": weight / n**0.5 * jax.random.normal(v, (n,)),
            "c": bias * jax.random.normal(c, ()),
        }
        return empirical_ntk(plain, params, X)[:, 0, :, 0]

    keys = jax.random.split(jax.random.key(0), 2000)
    found = np.asarray(jax.jit(lambda k: jax.lax.map(of_key, k, batch_size=200))(keys))
    inputs = Covariances(*2 * ((X**2).mean(axis=1),), X @ X.T / 3, jnp.zeros((4, 4)))

    def kernel(first: Affine, last: Affine, state: Covariances = inputs) -> np.ndarray:
        return np.asarray(last(nonlinearity(first(state), "relu")).tangent)

    exact = kernel(Affine(weight, bias, 3**0.5, 1.0), Affine(weight, bias, n**0.5, 1.0))
    within(found.mean(axis=0), exact, found.std(axis=0) / len(keys) ** 0.5)
    wide = kernel(Affine(weight, bias, 3**0.5, 1.0), Affine(weight, bias, 1e4, 1.0)) / 1e8
    limit = kernel(Affine(weight, bias, 0.0, 0.0), Affine(weight, bias, 1.0, 0.0))
    np.testing.assert_allclose(wide, limit, rtol=1e-6)


def test_rows_of_y_are_rows_of_x_to_the_kernel() -> None:
    settings = FullyConnected(3, 1.2, 0.3)
    whole, part = settings.kernels(X), settings.kernels(X[:1], X[1:])
    np.testing.assert_allclose(whole.nngp[:1, 1:], part.nngp, rtol=1e-12)
    np.testing.assert_allclose(whole.ntk[:1, 1:], part.ntk, rtol=1e-12)
    assert np.linalg.eigvalsh(whole.ntk).min() > 0


def test_compiled_and_eager_agree_and_bits_are_numbers() -> None:
    settings = FullyConnected(2)
    bits = np.array([[0, 1, 1], [1, 0, 1], [0, 0, 0]], dtype=np.uint8)
    for eager, compiled in zip(
        settings.kernels(bits), jax.jit(settings.kernels)(bits.astype(float)), strict=True
    ):
        np.testing.assert_allclose(eager, compiled, rtol=1e-12)


def test_slopes_by_the_inputs_are_finite_where_inputs_coincide() -> None:
    x = jnp.asarray(X[[0, 0, 1]])
    slope = jax.jit(jax.grad(lambda a: sum(k.sum() for k in FullyConnected(2).kernels(a))))(x)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": -1}, "depth=-1"),
        ({"activation": "swish"}, "activation='swish'"),
        ({"weight_std": 0.0}, "weight_std=0.0"),
        ({"bias_std": -1.0}, "bias_std=-1.0"),
        ({"weight_multiplier": 0.0}, "weight_multiplier=0.0"),
        ({"bias_multiplier": float("nan")}, "bias_multiplier=nan"),
        ({"bias_multiplier": 0.0}, "takes away the biases"),
    ],
)
def test_settings_without_a_kernel_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FullyConnected(**change)


def test_inputs_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ValueError, match=r"rows of shape \(3,\) and y of \(2,\)"):
        FullyConnected().kernels(X, X[:, :2])
    with pytest.raises(ValueError, match=r"x has shape \(4,\)"):
        FullyConnected().kernels(X[:, 0])
