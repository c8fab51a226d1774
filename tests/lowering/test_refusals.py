import jax
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from bayes_vs_sgd import Network
from bayes_vs_sgd.lowering import OPERATORS, LoweringError


class Of(nn.Module):
    """A layer, and then whatever a function makes of its output."""

    def __init__(self, function, outputs: int = 2) -> None:
        super().__init__()
        self.layer = nn.Linear(6, outputs)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.layer(x))


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 2)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls.add_(1)
        return self.layer(x) * self.calls


class NoGradient(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.layer(x)
        return h * h.detach().exp()


class Attending(nn.Module):
    def __init__(self, dropout: float = 0.0, batch_first: bool = True) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 2, dropout=dropout, batch_first=batch_first)

    def forward(self, x: Tensor) -> Tensor:
        x = x.unsqueeze(1).repeat(1, 3, 1)
        return self.attention(x, x, x, need_weights=False)[0]


X = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)

REFUSED = {
    "batch norm": (
        nn.Sequential(nn.Linear(6, 2), nn.BatchNorm1d(2)),
        r"^1 is BatchNorm1d in training mode.*use group, layer or filter response norm",
    ),
    "batch norm of images": (
        nn.Sequential(nn.Unflatten(1, (1, 2, 3)), nn.BatchNorm2d(1)),
        "use group, layer or filter response norm",
    ),
    "batch norm without statistics": (
        nn.Sequential(nn.Linear(6, 2), nn.BatchNorm1d(2, track_running_stats=False)).eval(),
        "use group, layer or filter response norm",
    ),
    "batch norm as a function": (
        Of(lambda h: F.batch_norm(h, None, None, training=True)),
        "depend on other rows",
    ),
    "batch norm by hand": (Of(lambda h: h - h.mean(0)), "nothing may be averaged or normalised"),
    "batch not leading": (Attending(batch_first=False), "batch_first=True"),
    "moving statistics": (
        nn.Sequential(nn.Unflatten(1, (1, 6)), nn.InstanceNorm1d(1, track_running_stats=True)),
        "changes the buffer '1.running_mean'",
    ),
    "buffer": (Counting(), "changes the buffer 'calls'.*a pure function of parameters and input"),
    "dropout": (nn.Sequential(nn.Linear(6, 2), nn.Dropout(0.3)), r"active dropout \(p=0.3\).*eval"),
    "dropout as a function": (Of(lambda h: F.dropout(h, 0.3)), "draws random numbers.*eval"),
    "dropout of a transformer": (
        nn.Sequential(nn.Unflatten(1, (1, 6)), nn.TransformerEncoderLayer(6, 2, 8, batch_first=True)),
        r"active dropout \(p=0.1\)",
    ),
    "dropout of attention": (Attending(dropout=0.1), r"active dropout \(p=0.1\)"),
    "noise": (
        Of(lambda h: h + torch.randn_like(h)),
        r"aten.randn_like.default \(in the module's own forward\) draws random.*pass the noise",
    ),
    "branch": (Of(lambda h: h if h.sum() > 0 else -h), "must not branch on the values"),
    "number": (Of(lambda h: h * float(h.sum())), "must not branch on the values"),
    "mask": (Of(lambda h: h[h > 0]), "size depends on the data.*torch.where"),
    "fixed batch": (Of(lambda h: h.reshape(4, -1)), "must accept any batch size"),
    "detach": (NoGradient(), r"stops gradients \(detach, no_grad\)"),
    "not finite": (Of(lambda h: (-h.square() - 1).log()), "is not finite.*pass rows of the data"),
    "no numbers": (Of(lambda h: h.argmax(1)), "returns no floating-point tensor"),
    "wrong shape": (nn.Linear(5, 2), "Linear itself fails on example_input"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_posterior_is_refused_in_a_sentence(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    module, message = REFUSED[name]
    with pytest.raises(LoweringError, match=message) as caught:
        Network(module, X)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    assert capfd.readouterr() == ("", "")


class Bessel(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.special.i0(x)


def test_an_unknown_operator_is_named_with_its_layer_and_can_be_added(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module, name = nn.Sequential(nn.Linear(6, 2), Bessel()), "aten.i0.default"
    monkeypatch.setitem(OPERATORS, name, None)  # restores the table afterwards
    del OPERATORS[name]
    with pytest.raises(LoweringError) as caught:
        Network(module, X)
    assert f"the operator {name} (layer '1', Bessel) is not in the table" in str(caught.value)
    assert f'Network.add_operator("{name}", function)' in str(caught.value)
    Network.add_operator(name, jax.scipy.special.i0)
    Network(module, X)


@torch.library.custom_op("bayes_vs_sgd_tests::cube", mutates_args=())
def cube(x: Tensor) -> Tensor:
    return x**3


@cube.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x)


cube.register_autograd(
    lambda ctx, gradient: 3 * ctx.saved_tensors[0] ** 2 * gradient,
    setup_context=lambda ctx, inputs, output: ctx.save_for_backward(inputs[0]),
)


def test_an_operator_of_ones_own_is_added_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    module, name = Of(lambda h: cube(h)), "bayes_vs_sgd_tests.cube.default"
    with pytest.raises(LoweringError, match=name):
        Network(module, X)
    monkeypatch.setitem(OPERATORS, name, None)  # restores the table afterwards
    Network.add_operator(name, lambda x: x**2)
    with pytest.raises(LoweringError, match="differ by"):
        Network(module, X)
    Network.add_operator(name, lambda x: x**3)
    network = Network(module, X)
    found = network.apply(network.from_torch(module), X)
    np.testing.assert_allclose(found, module(torch.from_numpy(X)).detach(), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(("name", "function"), [("cube", abs), ("aten.cube.default", 3), ("", abs)])
def test_an_operator_that_is_none_is_refused(name: str, function: object) -> None:
    with pytest.raises(ValueError, match="pass the name of a refused operator"):
        Network.add_operator(name, function)


def test_a_module_for_positive_numbers_is_compared_at_the_example() -> None:
    module = nn.Sequential(Logarithm(), nn.Linear(6, 2))
    Network(module, np.abs(X) + 0.1)
    with pytest.raises(LoweringError, match="not finite"):
        Network(module, X)


class Logarithm(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.log()


def test_dropout_that_is_switched_off_is_no_dropout() -> None:
    Network(nn.Sequential(nn.Linear(6, 2), nn.Dropout(0.3)).eval(), X)
    Network(nn.Sequential(nn.Linear(6, 2), nn.Dropout(0.0)), X)
    Network(Attending(dropout=0.1).eval(), X)


def test_batch_norm_with_fixed_statistics_is_a_fixed_map() -> None:
    Network(nn.Sequential(nn.Linear(6, 2), nn.BatchNorm1d(2)).eval(), X)


@pytest.mark.parametrize(
    ("example", "message"),
    [
        ("abc", "no array of numbers"),
        (None, "no array of numbers"),
        (3.0, "needs a leading batch axis"),
        (X[:0], "needs a leading batch axis"),
    ],
)
def test_an_example_without_rows_is_refused(example: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Network(nn.Linear(6, 2), example)


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(ValueError, match=r"pass a torch\.nn\.Module"):
        Network("mlp", X)


def test_a_missing_input_is_refused() -> None:
    network = Network(nn.Linear(6, 2), X)
    with pytest.raises(ValueError, match="apply got 2 inputs and the module takes 1"):
        network.apply(network.from_torch(nn.Linear(6, 2)), X, X)


class Clipped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = self.layer(x).clone()
        h[h < 0] = 0.1
        h[x[:, 0] > 0] = 2.0
        h[:, 1] = x[:, 0] ** 2
        return h


def test_writing_through_a_mask_is_no_shape_that_depends_on_data() -> None:
    module = Clipped()
    network = Network(module, X)
    found = jax.jit(network.apply)(network.from_torch(module), X)
    np.testing.assert_allclose(found, module(torch.from_numpy(X)).detach(), rtol=1e-5)
