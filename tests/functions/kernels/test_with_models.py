"""A torch module of models/ in NTK parameterization against the closed forms."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bayes_vs_sgd import Network
from bayes_vs_sgd.functions.kernels import FullyConnected, empirical_ntk, output_mean
from models import parameterization
from models.mlp import MLP
from tests.conftest import within


def test_an_mlp_in_ntk_parameterization_has_both_kernels_on_average() -> None:
    """Its scales are in the parameters: multipliers of 1. One hidden layer has no 1/width."""
    module = MLP(3, 16, 2, parameterization=parameterization.NTK())
    x = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)
    network = Network(module, x)
    prior = parameterization.prior(module, std=1.5, bias_std=0.5)
    settings = FullyConnected(1, 1.5, 0.5, weight_multiplier=1.0, bias_multiplier=1.0)

    def both(key: Any) -> Any:
        params = prior.sample(key, network.shapes)
        outputs = network.apply(params, x)
        nngp = jnp.einsum("ia,ja->ij", outputs, outputs) / 2
        return jnp.stack([nngp, output_mean(empirical_ntk(network.apply, params, x))])

    keys = jax.random.split(jax.random.key(0), 4000)
    found = np.asarray(jax.jit(lambda k: jax.lax.map(both, k, batch_size=500))(keys))
    sem = found.std(axis=0, ddof=1) / len(keys) ** 0.5
    within(found.mean(axis=0), np.stack(settings.kernels(x)), sem)
