"""Order and chaos against closed forms, and against the recursion of the kernels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayes_vs_sgd.functions.kernels import FullyConnected, phase

pytestmark = pytest.mark.usefixtures("float64")


@pytest.mark.parametrize(("weight_std", "bias_std"), [(1.0, 0.5), (1.2, 1.0), (0.5, 0.1)])
def test_relu_has_its_closed_form(weight_std: float, bias_std: float) -> None:
    found = phase(jax.nn.relu, weight_std=weight_std, bias_std=bias_std)
    assert found.slope == pytest.approx(weight_std**2 / 2, rel=1e-9)
    assert found.variance == pytest.approx(bias_std**2 / (1 - weight_std**2 / 2), rel=1e-6)
    assert found.name == "ordered"


def test_relu_grows_for_ever_beyond_the_square_root_of_two() -> None:
    found = phase(jax.nn.relu, weight_std=2.0, bias_std=1.0)
    assert (found.variance, found.name) == (float("inf"), "chaotic")
    assert found.slope == pytest.approx(2.0, rel=1e-9)
    assert phase(jax.nn.relu, weight_std=2**0.5, bias_std=0.0).name == "critical"


@pytest.mark.parametrize(("weight_std", "bias_std"), [(0.8, 0.3), (1.5, 0.3), (4.0, 0.2)])
def test_erf_has_the_variance_and_the_slope_of_the_kernels_recursion(
    weight_std: float, bias_std: float
) -> None:
    """The kernel of two close inputs: their squared distance grows by χ a layer."""
    found = phase(jax.scipy.special.erf, weight_std=weight_std, bias_std=bias_std)
    assert found.name == ("chaotic" if weight_std > 1 else "ordered")
    deep = FullyConnected(60, weight_std, bias_std, "erf")
    # An input whose first variance is q* already.
    one = (max(found.variance - bias_std**2, 0) / weight_std**2) ** 0.5
    assert float(deep.kernels(np.array([[one]])).nngp[0, 0]) == pytest.approx(found.variance)
    angle = 1e-4
    pair = one * 2**0.5 * np.array([[1.0, 0.0], [np.cos(angle), np.sin(angle)]])
    distances = [
        2 * (k[0, 0] - k[0, 1])
        for k in (
            np.asarray(FullyConnected(d, weight_std, bias_std, "erf").kernels(pair).nngp)
            for d in (1, 2)
        )
    ]
    assert distances[1] / distances[0] == pytest.approx(found.slope, rel=1e-3)


def test_tanh_without_biases_turns_chaotic_at_one() -> None:
    assert phase(jnp.tanh, weight_std=0.95, bias_std=0.0).name == "ordered"
    assert phase(jnp.tanh, weight_std=1.05, bias_std=0.0).name == "chaotic"


def test_what_is_not_possible_is_refused() -> None:
    with pytest.raises(ValueError, match="weight_std=0"):
        phase(jnp.tanh, weight_std=0, bias_std=1)
    with pytest.raises(ValueError, match="bias_std=-1"):
        phase(jnp.tanh, weight_std=1, bias_std=-1)
