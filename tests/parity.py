"""The comparison of both engines, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch import nn

from bayes_vs_sgd import Network


def assert_engines_agree(
    module: nn.Module, *inputs: np.ndarray, network: Network | None = None
) -> None:
    """PyTorch and JAX give the same outputs, and the same gradients to parameters and float inputs.

    Args:
        module: The network in torch.
        inputs: Its inputs, in float32 or integers.
        network: What was made of the module already, to spare making it.
    """
    network = Network(module, inputs) if network is None else network
    double = network.to_torch(network.from_torch(module)).double()
    tensors = [torch.from_numpy(x) for x in inputs]
    tensors = [x.double().requires_grad_() if x.is_floating_point() else x for x in tensors]
    output = double(*tensors)
    weights = np.random.default_rng(2).normal(size=output.shape)
    (output * torch.from_numpy(weights)).sum().backward()
    floats = [i for i, x in enumerate(tensors) if x.requires_grad]

    with jax.enable_x64(True):
        params = {name: jnp.asarray(p.detach().numpy()) for name, p in double.named_parameters()}

        def weighted(params: dict, chosen: list) -> tuple[jax.Array, jax.Array]:
            given = [jnp.asarray(x.detach().numpy()) for x in tensors]
            for i, x in zip(floats, chosen, strict=True):
                given[i] = x
            out = network.apply(params, *given)
            return (out * weights).sum(), out

        (_, out), (for_params, for_inputs) = jax.jit(
            jax.value_and_grad(weighted, argnums=(0, 1), has_aux=True)
        )(params, [jnp.asarray(tensors[i].detach().numpy()) for i in floats])

    np.testing.assert_allclose(out, output.detach().numpy(), rtol=1e-10, atol=1e-10)
    for i, gradient in zip(floats, for_inputs, strict=True):
        np.testing.assert_allclose(gradient, tensors[i].grad.numpy(), rtol=1e-10, atol=1e-10)
    for name, parameter in double.named_parameters():
        np.testing.assert_allclose(
            for_params[name], parameter.grad.numpy(), rtol=1e-10, atol=1e-10, err_msg=name
        )
