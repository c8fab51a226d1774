import copy
import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn

import models
from bayes_vs_sgd import Dataset, Network, likelihoods, sgd
from models import (
    CNN,
    MLP,
    NTK,
    REGISTRY,
    Decoder,
    EncoderDecoder,
    FilterResponseNorm,
    LeNet,
    Linear,
    MuP,
    Perceptron,
    RandomFeatures,
    ResNet18,
    ResNet20,
)
from models.attention import sinusoids
from models.normalization import n_groups, normalization

from .parity import assert_engines_agree

RNG = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    return RNG.normal(size=(3, *shape)).astype(np.float32)


def tokens(length: int, n_tokens: int) -> np.ndarray:
    return RNG.integers(1, n_tokens, (3, length))


SOURCE, TARGET = tokens(4, 7), tokens(3, 6)
SOURCE[0, 2:] = TARGET[1, 2:] = 0
IMAGES = floats(2, 8, 8)
# By the name in the registry, with what distinguishes several cases of one model after a colon.
CASES: dict[str, tuple[Callable[[], nn.Module], tuple[np.ndarray, ...]]] = {
    "mlp": (lambda: MLP(12, 5, 3), (floats(3, 4),)),
    "mlp:deep": (lambda: MLP(6, 4, 2, 3, activation="tanh"), (floats(6),)),
    "mlp:ntk": (lambda: MLP(6, 4, 2, 2, parameterization=NTK()), (floats(6),)),
    "perceptron": (lambda: Perceptron(7), (floats(7),)),
    "linear": (lambda: Linear(7, 4), (floats(7),)),
    "random_features": (lambda: RandomFeatures(6, 5, 2), (floats(6),)),
    "lenet": (lambda: LeNet(2, 3, 4, 12), (floats(2, 12, 12),)),
    "cnn": (lambda: CNN(2, 4, 3), (IMAGES,)),
    "resnet18": (lambda: ResNet18(2, 2, 3, n_blocks=1), (IMAGES,)),
    "resnet20": (lambda: ResNet20(2, 2, 3, n_blocks=1), (IMAGES,)),
    "decoder": (lambda: Decoder(7, 8, depth=1, n_heads=2, max_length=5), (tokens(4, 7),)),
    "encoder_decoder": (
        lambda: EncoderDecoder(7, 4, 6, depth=1, n_heads=2, max_length=5),
        (SOURCE, TARGET),
    ),
}


@functools.cache
def module(name: str) -> nn.Module:
    torch.manual_seed(0)
    return CASES[name][0]()


@functools.cache
def network(name: str) -> Network:
    return Network(module(name), CASES[name][1])


def double_rows(name: str) -> list[torch.Tensor]:
    rows = [torch.from_numpy(x) for x in CASES[name][1]]
    return [x.double() if x.is_floating_point() else x for x in rows]


def n_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


# Compiling their doubles takes longest.
LONG = {"resnet18", "resnet20", "encoder_decoder"}
EVERY = [
    pytest.param(name, marks=pytest.mark.slow) if name.split(":")[0] in LONG else name
    for name in CASES
]
WITH_ONE_INPUT = [case for case in EVERY if "encoder_decoder" not in str(case)]


def test_every_model_has_a_case() -> None:
    assert {name.split(":")[0] for name in CASES} == set(REGISTRY)
    assert all(isinstance(module(name), REGISTRY[name.split(":")[0]]) for name in CASES)


@pytest.mark.parametrize("name", EVERY)
def test_both_engines_agree_in_float64_forward_and_gradient(name: str) -> None:
    assert_engines_agree(module(name), *CASES[name][1], network=network(name))


@pytest.mark.parametrize("model", [ResNet18, ResNet20])
def test_both_engines_agree_on_whole_residual_networks(model: type[nn.Module]) -> None:
    torch.manual_seed(0)
    assert_engines_agree(model(2, 4, 3), IMAGES)


@pytest.mark.parametrize("name", CASES)
def test_the_output_of_a_row_depends_on_that_row_alone(name: str) -> None:
    double, rows = copy.deepcopy(module(name)).double(), double_rows(name)
    together = double(*rows)
    for i in range(3):
        alone = double(*(x[i : i + 1] for x in rows))
        torch.testing.assert_close(alone[0], together[i], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", EVERY)
def test_jit_vmap_and_jacobian_of_every_model(name: str) -> None:
    net, rows = network(name), double_rows(name)
    prior = models.prior(module(name), std=1.4, bias_std=0.1, gain_std=0.1)
    with jax.enable_x64(True):
        draws = [prior.sample(jax.random.key(seed), net.shapes) for seed in (0, 1)]
        stacked = {n: jnp.stack([draw[n] for draw in draws]) for n in net.shapes}

        def apply(params: dict) -> jax.Array:
            return net.apply(params, *(jnp.asarray(x.numpy()) for x in rows))

        outputs = jax.jit(jax.vmap(apply))(stacked)
        jacobian = jax.jit(jax.jacobian(apply))(draws[0])
    doubles = [net.to_torch(draw).double() for draw in draws]
    for double, output in zip(doubles, outputs, strict=True):
        assert np.isfinite(output).all()
        np.testing.assert_allclose(double(*rows).detach(), output, rtol=1e-9, atol=1e-9)
    weights = np.random.default_rng(1).normal(size=outputs[0].shape)
    (doubles[0](*rows) * torch.from_numpy(weights)).sum().backward()
    for parameter, own in doubles[0].named_parameters():
        assert jacobian[parameter].shape == weights.shape + own.shape
        gradient = np.tensordot(weights, jacobian[parameter], weights.ndim)
        np.testing.assert_allclose(gradient, own.grad.numpy(), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", WITH_ONE_INPUT)
def test_every_model_with_one_input_trains_as_in_a_plain_torch_loop(name: str) -> None:
    (x,), own = double_rows(name), copy.deepcopy(module(name)).double()
    y = torch.randn(own(x).shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    initial = {n: np.stack([p.detach().numpy()] * 2) for n, p in own.named_parameters()}
    trained = sgd.train(
        network(name), Dataset(x.numpy(), y.numpy(), x.numpy(), y.numpy()), n_seeds=2,
        initial=initial, likelihood=likelihoods.Gaussian(1.0), optimizer=sgd.SGD(0.05),
        max_epochs=2, progress=False,
    )  # fmt: skip
    steps = torch.optim.SGD(own.parameters(), 0.05, 0.9)
    for _ in range(2):
        steps.zero_grad()
        (0.5 * (own(x) - y).square().sum(1).mean()).backward()
        steps.step()
    for parameter, value in own.named_parameters():
        moved = trained.params[parameter][1, -1]
        np.testing.assert_allclose(moved, value.detach().numpy(), rtol=1e-9, atol=1e-9)


# Counts that a paper or its code states, or that follow from its code layer by layer.
@pytest.mark.parametrize(
    ("model", "count"),
    [
        # Nakkiran et al. 2019, appendix B.1.
        (CNN(3, 64, 10), 1_558_026),
        # PreActResNet18 of kuangliu/pytorch-cifar: stem, four stages, read-out.
        (ResNet18(3, 64, 10), 1_728 + 147_968 + 525_184 + 2_098_944 + 8_392_192 + 5_130),
        (ResNet18(3, 64, 10), 11_171_146),
        # resnet20_frn of google-research/bnn_hmc: stem, three stages, read-out.
        (ResNet20(3, 16, 10), 496 + 14_208 + 52_096 + 206_592 + 650),
        (ResNet20(), 274_042),
        # openai/grok: 2 blocks of 12·128² weights and two layer norms.
        (Decoder(99).blocks, 2 * (12 * 128**2 + 4 * 128)),
        (LeNet(), 61_706),
        (Perceptron(7), 8),
        (Perceptron(7, bias=False), 7),
        (Linear(9, 4), 4),
        (RandomFeatures(9, 4, 3), 12),
        (MLP(784, 100, 10), 79_510),
    ],
)
def test_parameters_are_as_many_as_in_the_papers(model: nn.Module, count: int) -> None:
    assert n_parameters(model) == count


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


def test_an_mlp_starts_as_torchs_own_layers_do() -> None:
    torch.manual_seed(3)
    mine = MLP(4, 6, 2)
    torch.manual_seed(3)
    plain = nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    for a, b in zip(mine.parameters(), plain.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_linear_model_sees_the_first_features_alone() -> None:
    model, x = Linear(7, 4), torch.randn(5, 7)
    changed = x.clone()
    changed[:, 4:] = 9.0
    assert torch.equal(model(x), model(changed))
    changed[:, 3] = 9.0
    assert not torch.equal(model(x), model(changed))


def test_random_features_are_frozen_and_drawn_by_seed() -> None:
    first, again, other = (RandomFeatures(6, 5, 2, seed=s) for s in (1, 1, 2))
    assert set(dict(first.named_parameters())) == {"readout.weight"}
    assert torch.equal(first.projection, again.projection)
    assert not torch.equal(first.projection, other.projection)


def test_random_relu_features_have_the_arc_cosine_kernel() -> None:
    x = torch.from_numpy(RNG.normal(size=(2, 5))).float()
    model = RandomFeatures(5, 200_000, 1, seed=1)
    features = torch.relu(x @ model.projection)
    norms = x.norm(dim=1)
    angle = math.acos(float(x[0] @ x[1] / norms.prod()))
    expected = norms.prod() * (math.sin(angle) + (math.pi - angle) * math.cos(angle))
    products = features[0] * features[1]
    error = float(products.mean() - expected / (2 * math.pi * 5))
    assert abs(error) < 5 * float(products.std()) / len(products) ** 0.5


@pytest.mark.parametrize("size", [8, 28, 32])
@pytest.mark.parametrize("model", [CNN, ResNet18, ResNet20])
def test_images_of_several_sizes_are_taken(model: type[nn.Module], size: int) -> None:
    assert model(1, 4, 10)(torch.randn(2, 1, size, size)).shape == (2, 10)


def test_the_cnns_last_pooling_is_that_of_the_paper() -> None:
    model, x = CNN(3, 4, 10), torch.randn(2, 3, 32, 32)
    maps = model.features(x)
    assert maps.shape == (2, 32, 8, 8)
    expected = model.readout(nn.functional.max_pool2d(maps, 8).flatten(1))
    torch.testing.assert_close(model(x), expected)


def test_resnet18_halves_its_maps_three_times_and_resnet20_twice() -> None:
    x = torch.randn(1, 3, 32, 32)
    first, second = ResNet18(3, 2, 10), ResNet20(3, 2, 10)
    assert first.blocks(first.stem(x)).shape == (1, 16, 4, 4)
    assert second.blocks(second.stem(x)).shape == (1, 8, 8, 8)


def test_residual_blocks_without_convolutions_pass_their_input_on() -> None:
    resnet18, resnet20 = ResNet18(2, 3, 4), ResNet20(2, 3, 4, activation="relu")
    x = torch.rand(2, 3, 8, 8)
    resnet18.blocks[0].conv2.weight.data.zero_()
    torch.testing.assert_close(resnet18.blocks[0](x), x)
    resnet20.blocks[0].second[1].weight.data.zero_()
    torch.testing.assert_close(resnet20.blocks[0](x), x)


def test_filter_response_norm_is_its_equation() -> None:
    layer, x = FilterResponseNorm(3, epsilon=0.1), RNG.normal(size=(2, 3, 4, 5))
    parameters = RNG.normal(size=(3, 3))
    for own, value in zip((layer.weight, layer.bias, layer.threshold), parameters, strict=True):
        own.data = torch.from_numpy(value)
    gain, bias, threshold = (p[None, :, None, None] for p in parameters)
    mean_square = (x**2).mean(axis=(2, 3), keepdims=True)
    expected = np.maximum(gain * x / np.sqrt(mean_square + 0.1) + bias, threshold)
    np.testing.assert_allclose(layer(torch.from_numpy(x)).detach(), expected, rtol=1e-12)


@pytest.mark.parametrize("channels", [1, 2, 3, 7, 8, 12, 24, 32, 48, 64, 512])
def test_groups_divide_the_channels_and_hold_four_of_them(channels: int) -> None:
    groups = n_groups(channels)
    assert channels % groups == 0
    assert groups <= 8
    assert channels // groups >= min(4, channels)
    assert groups == 8 or channels % 32


@pytest.mark.parametrize("last_only", [True, False])
def test_a_decoder_looks_back_and_never_ahead(last_only: bool) -> None:
    torch.manual_seed(0)
    model = Decoder(9, 8, n_heads=2, last_only=last_only)
    every = Decoder(9, 8, n_heads=2, last_only=False)
    every.load_state_dict(model.state_dict())
    x = torch.tensor([[1, 2, 3, 4]])
    later, earlier = torch.tensor([[1, 2, 3, 5]]), torch.tensor([[0, 2, 3, 4]])
    torch.testing.assert_close(every(x)[:, :3], every(later)[:, :3])
    assert (every(x)[:, 3] - every(earlier)[:, 3]).abs().max() > 1e-3
    torch.testing.assert_close(model(x), every(x)[:, -1] if last_only else every(x))


def test_a_decoder_knows_the_order_of_its_tokens() -> None:
    torch.manual_seed(0)
    model = Decoder(9, 8, n_heads=2)
    assert (model(torch.tensor([[1, 2, 3]])) - model(torch.tensor([[2, 1, 3]]))).abs().max() > 1e-3


def test_padding_of_the_source_changes_nothing() -> None:
    torch.manual_seed(0)
    model = EncoderDecoder(9, 8, 9, depth=2, n_heads=2)
    source, target = torch.tensor([[3, 4, 5]]), torch.tensor([[1, 2, 6]])
    padded = torch.tensor([[3, 4, 5, 0, 0]])
    torch.testing.assert_close(model(source, target), model(padded, target))
    assert (model(source, target) - model(source.flip(1), target)).abs().max() > 1e-3


def test_a_translation_never_looks_ahead_and_a_padded_end_changes_nothing_before_it() -> None:
    torch.manual_seed(0)
    model = EncoderDecoder(9, 8, 9, depth=2, n_heads=2)
    source, target = torch.tensor([[3, 4, 5]]), torch.tensor([[1, 2, 6]])
    changed, padded = torch.tensor([[1, 2, 7]]), torch.tensor([[1, 2, 0]])
    torch.testing.assert_close(model(source, target)[:, :2], model(source, changed)[:, :2])
    torch.testing.assert_close(model(source, target)[:, :2], model(source, padded)[:, :2])


def test_padding_alone_gives_finite_outputs_and_gradients() -> None:
    model = EncoderDecoder(9, 8, 9, depth=1, n_heads=2)
    nothing = torch.zeros(2, 3, dtype=torch.long)
    output = model(nothing, nothing)
    output.square().sum().backward()
    assert output.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_positions_are_sines_and_cosines_of_geometric_wavelengths() -> None:
    table = sinusoids(11, 5)
    for t in range(11):
        for column in range(5):
            phase = t / 10000 ** ((column - column % 2) / 5)
            expected = math.cos(phase) if column % 2 else math.sin(phase)
            assert float(table[t, column]) == pytest.approx(expected, abs=1e-5)


def test_lenet_grows_in_proportion() -> None:
    sizes = [p.shape[0] for p in LeNet(1, 12).parameters() if p.ndim > 1]
    assert sizes == [12, 32, 240, 168, 10]
    assert LeNet(3, image_size=32)(torch.zeros(1, 3, 32, 32)).shape == (1, 10)


def test_sizes_may_be_numpys_integers() -> None:
    [width] = np.array([3])
    assert MLP(4, width, 2)(torch.zeros(1, 4)).shape == (1, 2)
    assert CNN(1, width, 2)(torch.zeros(1, 1, 8, 8)).shape == (1, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MLP(4, 3, 2, activation="step"), "activation='step' is unknown; pass one of 'relu'"),
        (lambda: normalization("batch", 4), "norm='batch' is unknown"),
        (lambda: Perceptron(0), "in_features=0"),
        (lambda: Linear(4, 5), "width=5 exceeds the 4 features"),
        (lambda: RandomFeatures(4, 0, 2), "width=0"),
        (lambda: CNN(1, 0, 10), "width=0"),
        (lambda: ResNet18(1, 4, 0), "out_features=0"),
        (lambda: ResNet20(0), "in_channels=0"),
        (lambda: MLP(0, 3, 2), "in_features=0"),
        (lambda: MLP(4, 0, 2), "width=0"),
        (lambda: MLP(4, 3, 0), "out_features=0"),
        (lambda: MLP(4, 3, 2, 0), "depth=0"),
        (lambda: ResNet20(n_blocks=0), "n_blocks=0"),
        (lambda: LeNet(image_size=8), "image_size=8 is not possible; pass an integer of at least 12"),
        (lambda: Decoder(9, 10), "width=10 cannot be shared by n_heads=4"),
        (lambda: EncoderDecoder(9, 8, 9, depth=0), "depth=0"),
        (lambda: MuP(0), "base_width=0"),
        (
            lambda: Decoder(9, 8, max_length=3)(torch.zeros(1, 4, dtype=torch.long)),
            "4 tokens exceeds max_length=3",
        ),
    ],
)  # fmt: skip
def test_models_that_are_not_possible_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
