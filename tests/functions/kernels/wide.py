"""Finite networks in plain JAX, whose means over parameters the closed forms are compared with."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bayes_vs_sgd.functions.kernels import Convolutional, FullyConnected

PHI = {"relu": jax.nn.relu, "erf": jax.scipy.special.erf, "identity": lambda u: u}


def scales(settings: FullyConnected | Convolutional) -> tuple[float, float, float, float]:
    """Multipliers of weights and biases, and the standard deviations of the parameters."""
    weight, bias = settings.weight_multiplier, settings.bias_multiplier
    weight = settings.weight_std if weight is None else weight
    bias = settings.bias_std if bias is None else bias
    return weight, bias, settings.weight_std / weight, settings.bias_std / bias if bias else 0.0


class Finite:
    """A fully connected or convolutional network of one width: ``draw``, ``hidden`` and ``apply``."""

    def __init__(
        self, settings: FullyConnected | Convolutional, row_shape: tuple[int, ...], width: int
    ) -> None:
        self.settings, self.width = settings, width
        self.weight, self.bias, self.weight_std, self.bias_std = scales(settings)
        self.convolves = isinstance(settings, Convolutional)
        fan_in = row_shape[0] if self.convolves else int(np.prod(row_shape))
        self.window = (settings.filter_size,) * (len(row_shape) - 1) if self.convolves else ()
        self.shapes: dict[str, tuple[int, ...]] = {}
        for layer in range(settings.depth):
            self.shapes[f"{layer}.weight"] = (width, fan_in, *self.window)
            self.shapes[f"{layer}.bias"] = (width,)
            fan_in = width
        rows = jax.eval_shape(self.hidden, self._empty(), jnp.zeros((1, *row_shape)))
        self.shapes["out.weight"] = (1, int(np.prod(rows.shape[1:])))
        self.shapes["out.bias"] = (1,)

    def _empty(self) -> dict[str, Any]:
        return {name: jnp.zeros(shape) for name, shape in self.shapes.items()}

    def draw(self, key: Any) -> dict[str, Any]:
        keys = jax.random.split(key, len(self.shapes))
        stds = [self.bias_std if "bias" in name else self.weight_std for name in self.shapes]
        return {
            name: std * jax.random.normal(k, shape)
            for k, std, (name, shape) in zip(keys, stds, self.shapes.items(), strict=True)
        }

    def hidden(self, params: dict[str, Any], x: Any) -> Any:
        """What the readout sees, shape (n, fan_in)."""
        h = x if self.convolves else x.reshape(len(x), -1)
        for layer in range(self.settings.depth):
            weight, bias = params[f"{layer}.weight"], params[f"{layer}.bias"]
            weight = self.weight / np.sqrt(np.prod(weight.shape[1:])) * weight
            bias = self.bias * bias
            if self.convolves:
                h = self._convolve(h, weight, layer) + bias.reshape(-1, *(1 for _ in self.window))
            else:
                h = h @ weight.T + bias
            h = PHI[self.settings.activation](h)
        if self.convolves and self.settings.readout == "pool":
            h = h.mean(axis=tuple(range(2, h.ndim)))
        return h.reshape(len(h), -1)

    def apply(self, params: dict[str, Any], x: Any) -> Any:
        h = self.hidden(params, x)
        weight = self.weight / np.sqrt(h.shape[1]) * params["out.weight"]
        return h @ weight.T + self.bias * params["out.bias"]

    def nngp(self, params: dict[str, Any], x: Any) -> Any:
        """E[f fᵀ] over the readout alone, for these hidden layers."""
        h = self.hidden(params, x)
        return self.settings.bias_std**2 + self.settings.weight_std**2 * h @ h.T / h.shape[1]

    def both(self, params: dict[str, Any], x: Any) -> Any:
        """The NNGP for these hidden layers and the tangent kernel, shape (2, n, n)."""
        slopes = jax.tree.leaves(jax.jacrev(lambda p: self.apply(p, x)[:, 0])(params))
        flat = [slope.reshape(len(x), -1) for slope in slopes]
        return jnp.stack([self.nngp(params, x), sum(slope @ slope.T for slope in flat)])

    def _convolve(self, h: Any, weight: Any, layer: int) -> Any:
        q, strides = self.settings.filter_size, self.settings.strides
        stride = strides[layer] if isinstance(strides, tuple) else strides
        around = [((q - 1) // 2, q // 2)] * len(self.window)
        if self.settings.padding == "circular":
            h = jnp.pad(h, [(0, 0), (0, 0), *around], mode="wrap")
        inside = self.settings.padding != "same"
        return jax.lax.conv_general_dilated(
            h, weight, (stride,) * len(self.window), "VALID" if inside else around
        )


def mean_kernels(
    network: Finite, x: np.ndarray, *, n_draws: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Means of both kernels over independent draws of the parameters, and their standard errors."""
    keys = jax.random.split(jax.random.key(seed), n_draws)

    @jax.jit
    def all_draws(keys: Any) -> Any:
        return jax.lax.map(lambda k: network.both(network.draw(k), x), keys, batch_size=100)

    found = np.asarray(all_draws(keys))
    return found.mean(axis=0), found.std(axis=0, ddof=1) / n_draws**0.5
