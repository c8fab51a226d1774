import gc
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn

from bayes_vs_sgd import Network
from bayes_vs_sgd.lowering import OPERATORS, LoweringError


class Tied(nn.Module):
    """Two layers that share a weight, a parameter made by hand, a buffer, a residual."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
        self.second.weight = self.first.weight
        self.gain = nn.Parameter(torch.randn(6))
        self.register_buffer("offset", torch.randn(1, 6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.tanh(self.first(x)) + x
        return self.second(h * self.gain + self.offset).reshape(x.shape[0], 2, 3).sum(-1)


class Normalised(nn.Module):
    """Slices, concatenation, mean, power, and a division by a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.cat([self.layer(x), x[:, :2]], dim=1)
        h = h / (h.pow(2).mean(dim=-1, keepdim=True) + 1e-3).sqrt()
        return torch.log_softmax(h, dim=-1)


ACTIVATIONS = [
    nn.ReLU(), nn.Tanh(), nn.Sigmoid(), nn.GELU(), nn.GELU(approximate="tanh"), nn.SiLU(),
    nn.Softplus(), nn.ELU(0.7), nn.SELU(), nn.LeakyReLU(0.2), nn.Hardtanh(-0.5, 0.8), nn.Softmax(-1),
]  # fmt: skip
MODULES: dict[str, nn.Module] = {
    f"mlp_{i}_{type(a).__name__}": nn.Sequential(nn.Linear(6, 5), a, nn.Linear(5, 3))
    for i, a in enumerate(ACTIVATIONS)
} | {
    "linear": nn.Linear(6, 2),
    "no_bias": nn.Sequential(nn.Flatten(), nn.Linear(6, 4, bias=False), nn.ReLU(), nn.Linear(4, 1)),
    "deep": nn.Sequential(*[m for _ in range(4) for m in (nn.Linear(6, 6), nn.ReLU())]),
    "scalar_output": nn.Sequential(nn.Linear(6, 1), nn.Flatten(0)),
    "tied": Tied(),
    "normalised": Normalised(),
}


@pytest.mark.parametrize("name", MODULES)
def test_both_engines_agree_in_float64_forward_and_gradient(name: str, float64: None) -> None:
    module = MODULES[name]
    network = Network(module, np.zeros((1, 6), np.float32))
    double = network.to_torch(network.from_torch(module)).double()
    x = np.random.default_rng(1).normal(size=(7, 6))
    inputs = torch.from_numpy(x).requires_grad_()
    output = double(inputs)
    weights = np.random.default_rng(2).normal(size=output.shape)
    (output * torch.from_numpy(weights)).sum().backward()

    params = {n: jnp.asarray(p.detach().numpy()) for n, p in double.named_parameters()}
    value, (for_params, for_x) = jax.value_and_grad(
        lambda p, x: (network.apply(p, x) * weights).sum(), argnums=(0, 1)
    )(params, jnp.asarray(x))

    np.testing.assert_allclose(
        network.apply(params, x), output.detach().numpy(), rtol=1e-10, atol=1e-10
    )
    assert abs(float(value) - float((output.detach().numpy() * weights).sum())) < 1e-10
    np.testing.assert_allclose(for_x, inputs.grad.numpy(), rtol=1e-10, atol=1e-10)
    for parameter_name, parameter in double.named_parameters():
        np.testing.assert_allclose(
            for_params[parameter_name], parameter.grad.numpy(), rtol=1e-10, atol=1e-10
        )


@pytest.mark.parametrize("n", [1, 2, 9])
def test_any_batch_size_works(n: int) -> None:
    network = Network(MODULES["tied"], np.zeros((4, 6), np.float32))
    params = network.from_torch(MODULES["tied"])
    assert network.apply(params, jnp.ones((n, 6))).shape == (n, 2)


def test_tied_parameters_are_one_parameter() -> None:
    network = Network(MODULES["tied"], np.zeros((1, 6), np.float32))
    assert set(network.shapes) == {"first.weight", "first.bias", "second.bias", "gain"}
    assert network.n_parameters == 36 + 6 + 6 + 6


def test_apply_can_be_jitted_and_vmapped_over_parameters() -> None:
    network = Network(MODULES["deep"], np.zeros((1, 6), np.float32))
    one = network.from_torch(MODULES["deep"])
    many = {name: np.stack([value, 2 * value]) for name, value in one.items()}
    x = jnp.ones((3, 6))
    out = jax.jit(jax.vmap(network.apply, in_axes=(0, None)))(many, x)
    np.testing.assert_allclose(out[0], network.apply(one, x), rtol=1e-6)


def test_a_layer_of_many_networks_has_every_derivative(float64: None) -> None:
    network = Network(nn.Linear(3, 2), np.zeros((1, 3)))
    rng = np.random.default_rng(0)
    x, many = rng.normal(size=(5, 3)), rng.normal(size=(4, 2, 3))
    biases = rng.normal(size=(4, 2))

    def outputs(weight: Any, bias: Any) -> Any:
        return network.apply({"weight": weight, "bias": bias}, x)

    def energy(weight: Any, bias: Any) -> Any:
        return (outputs(weight, bias) ** 3).sum() / 6

    expected = np.einsum("ni,boi->bno", x, many) + biases[:, None]
    np.testing.assert_allclose(jax.vmap(outputs)(many, biases), expected, rtol=1e-12)
    for jacobian in (jax.jacfwd, jax.jacrev):
        found = jax.vmap(jacobian(outputs))(many, biases)
        wanted = np.einsum("ni,op->nopi", x, np.eye(2))
        np.testing.assert_allclose(found, np.broadcast_to(wanted, found.shape), atol=1e-12)
    hessian = jax.vmap(jax.hessian(energy))(many, biases)
    wanted = np.einsum("bno,ni,nj,op->boipj", expected, x, x, np.eye(2))
    np.testing.assert_allclose(hessian, wanted, atol=1e-12)


def test_parameters_go_to_torch_and_back_by_name() -> None:
    network = Network(MODULES["tied"], np.zeros((1, 6), np.float32))
    rng = np.random.default_rng(0)
    params = {n: rng.normal(size=s).astype(np.float32) for n, s in network.shapes.items()}
    module = network.to_torch(params)
    again = network.from_torch(module)
    assert all((again[n] == params[n]).all() for n in params)
    x = rng.normal(size=(5, 6)).astype(np.float32)
    np.testing.assert_allclose(
        module(torch.from_numpy(x)).detach(), network.apply(params, x), rtol=1e-5, atol=1e-5
    )


def test_the_users_module_is_never_changed() -> None:
    module = nn.Linear(6, 2)
    network = Network(module, np.zeros((1, 6), np.float32))
    before = module.weight.detach().clone()
    network.to_torch({"weight": np.ones((2, 6)), "bias": np.ones(2)})
    assert (module.weight == before).all()


def test_a_wrong_operator_is_found_when_the_network_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(OPERATORS, "aten.tanh.default", jax.nn.sigmoid)
    with pytest.raises(LoweringError, match="differ by"):
        Network(nn.Sequential(nn.Linear(6, 2), nn.Tanh()), np.zeros((1, 6), np.float32))


def test_a_wrong_gradient_is_found_when_the_network_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(
        OPERATORS, "aten.tanh.default", lambda x: jax.lax.stop_gradient(jnp.tanh(x))
    )
    with pytest.raises(LoweringError, match="differ by"):
        Network(nn.Sequential(nn.Linear(6, 2), nn.Tanh()), np.zeros((1, 6), np.float32))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"weight": np.ones((2, 6))}, "lacks"),
        ({"weight": np.ones((3, 6)), "bias": np.ones(2)}, "has shape"),
    ],
)
def test_wrong_parameters_are_refused(params: dict[str, np.ndarray], message: str) -> None:
    network = Network(nn.Linear(6, 2), np.zeros((1, 6), np.float32))
    with pytest.raises(ValueError, match=message):
        network.apply(params, np.ones((1, 6)))


class MachineConstants(nn.Module):
    """Constants that PyTorch takes from the floating-point type at hand."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.layer = nn.RMSNorm(4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        h = self.norm(self.layer(x) * 1e-4)
        hidden = torch.where(seen > 0, h, torch.finfo(h.dtype).min)
        return hidden.softmax(-1) + torch.arange(4) / 3


def test_machine_constants_are_those_of_the_precision_at_hand() -> None:
    module, rng = MachineConstants(), np.random.default_rng(0)
    x = rng.normal(size=(3, 4)).astype(np.float32)
    seen = np.array([[1, 1, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0]])
    network = Network(module, (x, seen))
    expected = module(torch.from_numpy(x), torch.from_numpy(seen)).detach()
    params = network.from_torch(module)
    np.testing.assert_allclose(network.apply(params, x, seen), expected, rtol=1e-6)
    norm = nn.RMSNorm(4)
    small = 1e-4 * x
    found = Network(norm, x).apply({"weight": np.ones(4, np.float32)}, small)
    np.testing.assert_allclose(found, norm(torch.from_numpy(small)).detach(), rtol=1e-5)


def test_outputs_have_the_precision_of_the_parameters() -> None:
    module = MachineConstants()
    x, seen = np.ones((2, 4)), np.ones((2, 4), int)
    network = Network(module, (x.astype(np.float32), seen))
    with jax.enable_x64(True):
        for dtype in (np.float32, np.float64):
            params = {n: p.astype(dtype) for n, p in network.from_torch(module).items()}
            assert network.apply(params, x.astype(dtype), seen).dtype == dtype


def test_numpys_parameters_can_be_looked_up_by_traced_tokens() -> None:
    module = nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(6, 2))
    tokens = np.array([[0, 1], [4, 2]])
    network = Network(module, tokens)
    found = jax.jit(lambda t: network.apply(network.from_torch(module), t))(tokens)
    np.testing.assert_allclose(found, module(torch.from_numpy(tokens)).detach(), rtol=1e-5)


class BranchesOnValues(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_collection_is_left_as_it_was(enabled: bool) -> None:
    gc.enable() if enabled else gc.disable()
    try:
        with pytest.raises(LoweringError, match="branch"):
            Network(BranchesOnValues(), np.ones((3, 2), np.float32))
        Network(nn.Linear(2, 2), np.ones((3, 2), np.float32))
        assert gc.isenabled() is enabled
    finally:
        gc.enable()
