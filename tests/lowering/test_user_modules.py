import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch.utils._pytree import tree_leaves

from bayes_vs_sgd import Network
from tests.lowering.user_modules import MODULES
from tests.parity import assert_engines_agree


def rows(name: str) -> list[np.ndarray]:
    """Six rows: a batch size that nothing was made with."""
    rng = np.random.default_rng(0)
    taken = [0, 3, 2, 1, 1, 2]
    return [
        rng.normal(size=(6, *x.shape[1:])).astype(np.float32)
        if x.is_floating_point()
        else x.numpy()[taken]
        for x in MODULES[name][1]
    ]


# Compiling these takes longest, and each has a like that is quick.
LONG = {
    "tied_language_model_norm_last", "unet_step", "rotary_block", "wide_resnet_block", "gru",
    "mixer_block", "deep_sets", "squeeze_excite", "siren",
}  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in MODULES],
)
def test_a_users_module_is_the_same_in_both_engines(name: str) -> None:
    module, example = MODULES[name]
    network = Network(module, example)
    assert set(network.shapes) == set(dict(module.named_parameters()))
    inputs = rows(name)
    assert_engines_agree(module, *inputs, network=network)

    params = network.from_torch(module)
    with torch.no_grad():
        expected = tree_leaves(module(*map(torch.from_numpy, inputs)))
    both = {n: jnp.stack([p, p / 2]) for n, p in params.items()}
    found = tree_leaves(jax.jit(jax.vmap(lambda p: network.apply(p, *inputs)))(both))
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == jnp.float32
        np.testing.assert_allclose(ours[0], theirs, rtol=2e-4, atol=2e-4)
        assert not np.allclose(ours[0], ours[1])
