"""Functions as data: which class a network gives to each of some inputs, packed into words of bits.

A pattern of n inputs with C classes takes ⌈log₂ C⌉ bits an input, ⌊32/⌈log₂ C⌉⌋ inputs a word, the first
input in the highest bits of the first word: words compare as patterns do, read from the first input on.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8, UInt32

from ..checks import require_count

_WORD = 32


def classify(outputs: Float[Array, "n ..."]) -> Int[Array, " n"]:
    """The class of every row: 1[z > 0] of one logit z, or the index of the largest of several."""
    logits = outputs.reshape(outputs.shape[0], -1)
    if logits.shape[1] == 1:
        return (logits[:, 0] > 0).astype(jnp.int32)
    return logits.argmax(axis=1).astype(jnp.int32)


def n_words(n_inputs: int, n_classes: int = 2) -> int:
    """Words that a pattern takes."""
    return -(-n_inputs // _inputs_a_word(n_classes))


def pack(classes: Int[Array, "*batch n"], n_classes: int = 2) -> UInt32[Array, "*batch words"]:
    """Patterns as words: pure JAX, to be used inside compiled programs.

    Args:
        classes: Integers 0 … n_classes − 1.
        n_classes: C.
    """
    *batch, n = classes.shape
    per_word, bits = _inputs_a_word(n_classes), _bits(n_classes)
    padding = [(0, 0)] * len(batch) + [(0, -n % per_word)]
    padded = jnp.pad(classes.astype(jnp.uint32), padding)
    groups = padded.reshape(*batch, -1, per_word)
    shifts = np.arange(per_word - 1, -1, -1, dtype=np.uint32) * np.uint32(bits)
    return (groups << shifts).sum(axis=-1, dtype=jnp.uint32)


def pack_bits(
    classes: Int[np.ndarray, "*batch n"], n_classes: int = 2
) -> UInt32[np.ndarray, "*batch words"]:
    """``pack`` of arrays that lie in memory.

    Raises:
        ValueError: An entry is no class.
    """
    values = np.asarray(classes)
    if values.size and (values.min() < 0 or values.max() >= n_classes):
        raise ValueError(
            f"classes run from {values.min()} to {values.max()}, outside 0…{n_classes - 1}; pass the "
            "right n_classes."
        )
    return np.asarray(pack(jnp.asarray(values.astype(np.int32)), n_classes))


def unpack(
    words: UInt32[np.ndarray, "*batch words"], n_inputs: int, n_classes: int = 2
) -> UInt8[np.ndarray, "*batch n"]:
    """The class of every input, from the words of ``pack``."""
    per_word, bits = _inputs_a_word(n_classes), _bits(n_classes)
    shifts = np.arange(per_word - 1, -1, -1, dtype=np.uint32) * np.uint32(bits)
    fields = (words[..., None] >> shifts) & np.uint32(2**bits - 1)
    return fields.reshape(*words.shape[:-1], words.shape[-1] * per_word)[..., :n_inputs].astype(
        np.uint8
    )


def as_text(pattern: UInt8[np.ndarray, " n"]) -> str:
    """A pattern as digits, one an input; with commas where there are more than ten classes."""
    return ("," if pattern.max(initial=0) > 9 else "").join(map(str, pattern.tolist()))


def _bits(n_classes: int) -> int:
    require_count("n_classes", n_classes, least=2)
    return int(n_classes - 1).bit_length()


def _inputs_a_word(n_classes: int) -> int:
    bits = _bits(n_classes)
    if bits > 8:
        raise ValueError(f"n_classes={n_classes} exceeds the 256 that a pattern can hold.")
    return _WORD // bits
