"""The comparison of both engines, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from bayes_vs_sgd import Network
from bayes_vs_sgd.lowering import double_precision


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
    tensors = [torch.from_numpy(x) for x in inputs]
    tensors = [x.double().requires_grad_() if x.is_floating_point() else x for x in tensors]
    floats = [i for i, x in enumerate(tensors) if x.requires_grad]
    double = network.to_torch(network.from_torch(module)).double()
    with double_precision():
        outputs = tree_leaves(double(*tensors))
    rng = np.random.default_rng(2)
    weights = [rng.normal(size=output.shape) for output in outputs]
    total = sum((o * torch.from_numpy(w)).sum() for o, w in zip(outputs, weights, strict=True))
    named = dict(double.named_parameters())
    sought = [tensors[i] for i in floats] + list(named.values())
    gradients = torch.autograd.grad(total, sought, materialize_grads=True)

    with jax.enable_x64(True):
        params = {name: jnp.asarray(p.detach().numpy()) for name, p in named.items()}

        def weighted(params: dict, chosen: list) -> tuple[jax.Array, list[jax.Array]]:
            given = [jnp.asarray(x.detach().numpy()) for x in tensors]
            for i, x in zip(floats, chosen, strict=True):
                given[i] = x
            # In torch's order of a dict's entries, which is not that of JAX.
            found = tree_leaves(network.apply(params, *given))
            return sum((o * w).sum() for o, w in zip(found, weights, strict=True)), found

        (_, found), (for_params, for_inputs) = jax.jit(
            jax.value_and_grad(weighted, argnums=(0, 1), has_aux=True)
        )(params, [jnp.asarray(tensors[i].detach().numpy()) for i in floats])

    names = [*(f"input {i}" for i in floats), *named]
    for value, expected in zip(found, outputs, strict=True):
        np.testing.assert_allclose(value, expected.detach().numpy(), rtol=1e-10, atol=1e-10)
    ours = [*for_inputs, *(for_params[name] for name in named)]
    for name, value, expected in zip(names, ours, gradients, strict=True):
        np.testing.assert_allclose(value, expected.numpy(), rtol=1e-10, atol=1e-10, err_msg=name)
