"""Lowered networks against the same networks written in JAX by hand: value and gradient, jitted.

The ways: one network; eight side by side (``vmap`` over parameters); gradient steps in a
``lax.scan``; eight networks in a ``lax.scan``. The forms are checked to agree first.

``rows`` has the telling ways alone. ``python -m benchmarks.lowering`` prints, for every network and
way, the milliseconds of one gradient of the lowered network and of each hand-written form, and the
ratio of times to the fastest of these; a last line for each says how long making the network took.
"""

import argparse
import operator
import os
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch import nn

from bayes_vs_sgd import Network
from bayes_vs_sgd.lowering import lower
from models import CNN, MLP, Decoder, EncoderDecoder, ResNet18, ResNet20, normalization

from .measure import Effort, Form, Params, Row, compare, time_in_turns

Forward = Callable[[Params, jax.Array], jax.Array]

# The work, and the CPU devices that JAX shows.
CASES = {
    "MLP 64-64-64-10, 400 rows": 1,
    "CNN k=8, 64 images 3×32×32": 1,
    "Decoder 2×128, 128 rows of 5 tokens": 1,
}
# Those that tell a loop from a single call; XLA's convolution takes 11 s a gradient in some others.
_TELLING = {"MLP": ("scan", "scan of vmap 8"), "CNN": ("one", "scan"), "Decoder": ("scan",)}
_GOAL = 0.9

_WAYS = ("one", "vmap 8", "scan", "scan of vmap 8")
_N_CHAINS = 8
_N_STEPS = 4
_TURN = 0.2


def mlp(p: Params, x: jax.Array) -> jax.Array:
    """Two hidden ReLU layers."""
    for i in (1, 3):
        x = jax.nn.relu(x @ p[f"layers.{i}.weight"].T + p[f"layers.{i}.bias"])
    return x @ p["layers.5.weight"].T + p["layers.5.bias"]


def convolution_by_xla(x: jax.Array, w: jax.Array) -> jax.Array:
    """XLA's convolution, (n, height, width, channels)."""
    return jax.lax.conv_general_dilated(
        x, w.transpose(2, 3, 1, 0), (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def convolution_by_product(x: jax.Array, w: jax.Array) -> jax.Array:
    """Nine shifted images side by side and one matrix product: the usual form for loops."""
    _, height, width, _ = x.shape
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifts = [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return jnp.concatenate(shifts, -1) @ w.transpose(2, 3, 1, 0).reshape(-1, len(w))


def group_norm(x: jax.Array, n_groups: int, gain: jax.Array, bias: jax.Array) -> jax.Array:
    """Group norm of (n, height, width, channels)."""
    n, height, width, channels = x.shape
    grouped = x.reshape(n, height * width, n_groups, channels // n_groups)
    mean = grouped.mean((1, 3), keepdims=True)
    variance = grouped.var((1, 3), keepdims=True)
    normal = (grouped - mean) * jax.lax.rsqrt(variance + 1e-5)
    return normal.reshape(x.shape) * gain + bias


def cnn(
    p: Params, x: jax.Array, *, convolution: Callable[..., jax.Array], places: list[int],
    n_groups: list[int],
) -> jax.Array:  # fmt: skip
    """The 5-layer CNN; ``places`` are the numbers of its convolutions in ``features``."""
    x = x.transpose(0, 2, 3, 1)
    for i, place in enumerate(places):
        name, norm = f"features.{place}", f"features.{place + 1}"
        x = convolution(x, p[f"{name}.weight"]) + p[f"{name}.bias"]
        x = group_norm(x, n_groups[i], p[f"{norm}.weight"], p[f"{norm}.bias"])
        x = jax.nn.relu(x)
        if i in (1, 2):
            n, height, width, channels = x.shape
            x = x.reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))
    return x.max((1, 2)) @ p["readout.weight"].T + p["readout.bias"]


def layer_norm(x: jax.Array, gain: jax.Array, bias: jax.Array) -> jax.Array:
    """Layer norm over the last axis."""
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + 1e-5) * gain + bias


def decoder(
    p: Params, tokens: jax.Array, *, positions: jax.Array, depth: int, n_heads: int
) -> jax.Array:
    """Two blocks with a causal mask and layer norm after each sublayer."""
    length = tokens.shape[1]
    x = p["embedding.weight"][tokens] + positions[:length]
    seen = jnp.tri(length, dtype=bool)
    for i in range(depth):
        b = f"blocks.{i}"
        q, k, v = (
            (x @ p[f"{b}.attention.{name}.weight"].T).reshape(*x.shape[:2], n_heads, -1)
            for name in ("query", "key", "value")
        )
        scores = jnp.einsum("nqhd,nkhd->nhqk", q, k) / q.shape[-1] ** 0.5
        weights = jax.nn.softmax(jnp.where(seen, scores, -jnp.inf), -1)
        mixed = jnp.einsum("nhqk,nkhd->nqhd", weights, v).reshape(x.shape)
        x = x + mixed @ p[f"{b}.attention.output.weight"].T
        x = layer_norm(x, p[f"{b}.attention_norm.weight"], p[f"{b}.attention_norm.bias"])
        hidden = jax.nn.relu(x @ p[f"{b}.feed_forward.layers.0.weight"].T)
        x = x + hidden @ p[f"{b}.feed_forward.layers.2.weight"].T
        x = layer_norm(x, p[f"{b}.feed_forward_norm.weight"], p[f"{b}.feed_forward_norm.bias"])
    return x[:, -1] @ p["readout.weight"].T


def cases() -> dict[str, tuple[nn.Module, np.ndarray, dict[str, Forward]]]:
    """Name → the module, its input, and the same network by hand."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(64, 3, 32, 32)).astype(np.float32)
    small = CNN(3, 8, 10)
    places = [i for i, layer in enumerate(small.features) if isinstance(layer, nn.Conv2d)]
    n_groups = [normalization.n_groups(8 * 2**i) for i in range(len(places))]
    by_hand = partial(cnn, places=places, n_groups=n_groups)
    groks = Decoder(97)
    attention = partial(decoder, positions=jnp.asarray(groks.positions), depth=2, n_heads=4)
    return {
        "MLP 64-64-64-10, 400 rows": (
            MLP(64, 64, 10, depth=2),
            rng.normal(size=(400, 64)).astype(np.float32),
            {"by hand": mlp},
        ),
        "MLP 784-512-512-10, 1000 rows": (
            MLP(784, 512, 10, depth=2),
            rng.normal(size=(1000, 784)).astype(np.float32),
            {"by hand": mlp},
        ),
        "CNN k=8, 64 images 3×32×32": (
            small,
            images,
            {
                "lax.conv": partial(by_hand, convolution=convolution_by_xla),
                "matrix product": partial(by_hand, convolution=convolution_by_product),
            },
        ),
        "Decoder 2×128, 128 rows of 5 tokens": (
            groks,
            rng.integers(0, 97, (128, 5)),
            {"by hand": attention},
        ),
    }


def ways(forward: Forward, x: jax.Array, y: jax.Array) -> dict[str, Callable[[Params], Any]]:
    """The four ways of taking gradients; each is a jitted function of the parameters."""

    def loss(p: Params) -> jax.Array:
        logits = forward(p, x)
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1).mean()

    one = jax.value_and_grad(loss)
    many = jax.vmap(one)

    def loop(gradient: Callable[[Params], Any]) -> Callable[[Params], Any]:
        def step(p: Params, _: None) -> tuple[Params, jax.Array]:
            value, slope = gradient(p)
            return jax.tree.map(lambda a, b: a - 1e-3 * b, p, slope), value

        return lambda p: jax.lax.scan(step, p, length=_N_STEPS)

    return {
        "one": jax.jit(one),
        "vmap 8": jax.jit(many),
        "scan": jax.jit(loop(one)),
        "scan of vmap 8": jax.jit(loop(many)),
    }


def rows(case: str, effort: Effort) -> Iterator[Row]:
    """The telling ways of one network."""
    module, x, by_hand = cases()[case]
    network = Network(module, x[:4])
    forms, params, inputs, y = prepared(network, module, x, by_hand)
    for way in _TELLING[case.split()[0]]:
        lowered, *others = timed_forms(forms, params, inputs, y, way)
        yield from compare("lowering", f"{case}, {way}", "gradients", [lowered], others, effort)


def main() -> None:
    """Time every network in every way and print a table of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=9, help="timed repeats of every form")
    parser.add_argument("--only", default="", help="networks whose name begins so")
    settings = parser.parse_args()
    n_turns: int = settings.turns
    torch.manual_seed(0)
    # The first export in a process loads most of PyTorch's compiler.
    Network(MLP(2, 2, 2), np.zeros((2, 2), np.float32))
    print(f"{jax.devices()[0].device_kind}, {os.cpu_count()} cores, {n_turns} turns")
    print("| network | way | milliseconds of a gradient | ratio to the fastest by hand |")
    print("| --- | --- | --- | --- |")
    chosen = {name: case for name, case in cases().items() if name.startswith(settings.only)}
    for name, (module, x, by_hand) in chosen.items():
        network, seconds = make(module, x[:4])
        report(name, *prepared(network, module, x, by_hand), n_turns)
        print(f"| {name} | {seconds} |", flush=True)
    images, tokens = np.zeros((4, 3, 32, 32), np.float32), np.zeros((4, 5), int)
    deep: dict[str, tuple[nn.Module, Any]] = {
        "ResNet-18 k=8": (ResNet18(3, 8, 10), images),
        "ResNet-20": (ResNet20(3, 16, 10), images),
        "EncoderDecoder 32, depth 2": (EncoderDecoder(97, 32, 97, depth=2), (tokens, tokens)),
    }
    for name, (module, inputs) in deep.items():
        if name.startswith(settings.only):
            print(f"| {name} | {make(module, inputs)[1]} |", flush=True)


def make(module: nn.Module, inputs: Any) -> tuple[Network, str]:
    """The network, and the seconds that its graph, all of it, and making it again took."""
    several = inputs if isinstance(inputs, tuple) else (inputs,)
    times = [time.perf_counter()]
    lower(module, tuple(map(torch.from_numpy, several)))
    times.append(time.perf_counter())
    for _ in range(2):
        network = Network(module, inputs)
        times.append(time.perf_counter())
    graph, whole, again = np.diff(times)
    return (
        network,
        f"`Network(...)` | {whole:.2f} s, of it the graph {graph:.2f} s | again {again:.2f} s",
    )


def prepared(
    network: Network, module: nn.Module, x: np.ndarray, by_hand: dict[str, Forward]
) -> tuple[dict[str, Forward], Params, jax.Array, jax.Array]:
    """All forms of a network, checked to agree; parameters, inputs and classes."""
    params = {n: jnp.asarray(v) for n, v in network.from_torch(module).items()}
    forms: dict[str, Forward] = {"lowered": network.apply, **by_hand}
    inputs, y = jnp.asarray(x), jnp.zeros(len(x), int)
    expected = network.apply(params, inputs)
    for form, forward in by_hand.items():
        np.testing.assert_allclose(forward(params, inputs), expected, atol=2e-4, err_msg=form)
    return forms, params, inputs, y


def timed_forms(
    forms: dict[str, Forward], params: Params, x: jax.Array, y: jax.Array, way: str
) -> list[Form]:
    """Every form's gradients in one way; the lowered form first."""
    is_many = "vmap" in way
    start = jax.tree.map(lambda a: jnp.stack([a] * _N_CHAINS), params) if is_many else params

    def run(gradients: Callable[[Params], Any]) -> None:
        jax.block_until_ready(gradients(start))

    return [
        Form(
            name,
            partial(run, ways(forward, x, y)[way]),
            float(_N_STEPS if "scan" in way else 1),
            goal=_GOAL,
        )
        for name, forward in forms.items()
    ]


def report(
    name: str, forms: dict[str, Forward], params: Params, x: jax.Array, y: jax.Array, n_turns: int
) -> None:
    """Time all forms in turns, way by way; of many networks the time is that of all together."""
    for way in _WAYS:
        timed = time_in_turns(timed_forms(forms, params, x, y, way), Effort(n_turns, _TURN))
        seconds = {form: speed.wall for form, speed in timed.items()}
        medians = {form: statistics.median(times) for form, times in seconds.items()}
        fastest = min((form for form in forms if form != "lowered"), key=medians.__getitem__)
        ratios = map(operator.truediv, seconds["lowered"], seconds[fastest])
        shown = ", ".join(f"{form} {1e3 * value:.2f}" for form, value in medians.items())
        print(f"| {name} | {way} | {shown} | {statistics.median(ratios):.2f} |", flush=True)


if __name__ == "__main__":
    main()
