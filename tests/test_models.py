import numpy as np
import pytest
import torch

from bayes_vs_sgd import Network
from models import MLP


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_both_engines_run_every_depth(depth: int) -> None:
    network = Network(MLP(12, 5, 3, depth), np.zeros((1, 3, 4), np.float32))
    assert network.n_parameters == 12 * 5 + 5 + (depth - 1) * 30 + 5 * 3 + 3
    assert network.apply(network.from_torch(MLP(12, 5, 3, depth)), np.ones((4, 3, 4))).shape == (
        4,
        3,
    )


def test_the_output_is_linear_in_the_last_layer() -> None:
    module, x = MLP(4, 6, 2), torch.randn(5, 4)
    module.layers[-1].weight.data.zero_()
    torch.testing.assert_close(module(x), module.layers[-1].bias.expand(5, 2))


@pytest.mark.parametrize("sizes", [(4, 0, 2), (0, 3, 2)])
def test_a_layer_without_units_is_refused(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="without units"):
        MLP(*sizes)
