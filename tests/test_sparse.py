import numpy as np
import pytest
import torch

from bayes_vs_sgd import Network
from models import CNN, MLP, Sparse

X = np.random.default_rng(0).normal(size=(3, 20)).astype(np.float32)


@pytest.mark.parametrize("density", [0.1, 0.5, 1.0])
def test_a_sparse_network_is_the_dense_one_with_weights_at_zero(density: float) -> None:
    dense = MLP(20, 7, 3, 2)
    sparse = Sparse(dense, density, seed=3)
    found = sparse(torch.from_numpy(X))
    parameters = dict(dense.named_parameters())
    with torch.no_grad():
        for i, name in enumerate(sparse.thinned):
            mask = getattr(sparse, f"mask{i}")
            kept = round(density * mask.numel())
            assert int((mask > 0).sum()) == kept
            assert mask[mask > 0].unique().item() == pytest.approx((mask.numel() / kept) ** 0.5)
            parameters[name] *= mask
    torch.testing.assert_close(dense(torch.from_numpy(X)), found)


def test_masks_are_frozen_and_both_engines_agree() -> None:
    network = Network(Sparse(MLP(20, 7, 3), 0.4), X[:2])
    assert set(network.shapes) == {
        f"module.layers.{i}.{p}" for i in (1, 3) for p in ("weight", "bias")
    }


def test_the_variance_of_a_layer_stays_what_it_was() -> None:
    torch.manual_seed(0)
    x = torch.randn(200, 400)
    outputs = []
    for density in (1.0, 0.2):
        dense = MLP(400, 300, 1)
        with torch.no_grad():
            dense.layers[1].bias.zero_()
        sparse = Sparse(dense, density)
        weight = dense.layers[1].weight * sparse.mask0
        outputs.append((x @ weight.T).std().item())
    assert outputs[1] == pytest.approx(outputs[0], rel=0.03)


def test_biases_and_gains_stay_and_what_is_kept_is_counted() -> None:
    dense = CNN(1, 2, 3)
    sparse = Sparse(dense, 0.5)
    weights = sum(p.numel() for p in dense.parameters() if p.ndim > 1)
    others = sum(p.numel() for p in dense.parameters() if p.ndim == 1)
    assert sparse.n_kept() == pytest.approx(weights / 2 + others, abs=len(sparse.thinned))


def test_other_seeds_keep_other_weights() -> None:
    first, second = (Sparse(MLP(20, 7, 3), 0.5, seed=s).mask0 for s in (0, 1))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("density", [0, -0.1, 1.5])
def test_a_density_that_is_none_is_refused(density: float) -> None:
    with pytest.raises(ValueError, match="no share of the weights"):
        Sparse(MLP(20, 7, 3), density)
