"""Lowered networks against the same networks written in JAX by hand: value and gradient, jitted.

``python -m benchmarks.lowering`` prints, for every network and way of calling it, the milliseconds
of one gradient of the lowered network and of each hand-written form, and the ratio to the fastest
of these. All forms of a row are compiled first and then timed in turns, so that a busy machine
slows them alike; a turn lasts a fifth of a second or one call, and medians over the turns are shown,
of the ratios too. The forms are checked to agree first.

The ways: one network; eight side by side (``vmap`` over parameters); gradient steps in a
``lax.scan``; eight networks in a ``lax.scan``. A last line for each says how long making the network
took.
"""

import argparse
import operator
import os
import statistics
import time
from collections.abc import Callable
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

Params = dict[str, jax.Array]
Forward = Callable[[Params, jax.Array], jax.Array]

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


def main() -> None:
    """Time every case and print a table."""
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
        params = {n: jnp.asarray(v) for n, v in network.from_torch(module).items()}
        forms: dict[str, Forward] = {"lowered": network.apply, **by_hand}
        inputs, y = jnp.asarray(x), jnp.zeros(len(x), int)
        expected = network.apply(params, inputs)
        for form, forward in by_hand.items():
            np.testing.assert_allclose(forward(params, inputs), expected, atol=2e-4, err_msg=form)
        report(name, forms, params, inputs, y, n_turns)
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


def report(
    name: str, forms: dict[str, Forward], params: Params, x: jax.Array, y: jax.Array, n_turns: int
) -> None:
    """Time all forms in turns, way by way."""
    stacked = jax.tree.map(lambda a: jnp.stack([a] * _N_CHAINS), params)
    compiled = {form: ways(forward, x, y) for form, forward in forms.items()}
    for way in compiled["lowered"]:
        start = stacked if "vmap" in way else params
        n_gradients = _N_STEPS if "scan" in way else 1
        seconds: dict[str, list[float]] = {form: [] for form in forms}
        n_calls = {form: n_calls_in_a_turn(compiled[form][way], start) for form in forms}
        for _ in range(n_turns):
            for form in forms:
                before = time.perf_counter()
                for _ in range(n_calls[form]):
                    result = compiled[form][way](start)
                jax.block_until_ready(result)
                n_done = n_calls[form] * n_gradients
                seconds[form].append((time.perf_counter() - before) / n_done)
        medians = {form: statistics.median(times) for form, times in seconds.items()}
        fastest = min((form for form in forms if form != "lowered"), key=medians.__getitem__)
        ratios = map(operator.truediv, seconds["lowered"], seconds[fastest])
        shown = ", ".join(f"{form} {1e3 * value:.2f}" for form, value in medians.items())
        print(f"| {name} | {way} | {shown} | {statistics.median(ratios):.2f} |", flush=True)


def n_calls_in_a_turn(function: Callable[[Params], Any], params: Params) -> int:
    """Compile, and count the calls that take ``_TURN`` seconds, so that none is all overhead."""
    jax.block_until_ready(function(params))
    before = time.perf_counter()
    jax.block_until_ready(function(params))
    return max(1, round(_TURN / (time.perf_counter() - before)))


if __name__ == "__main__":
    main()
