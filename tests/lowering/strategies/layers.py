"""Convolution, pooling, resampling, normalisation, attention."""

from typing import Any

import numpy as np
import torch

from ..calls import Call, Shape, Source, call
from .case import Case, Strategy, every


def _per_axis(s: Source, n_axes: int, *options: int) -> list[int]:
    return [s.pick(*options) for _ in range(n_axes)]


def _convolution(s: Source, kind: str) -> Call:
    n_axes, transposed, groups = s.pick(1, 2, 3), s.flag(), s.pick(1, 2)
    taps = _per_axis(s, n_axes, 1, 2, 3) if n_axes < 3 else [2, 1, 3]
    kernel = s.floats((4, 2 // groups, *taps) if transposed else (4, 4 // groups, *taps))
    n_out = 2 if transposed else 4
    stride = _per_axis(s, n_axes, 1, 2)
    extra = [step - 1 if transposed and s.flag() else 0 for step in stride]
    return call(
        s.floats((2, 4, *_per_axis(s, n_axes, 5, 6))),
        kernel,
        s.maybe(s.floats((n_out,))),
        stride,
        _per_axis(s, n_axes, 0, 1),
        _per_axis(s, n_axes, 1, 2),
        transposed,
        extra,
        groups,
    )


def _image(s: Source, *space: int) -> np.ndarray:
    """With or without a batch axis; as it comes, or as it leaves a relu, with many equal entries."""
    image = s.floats((*s.pick((2,), (2, 1)), *space))
    return np.maximum(image, 0) if s.flag() else image


def _window(s: Source, n_axes: int) -> list[Any]:
    return [
        _per_axis(s, n_axes, 2, 3),
        s.pick([], [2], _per_axis(s, n_axes, 1, 2)),
        s.pick([0], _per_axis(s, n_axes, 0, 1)),
    ]


def _max_pool(n_axes: int) -> Strategy:
    def pool(s: Source, kind: str) -> Call:
        image = _image(s, *_per_axis(s, n_axes, 5, 6))
        return call(image, *_window(s, n_axes), s.pick([1], [2]), s.flag())

    return pool


def _average_pool(n_axes: int) -> Strategy:
    def pool(s: Source, kind: str) -> Call:
        settings = [s.flag(), s.flag(), *([s.pick(None, 3)] if n_axes > 1 else [])]
        return call(_image(s, *_per_axis(s, n_axes, 5, 6)), *_window(s, n_axes), *settings)

    return pool


def _adaptive_pool(n_axes: int) -> Strategy:
    def pool(s: Source, kind: str) -> Call:
        return call(_image(s, *_per_axis(s, n_axes, 3, 5)), _per_axis(s, n_axes, 1, 2, 3, 4))

    return pool


def _resampled(n_axes: int, *, linear: bool) -> Strategy:
    def resampled(s: Source, kind: str) -> Call:
        image = s.floats((2, 1, *_per_axis(s, n_axes, 2, 5)))
        corners = [s.flag()] if linear else []
        if s.flag():
            return call(image, _per_axis(s, n_axes, 1, 3, 5, 7), *corners, None)
        return call(image, None, *corners, [s.pick(0.5, 1.5, 2.0) for _ in range(n_axes)])

    return resampled


def _affine(s: Source, shape: Shape) -> list[Any]:
    return s.pick([s.floats(shape), s.floats(shape)], [s.floats(shape), None], [None, None])


def _layer_norm(s: Source, kind: str) -> Call:
    shape = s.pick((4,), (3, 4))
    return call(s.floats((2, 3, 4)), list(shape), *_affine(s, shape), s.pick(1e-5, 0.1))


def _group_norm(s: Source, kind: str) -> Call:
    space = s.pick((), (5,), (2, 3))
    n = int(np.prod(space))
    eps = s.pick(1e-5, 0.1)
    return call(
        s.floats((2, 4, *space)), *_affine(s, (4,)), 2, 4, n, s.pick(1, 2, 4) if n > 1 else 2, eps
    )


def _instance_norm(s: Source, kind: str) -> Call:
    return call(
        s.floats((2, 3, *s.pick((5,), (2, 3)))), *_affine(s, (3,)), True, 0.1, s.pick(1e-5, 0.1)
    )


def _fixed_norm(s: Source, kind: str) -> Call:
    x = s.floats((2, 3, *s.pick((), (4,), (2, 3))))
    return call(
        x, *_affine(s, (3,)), s.floats((3,)), s.floats((3,), 0.2, 2), 0.1, s.pick(1e-5, 0.1)
    )


def _fixed_norm_in_words(
    x: torch.Tensor, weight: Any, bias: Any, mean: Any, variance: Any, momentum: float, eps: float
) -> tuple[torch.Tensor, ...]:
    shape = (3, *(1,) * (x.ndim - 2))
    y = (x - mean.reshape(shape)) / (variance.reshape(shape) + eps).sqrt()
    y = y if weight is None else y * weight.reshape(shape)
    return y if bias is None else y + bias.reshape(shape), torch.zeros(0), torch.zeros(0)


def _attention(s: Source, kind: str) -> Call:
    heads, key_heads = s.pick(((2, 2), (2, 2)), ((2, 4), (2, 2)), ((), ()))
    n_queries, n_keys = s.pick((3, 3), (2, 4), (4, 2))
    query = s.floats((*heads, n_queries, 4))
    key, value = s.floats((*key_heads, n_keys, 4)), s.floats((*key_heads, n_keys, 3))
    seen = s.bools((n_queries, n_keys))
    mask, causal = s.pick(
        (None, False), (None, True), (seen, False), (s.floats(seen.shape), False),
        (np.where(seen, 0.5, -np.inf), False), (s.bools((1, n_keys)), False),
    )  # fmt: skip
    settings = {"scale": s.pick(None, 0.3), "enable_gqa": heads != key_heads}
    return call(query, key, value, mask, 0.0, causal, **settings)


LAYERS = {
    **every("convolution", _convolution),
    **every("max_pool2d_with_indices", _max_pool(2)),
    **every("max_pool3d_with_indices", _max_pool(3)),
    **every("avg_pool1d", _average_pool(1)),
    **every("avg_pool2d", _average_pool(2)),
    **every("avg_pool3d", _average_pool(3)),
    **every("adaptive_avg_pool1d", _adaptive_pool(1)),
    **every("_adaptive_avg_pool2d adaptive_max_pool2d", _adaptive_pool(2)),
    **every("_adaptive_avg_pool3d adaptive_max_pool3d", _adaptive_pool(3)),
    **every("upsample_nearest1d", _resampled(1, linear=False), overload="vec"),
    **every("upsample_nearest2d", _resampled(2, linear=False), overload="vec"),
    **every("upsample_nearest3d", _resampled(3, linear=False), overload="vec"),
    **every("upsample_linear1d", _resampled(1, linear=True), overload="vec"),
    **every("upsample_bilinear2d", _resampled(2, linear=True), overload="vec"),
    **every("upsample_trilinear3d", _resampled(3, linear=True), overload="vec"),
    **every("native_layer_norm", _layer_norm),
    **every("native_group_norm", _group_norm),
    **every("_native_batch_norm_legit", _instance_norm, overload="no_stats"),
    "aten._native_batch_norm_legit_no_training.default": Case(
        _fixed_norm, ["float"], _fixed_norm_in_words
    ),
    **every("scaled_dot_product_attention", _attention),
}
