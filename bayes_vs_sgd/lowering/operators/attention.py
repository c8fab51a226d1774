"""Scaled dot-product attention as one operation, without what its decomposition adds."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array


def _attention(
    query: Array,
    key: Array,
    value: Array,
    attn_mask: Array | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Array:
    """Softmax(scale·QKᵀ + mask) V over the last two axes; a row that sees nothing is 0."""
    if enable_gqa:
        key, value = (jnp.repeat(a, query.shape[-3] // a.shape[-3], axis=-3) for a in (key, value))
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = (query * scale) @ key.swapaxes(-1, -2)
    if is_causal:
        attn_mask = jnp.tri(scores.shape[-2], scores.shape[-1], dtype=bool)
    if attn_mask is None:
        return jax.nn.softmax(scores, axis=-1) @ value
    if attn_mask.dtype == jnp.bool_:
        seen = attn_mask
        scores = jnp.where(seen, scores, -jnp.inf)
    else:
        scores = scores + attn_mask
        seen = scores > -jnp.inf
    if is_causal:
        return jax.nn.softmax(scores, axis=-1) @ value
    blind = ~seen.any(axis=-1, keepdims=True)
    # Replaced before the softmax too, for the derivative of a row of −inf is not a number.
    weights = jax.nn.softmax(jnp.where(blind, 0, scores), axis=-1)
    return jnp.where(blind, 0, weights) @ value


ATTENTION: dict[str, Callable[..., Any]] = {
    "aten.scaled_dot_product_attention.default": _attention,
}
