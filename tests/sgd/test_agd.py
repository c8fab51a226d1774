"""Automatic gradient descent against its equations, written out in NumPy."""

import copy

import jax
import numpy as np
import pytest
import torch
from torch import nn

from bayes_vs_sgd import Dataset, Network, likelihoods, priors, sgd
from bayes_vs_sgd.sgd.agd import AutomaticGradientDescent

RNG = np.random.default_rng(0)
SHAPES = {"0": (4, 3), "1": (5, 4), "2": (2, 5)}
X = RNG.normal(size=(3, 10))
Y = RNG.normal(size=(2, 10))


def starts(n_networks: int) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.normal(size=(n_networks, *shape)) for shape in SHAPES.values()]


def tensors(arrays: list[np.ndarray]) -> list[torch.Tensor]:
    return [torch.from_numpy(a.copy()).requires_grad_() for a in arrays]


def deep_linear_gradients(weights: list[np.ndarray]) -> list[np.ndarray]:
    """Of the mean of ½|W₂W₁W₀x − y|² over the columns of X."""
    w0, w1, w2 = weights
    residual = (w2 @ w1 @ w0 @ X - Y) / X.shape[1]
    return [
        (w2 @ w1).T @ residual @ X.T,
        w2.T @ residual @ (w0 @ X).T,
        residual @ (w1 @ w0 @ X).T,
    ]


def one_step(
    weights: list[np.ndarray], gradients: list[np.ndarray], gain: float
) -> list[np.ndarray]:
    """The equations of the paper for matrices, weight by weight."""
    n_layers = len(weights)
    scales = [np.sqrt(w.shape[0] / w.shape[1]) for w in weights]
    norms = [np.sqrt((g**2).sum()) for g in gradients]
    summary = sum(s * n for s, n in zip(scales, norms, strict=True)) / n_layers
    eta = np.log((1 + np.sqrt(1 + 4 * summary)) / 2)
    return [
        w - gain * eta / n_layers * s * g / n
        for w, g, s, n in zip(weights, gradients, scales, norms, strict=True)
    ]


def loss_of(weights: list[torch.Tensor]) -> torch.Tensor:
    """One loss a network; any axes before those of the matrices are networks."""
    out = torch.from_numpy(X)
    for weight in weights:
        out = weight @ out
    return 0.5 * (out - torch.from_numpy(Y)).square().sum(-2).mean(-1)


@pytest.mark.parametrize("gain", [1.0, 10.0])
def test_a_step_is_that_of_the_paper(gain: float) -> None:
    before = [a[0] for a in starts(1)]
    weights = tensors(before)
    optimizer = AutomaticGradientDescent(weights, gain=gain)
    loss_of(weights).backward()
    optimizer.step()
    expected = one_step(before, deep_linear_gradients(before), gain)
    for found, value in zip(weights, expected, strict=True):
        np.testing.assert_allclose(found.detach().numpy(), value, rtol=1e-12, atol=1e-12)
    assert not optimizer.state


def test_stacked_networks_are_what_each_becomes_alone() -> None:
    before = starts(4)
    stack = tensors(before)
    together = sgd.AGD(gain=2.0).build(stack)
    for _ in range(20):
        together.zero_grad()
        loss_of(stack).sum().backward()
        together.step()
    for number in range(4):
        weights = tensors([a[number] for a in before])
        alone = AutomaticGradientDescent(weights, gain=2.0)
        for _ in range(20):
            alone.zero_grad()
            loss_of(weights).backward()
            alone.step()
        for one, many in zip(weights, stack, strict=True):
            torch.testing.assert_close(many[number], one, rtol=1e-12, atol=1e-12)


def test_a_convolution_has_a_norm_at_each_position_of_its_kernel() -> None:
    rng = np.random.default_rng(2)
    before, gradient = rng.normal(size=(2, 2, 3, 4, 2, 5))
    head, slope = rng.normal(size=(2, 2, 2, 3))
    weights = tensors([before, head])
    weights[0].grad, weights[1].grad = torch.from_numpy(gradient), torch.from_numpy(slope)
    sgd.AGD().build(weights).step()

    scale, head_scale = np.sqrt(3 / (4 * 2 * 5)), np.sqrt(2 / 3)
    for number in range(2):
        summary = head_scale * np.linalg.norm(slope[number])
        for i, j in np.ndindex(2, 5):
            summary += scale * np.linalg.norm(gradient[number, :, :, i, j])
        eta = np.log((1 + np.sqrt(1 + 4 * summary / 2)) / 2)
        for i, j in np.ndindex(2, 5):
            at = gradient[number, :, :, i, j]
            expected = before[number, :, :, i, j] - eta / 2 * scale * at / np.linalg.norm(at)
            found = weights[0].detach().numpy()[number, :, :, i, j]
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_the_step_is_short_where_the_gradient_is_small() -> None:
    """One weight w with the loss ½w²: w ← w − η, and η solves e^η(e^η − 1) = G, so that w → 3/2·w²."""
    weight = torch.tensor([[0.3]], dtype=torch.float64, requires_grad=True)
    optimizer = AutomaticGradientDescent([weight])
    path = [0.3]
    for _ in range(4):
        weight.grad = weight.detach().clone()
        optimizer.step()
        eta = path[-1] - weight.item()
        assert np.exp(eta) * np.expm1(eta) == pytest.approx(path[-1], rel=1e-8)
        path.append(weight.item())
    ratios = np.array(path[1:]) / np.array(path[:-1]) ** 2
    assert ratios[-1] == pytest.approx(1.5, rel=1e-3)
    assert (np.diff(np.abs(ratios - 1.5)) < 0).all()


def test_deep_linear_networks_learn_without_a_learning_rate() -> None:
    n_layers, n_units, n_rows = 8, 6, 20
    shapes = {f"{layer}": (n_units, n_units) for layer in range(n_layers)}
    drawn = priors.sample_many(priors.SemiOrthogonal(), jax.random.key(0), shapes, 3)
    weights = tensors([np.asarray(a, np.float64) for a in drawn.values()])
    rng = np.random.default_rng(3)
    x = torch.from_numpy(rng.normal(size=(n_units, n_rows)))
    y = torch.from_numpy(np.linalg.qr(rng.normal(size=(n_units, n_units)))[0]) @ x
    optimizer = sgd.AGD().build(weights)

    losses, moves = [], []
    for _ in range(200):
        out = x
        for weight in weights:
            out = weight @ out
        loss = 0.5 * (out - y).square().mean((-2, -1))
        optimizer.zero_grad()
        loss.sum().backward()
        before = weights[0].detach().clone()
        optimizer.step()
        losses.append(loss.detach().numpy())
        moves.append((weights[0].detach() - before).flatten(1).norm(dim=1).numpy())
    losses, moves = np.stack(losses), np.stack(moves)
    assert (np.diff(losses, axis=0) < 0).all()
    assert (losses[-1] < 0.1 * losses[0]).all()
    assert (moves[-1] < 0.5 * moves.max(0)).all()


def test_training_by_it_is_a_plain_torch_loop() -> None:
    module = nn.Sequential(nn.Linear(3, 4, bias=False), nn.Tanh(), nn.Linear(4, 2, bias=False))
    network = Network(module, np.zeros((1, 3), np.float32))
    drawn = priors.sample_many(priors.SemiOrthogonal(), jax.random.key(0), network.shapes, 3)
    initial = {name: np.asarray(value, np.float64) for name, value in drawn.items()}
    trained = sgd.train(
        network, Dataset(X.T, Y.T, X.T, Y.T), n_seeds=3, initial=initial, optimizer=sgd.AGD(2.0),
        likelihood=likelihoods.Gaussian(1.0), max_epochs=15, progress=False,
    )  # fmt: skip
    for number in range(3):
        alone = network.to_torch({n: v[number] for n, v in initial.items()})
        optimizer = AutomaticGradientDescent(alone.parameters(), gain=2.0)
        for _ in range(15):
            optimizer.zero_grad()
            residual = alone(torch.from_numpy(X.T)) - torch.from_numpy(Y.T)
            (0.5 * residual.square().sum(1)).mean().backward()
            optimizer.step()
        for name, value in network.from_torch(alone).items():
            np.testing.assert_allclose(trained.last[name][number], value, rtol=1e-10, atol=1e-10)


def test_a_gradient_of_zero_moves_nothing_and_no_other_network() -> None:
    before = starts(2)
    rng = np.random.default_rng(4)
    gradients = [rng.normal(size=a.shape) for a in before]
    for gradient in gradients:
        gradient[0] = 0
    gradients[1][1] = 0
    stack = tensors(before)
    for weight, gradient in zip(stack, gradients, strict=True):
        weight.grad = torch.from_numpy(gradient)
    sgd.AGD().build(stack).step()
    alone = tensors([a[1] for a in before])
    alone[0].grad, alone[2].grad = (torch.from_numpy(gradients[i][1]) for i in (0, 2))
    AutomaticGradientDescent(alone).step()
    for start, many, one in zip(before, stack, alone, strict=True):
        np.testing.assert_array_equal(many[0].detach().numpy(), start[0])
        torch.testing.assert_close(many[1], one, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(alone[1].detach().numpy(), before[1][1])


def test_a_gradient_that_is_not_finite_shows_in_its_network_alone() -> None:
    stack = tensors(starts(2))
    for weight in stack:
        weight.grad = torch.ones_like(weight)
    stack[1].grad[0, 0, 0] = torch.nan
    sgd.AGD().build(stack).step()
    assert all(bool(weight[0].isnan().all()) for weight in stack)
    assert all(bool(weight[1].isfinite().all()) for weight in stack)


def test_small_gradients_are_not_rounded_away() -> None:
    weight = torch.zeros(1, 2, 2, requires_grad=True)
    weight.grad = torch.full((1, 2, 2), 1e-9)
    sgd.AGD().build([weight]).step()
    torch.testing.assert_close(weight.detach(), torch.full((1, 2, 2), -1e-9), rtol=1e-5, atol=0)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_weights_change_in_place_whatever_records_gradients(mode: type) -> None:
    stack = tensors(starts(2))
    optimizer = sgd.AGD().build(stack)
    with mode():
        for weight in stack:
            weight.grad = torch.ones_like(weight)
        places = [weight.data_ptr() for weight in stack]
        before = [weight.clone() for weight in stack]
        optimizer.step()
    assert [weight.data_ptr() for weight in stack] == places
    assert not any(torch.equal(a, b) for a, b in zip(stack, before, strict=True))


def test_it_is_a_torch_optimiser_with_groups_schedulers_and_closures() -> None:
    before = [a[0] for a in starts(1)]
    weights = tensors(before)
    groups = [{"params": weights[:1]}, {"params": weights[1:], "lr": 3.0}]
    optimizer = AutomaticGradientDescent(groups)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = loss_of(weights)
        loss.backward()
        return loss

    assert optimizer.step(closure) == loss_of([torch.from_numpy(a) for a in before])
    scheduler.step()
    gradients = deep_linear_gradients(before)
    for number, gain in enumerate((0.5, 1.5, 1.5)):
        expected = one_step(before, gradients, gain)[number]
        np.testing.assert_allclose(weights[number].detach().numpy(), expected, rtol=1e-12)
    assert copy.deepcopy(sgd.AGD().build(tensors(starts(2)))).param_groups[0]["stacked"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: AutomaticGradientDescent(nn.Linear(3, 2).parameters()),
            r"no rule for a parameter of shape \(2,\).*bias=False",
        ),
        (lambda: sgd.AGD().build([torch.zeros(4, 3)]), r"shape \(3,\)"),
        (lambda: AutomaticGradientDescent([torch.zeros(2, 2)], gain=0.0), "gain=0.0"),
        (lambda: sgd.AGD(gain=-1.0), "gain=-1.0 is not possible"),
    ],
)
def test_what_it_has_no_rule_for_is_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
