import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from bayes_vs_sgd.lowering import Window, convolution, convolve

SPACE = (7, 8, 6)

# (taps, stride, padding, input dilation, kernel dilation) along every axis
WINDOWS = {
    "same": (3, 1, (1, 1), 1, 1),
    "strided": (3, 2, (1, 1), 1, 1),
    "strided 1x1": (1, 2, (0, 0), 1, 1),
    "tiles": (2, 2, (0, 0), 1, 1),
    "dilated": (3, 1, (2, 2), 1, 2),
    "transposed": (2, 1, (1, 2), 2, 1),
    "wide": (5, 3, (0, 2), 1, 1),
    "cut": (3, 1, (-1, 0), 1, 1),
    "transposed and cut": (2, 1, (-1, 1), 2, 1),
}
# (stack, in, out)
FEATURES = {"one": (1, 3, 4), "stack": (2, 3, 2), "depthwise": (4, 1, 1), "widening": (2, 1, 3)}


@pytest.fixture(autouse=True)
def no_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """These kernels are small, and the primitive is for the large ones."""
    monkeypatch.setattr(convolution, "_FEW_WEIGHTS", 0)


def case(window: str, features: str, n_axes: int, dtype: type) -> tuple[Array, Array, Window]:
    taps, stride, padding, dilation, kernel_dilation = WINDOWS[window]
    stack, inputs, outputs = FEATURES[features]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(stack, 2, *SPACE[:n_axes], inputs))
    kernel = rng.normal(size=(stack, *(taps,) * n_axes, inputs, outputs))
    every = [(v,) * n_axes for v in (stride, padding, dilation, kernel_dilation)]
    return jnp.asarray(x, dtype), jnp.asarray(kernel, dtype), Window(*every)


def by_xla(x: Array, kernel: Array, window: Window) -> Array:
    letters = "DHW"[-(x.ndim - 3) :]

    def one(x: Array, kernel: Array) -> Array:
        return jax.lax.conv_general_dilated(
            x, kernel, window.stride, window.padding, window.input_dilation,
            window.kernel_dilation, (f"N{letters}C", f"{letters}IO", f"N{letters}C"),
        )  # fmt: skip

    return jax.vmap(one)(x, kernel)


def close(ours: list[Array], theirs: list[Array], tolerance: float) -> None:
    for a, b in zip(ours, theirs, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        scale = 1 + np.max(np.abs(b))
        np.testing.assert_allclose(a / scale, b / scale, atol=tolerance, rtol=0)


def first_and_second_order(form, x: Array, kernel: Array) -> list[Array]:
    def loss(x: Array, kernel: Array) -> Array:
        return jnp.sin(form(x, kernel)).sum()

    gradient = jax.grad(loss, (0, 1))
    both, tangent = jax.jvp(gradient, (x, kernel), (x, kernel))
    return [form(x, kernel), *both, *tangent]


def compare(x: Array, kernel: Array, moves: Window, tolerance: float) -> None:
    run = jax.jit(first_and_second_order, static_argnums=0)
    close(
        run(lambda x, k: convolve(x, k, moves), x, kernel),
        run(lambda x, k: by_xla(x, k, moves), x, kernel),
        tolerance,
    )


@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("window", WINDOWS)
def test_values_and_derivatives_are_those_of_xla(window: str, features: str) -> None:
    compare(*case(window, features, 2, np.float32), 2e-5)


@pytest.mark.parametrize("limit", [0, 1000], ids=["primitive", "product"])
@pytest.mark.parametrize("window", WINDOWS)
def test_doubles_are_exact(
    window: str, limit: int, monkeypatch: pytest.MonkeyPatch, float64: None
) -> None:
    monkeypatch.setattr(convolution, "_FEW_WEIGHTS", limit)
    compare(*case(window, "one", 2, np.float64), 1e-12)


@pytest.mark.parametrize("n_axes", [1, 3])
@pytest.mark.parametrize("features", ["one", "stack"])
def test_one_and_three_axes_are_convolved_too(n_axes: int, features: str) -> None:
    compare(*case("strided", features, n_axes, np.float32), 2e-5)


@pytest.mark.parametrize("features", ["stack", "depthwise"])
@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0), (3, 2), (None, 3), (4, None)])
def test_vmap_is_a_loop(features: str, axes: tuple[int | None, int | None]) -> None:
    x, kernel, moves = case("strided", features, 2, np.float32)
    many = [
        a if axis is None else jnp.stack([a, -2 * a, a + 1], axis)
        for a, axis in zip((x, kernel), axes, strict=True)
    ]
    picks = [
        [a if axis is None else jnp.take(a, i, axis) for a, axis in zip(many, axes, strict=True)]
        for i in range(3)
    ]

    def run(x: Array, kernel: Array) -> list[Array]:
        def loss(x: Array, kernel: Array) -> Array:
            return jnp.sin(convolve(x, kernel, moves)).sum()

        return [convolve(x, kernel, moves), *jax.grad(loss, (0, 1))(x, kernel)]

    ours = jax.jit(jax.vmap(run, in_axes=axes))(*many)
    theirs = [jnp.stack(parts) for parts in zip(*(run(*pick) for pick in picks), strict=True)]
    close(ours, theirs, 2e-5)


def test_nested_vmaps_and_a_scan_are_loops_too() -> None:
    x, kernel, moves = case("same", "one", 2, np.float32)
    images, kernels = jnp.stack([x, -x]), jnp.stack([kernel, 2 * kernel, kernel - 1])

    def step(kernel: Array, image: Array) -> tuple[Array, Array]:
        return kernel + 1, convolve(image, kernel, moves)

    _, scanned = jax.jit(jax.vmap(lambda k: jax.lax.scan(step, k, images)))(kernels)
    expected = [[by_xla(image, k + i, moves) for i, image in enumerate(images)] for k in kernels]
    close([scanned], [jnp.asarray(expected)], 2e-5)
    grid = jax.vmap(jax.vmap(lambda i, k: convolve(i, k, moves), (None, 0)), (0, None))
    table = [[by_xla(i, k, moves) for k in kernels] for i in images]
    close([grid(images, kernels)], [jnp.asarray(table)], 2e-5)
    pairs = jax.vmap(jax.vmap(lambda i, k: convolve(i, k, moves)))
    close(
        [pairs(jnp.stack([images] * 3), jnp.stack([kernels[:2]] * 3))],
        [jnp.stack([jnp.stack([by_xla(i, k, moves) for i, k in zip(images, kernels, strict=False)])] * 3)],
        2e-5,
    )  # fmt: skip


def test_a_small_kernel_is_a_matrix_product(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, kernel, moves = case("same", "one", 2, np.float32)

    def loop(kernel: Array, x: Array) -> Array:
        gradient = jax.grad(lambda k: jnp.sin(convolve(x, k, moves)).sum())
        return jax.lax.fori_loop(0, 3, lambda _, k: k - 1e-3 * gradient(k), kernel)

    results = {}
    for limit in (0, 32):
        monkeypatch.setattr(convolution, "_FEW_WEIGHTS", limit)
        results[limit] = jax.jit(lambda k, x: loop(k, x))(kernel, x)
    np.testing.assert_allclose(results[0], results[32], rtol=1e-4, atol=1e-4)
    text = jax.jit(loop).lower(kernel, x).as_text()
    assert "stablehlo.convolution" not in text
    assert "stablehlo.dot_general" in text


def test_every_convolution_of_a_gradient_lies_as_eigen_takes_it() -> None:
    x, kernel, moves = case("strided", "one", 2, np.float32)
    gradient = jax.grad(lambda k, x: jnp.sin(convolve(x, k, moves)).sum(), (0, 1))

    def loop(kernel: Array) -> Array:
        return jax.lax.scan(lambda k, _: (gradient(k, x)[0], None), kernel, length=3)[0]

    text = jax.jit(loop).lower(kernel).as_text()
    convolutions = [line for line in text.splitlines() if "stablehlo.convolution" in line]
    assert len(convolutions) >= 2
    for line in convolutions:
        assert "dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]" in line
