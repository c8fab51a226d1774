from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

from bayes_vs_sgd import Network
from bayes_vs_sgd.lowering import OPERATORS, reuse


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[nn.Module]]:
    """The modules that torch.export is called for."""
    seen: list[nn.Module] = []
    export = torch.export.export

    def counted(module: nn.Module, *args: object, **kwargs: object) -> object:
        seen.append(module)
        return export(module, *args, **kwargs)

    monkeypatch.setattr(torch.export, "export", counted)
    monkeypatch.setattr(reuse, "_lowered", type(reuse._lowered)())
    return seen


class Block(nn.Module):
    def __init__(self, power: float = 2.0, offset: float = 0.0, tied: bool = False) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        if tied:
            self.second.weight = self.first.weight
        self.drop = nn.Dropout(0.0)
        self.power = power
        self.act = nn.Tanh()
        self.register_buffer("offset", torch.full((3,), offset))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.drop(self.act(self.first(x)))).abs() ** self.power + self.offset


X = np.zeros((2, 3), np.float32)


def test_modules_built_alike_are_exported_once(exports: list[nn.Module]) -> None:
    networks = []
    for seed in range(3):
        torch.manual_seed(seed)
        networks.append(Network(Block(), X))
    assert len(exports) == 1
    x = np.ones((4, 3), np.float32)
    for network in networks:
        module = network._module
        found = network.apply(network.from_torch(module), x)
        np.testing.assert_allclose(found, module(torch.from_numpy(x)).detach(), rtol=1e-5)


def variants() -> dict[str, tuple[nn.Module, np.ndarray]]:
    other_activation = Block()
    other_activation.act = nn.Sigmoid()
    other_rate = Block()
    other_rate.drop.p = 0.5
    return {
        "attribute": (Block(power=3.0), X),
        "type of an attribute": (Block(power=2), X),
        "activation": (other_activation, X),
        "tie": (Block(tied=True), X),
        "buffer": (Block(offset=1.0), X),
        "training flag": (Block().eval(), X),
        "rate": (other_rate.eval(), X),
        "input's shape": (Block(), np.zeros((2, 4, 3), np.float32)),
        "input's type": (Block(), X.astype(np.float64)),
    }


@pytest.mark.parametrize("name", variants())
def test_a_module_that_differs_is_exported_anew(name: str, exports: list[nn.Module]) -> None:
    Network(Block(), X)
    module, x = variants()[name]
    Network(module, x)
    assert len(exports) == 2


def test_a_changed_table_makes_new_graphs(
    exports: list[nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    Network(Block(), X)
    monkeypatch.setitem(OPERATORS, "aten.tanh.default", OPERATORS["aten.tanh.default"])
    Network(Block(), X)
    assert len(exports) == 1
    tanh = OPERATORS["aten.tanh.default"]
    monkeypatch.setitem(OPERATORS, "aten.tanh.default", lambda x: tanh(x))
    Network(Block(), X)
    assert len(exports) == 2


def test_modules_with_hooks_share_nothing(exports: list[nn.Module]) -> None:
    Network(Block(), X)
    for _ in range(2):
        module = Block()
        module.first.register_forward_hook(lambda layer, inputs, output: 2 * output)
        Network(module, X)
    assert len(exports) == 3


def test_what_cannot_be_compared_is_exported_every_time(exports: list[nn.Module]) -> None:
    for _ in range(2):
        module = Block()
        module.notes = {"a", "b"}
        Network(module, X)
    assert len(exports) == 2


def test_old_graphs_are_forgotten(
    exports: list[nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reuse, "_N_KEPT", 1)
    for power in (2.0, 3.0, 2.0):
        Network(Block(power=power), X)
    assert len(exports) == 3
    assert len(reuse._lowered) == 1
