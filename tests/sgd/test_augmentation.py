"""Augmentations: the law of each, and the result against a plain loop."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch.fx.experimental.proxy_tensor import make_fx

from bayes_vs_sgd.sgd.augmentation import Augmentation, Compose, Flip, Jitter, Shift
from tests.conftest import within

SHAPE = (2, 5, 7)
AUGMENTATIONS: dict[str, Augmentation] = {
    "flip": Flip(),
    "shift": Shift(3),
    "still": Shift(0),
    "far": Shift(9),
    "jitter": Jitter(0.3),
    "composed": Compose((Flip(), Compose((Shift(2), Jitter(0.1))), Flip())),
}


def examples(augmentation: Augmentation, n: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(n, *SHAPE, generator=random, dtype=torch.float64)
    n_uniforms = augmentation.n_uniforms(SHAPE)
    return x, torch.rand(n, n_uniforms, generator=random, dtype=torch.float64)


def flipped(image: np.ndarray, u: np.ndarray) -> np.ndarray:
    return image[:, :, ::-1] if u[0] < 0.5 else image


def shifted(image: np.ndarray, u: np.ndarray, pixels: int) -> np.ndarray:
    down, right = (int(np.floor(v * (2 * pixels + 1))) - pixels for v in u)
    moved = np.zeros_like(image)
    for i, j in np.ndindex(*image.shape[1:]):
        if 0 <= i - down < image.shape[1] and 0 <= j - right < image.shape[2]:
            moved[:, i, j] = image[:, i - down, j - right]
    return moved


def jittered(image: np.ndarray, u: np.ndarray, std: float) -> np.ndarray:
    return image + stats.norm.ppf(u, scale=std).reshape(image.shape)


def composed(image: np.ndarray, u: np.ndarray) -> np.ndarray:
    image = jittered(shifted(flipped(image, u[:1]), u[1:3], 2), u[3:-1], 0.1)
    return flipped(image, u[-1:])


PLAIN = {
    "flip": flipped,
    "shift": lambda image, u: shifted(image, u, 3),
    "still": lambda image, u: image,
    "far": lambda image, u: shifted(image, u, 9),
    "jitter": lambda image, u: jittered(image, u, 0.3),
    "composed": composed,
}


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_row_is_what_a_plain_loop_makes_of_it(name: str) -> None:
    x, u = examples(AUGMENTATIONS[name], 40)
    found = AUGMENTATIONS[name](x, u)
    rows = zip(x.numpy(), u.numpy(), strict=True)
    expected = np.stack([PLAIN[name](image, numbers) for image, numbers in rows])
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_row_does_not_depend_on_its_neighbours(name: str) -> None:
    x, u = examples(AUGMENTATIONS[name])
    together = AUGMENTATIONS[name](x, u)
    alone = AUGMENTATIONS[name](x[2:3], u[2:3])
    torch.testing.assert_close(together[2:3], alone, rtol=0, atol=0)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_it_can_be_traced(name: str) -> None:
    x, u = examples(AUGMENTATIONS[name])
    traced = make_fx(AUGMENTATIONS[name])(x, u)
    others = (x.flip(0) - 1, 1 - u.flip(0))
    torch.testing.assert_close(traced(*others), AUGMENTATIONS[name](*others), rtol=0, atol=0)


@pytest.mark.gpu
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_gpu_makes_the_same_of_it(name: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("PyTorch sees no GPU")
    x, u = examples(AUGMENTATIONS[name])
    there = AUGMENTATIONS[name](x.cuda(), u.cuda()).cpu()
    torch.testing.assert_close(there, AUGMENTATIONS[name](x, u), rtol=1e-12, atol=1e-12)


def uniforms(n_rows: int, n: int) -> torch.Tensor:
    return torch.rand(n_rows, n, generator=torch.Generator().manual_seed(1))


def test_half_of_the_images_are_flipped() -> None:
    x = torch.arange(2.0).expand(10_000, 1, 1, 2)
    flips = Flip()(x, uniforms(10_000, 1))[:, 0, 0, 0].double().numpy()
    within(flips.mean(), np.array(0.5), np.array(0.5 / 10_000**0.5))


def test_every_shift_is_equally_likely() -> None:
    n, pixels = 50_000, 2
    x = torch.zeros(n, 1, 5, 5)
    x[:, 0, 2, 2] = 1
    places = Shift(pixels)(x, uniforms(n, 2)).flatten(1).argmax(1)
    counts = np.bincount(places.numpy(), minlength=25)
    assert counts.sum() == n
    within(counts / n, np.full(25, 1 / 25), np.full(25, (1 / 25 * 24 / 25 / n) ** 0.5))


def test_jitter_is_normal() -> None:
    x = torch.full((400, 50), 2.0)
    noise = (Jitter(0.3)(x, uniforms(400, 50)) - x).flatten().double().numpy()
    assert stats.kstest(noise, stats.norm(scale=0.3).cdf).pvalue > 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_numbers_at_the_ends_make_nothing_infinite_and_no_shift_too_far(dtype: torch.dtype) -> None:
    last = 1 - torch.finfo(dtype).eps / 2
    u = torch.tensor([[0.0, 0.0], [last, last]], dtype=dtype)
    noise = Jitter(1.0)(torch.zeros(2, 2, dtype=dtype), u)
    assert noise.isfinite().all()
    assert (noise.abs() < 9).all()
    image = torch.ones(2, 1, 9, 9, dtype=dtype)
    assert Shift(4)(image, u).sum((1, 2, 3)).tolist() == [25, 25]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Shift(-1), "pixels=-1"),
        (lambda: Shift(1.5), "pixels=1.5"),
        (lambda: Jitter(0.0), "std=0.0"),
        (lambda: Flip().n_uniforms((64,)), r"Flip takes images.*has shape \(64,\)"),
        (lambda: Shift()(torch.zeros(3, 8, 8), torch.zeros(3, 2)), r"has shape \(8, 8\)"),
        (
            lambda: Flip()(torch.zeros(3, 1, 8, 8), torch.zeros(3, 2)),
            r"u has shape \(3, 2\), and Flip\(\) needs \(3, 1\)",
        ),
        (
            lambda: Compose((Flip(), Shift()))(torch.zeros(3, 1, 8, 8), torch.zeros(2, 3)),
            r"needs \(3, 3\)",
        ),
    ],
)
def test_what_cannot_be_augmented_is_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
