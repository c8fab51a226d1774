"""Pairs of sentences in two languages, as tokens of small vocabularies."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from ..checks import require_count
from ..types import Dataset
from .text import read_text

PAD, START, END, UNKNOWN = range(4)
SPECIAL = ("<pad>", "<start>", "<end>", "<unknown>")

# A run of letters and digits, or one sign.
_WORD = re.compile(r"\w+|[^\w\s]")

Words = tuple[str, ...]
Pair = tuple[Words, Words]


@dataclass(frozen=True)
class Translation(Dataset):
    """A ``Dataset`` of sentence pairs, and what its tokens mean.

    Attributes:
        source_words: Word by source token; the first four are padding, start, end, unknown.
        target_words: Word by target token, likewise.
        n_left_out: Pairs of the files in which a sentence was empty or too long.
    """

    source_words: Words = SPECIAL
    target_words: Words = SPECIAL
    n_left_out: int = 0


def translation(
    source_path: str | Path,
    target_path: str | Path,
    *,
    n_train: int,
    n_test: int,
    max_length: int = 20,
    vocabulary_size: int = 1000,
    test_source: str | Path | None = None,
    test_target: str | Path | None = None,
    seed: int = 0,
) -> Translation:
    """Random sentence pairs of two files, line i of one being the translation of line i of the other.

    Sentences are put into lower case and cut into words and signs. With the source a_1 … a_k and its
    translation b_1 … b_m a row is x[0] = a_1 … a_k, x[1] = start, b_1 … b_m and y = b_1 … b_m, end, each
    filled up with padding to max_length + 1 tokens: y_t is what follows x[1, t]. Tokens 0 to 3 are
    padding, start, end and unknown; the others are the most frequent words of the training rows, the
    most frequent first and equals by alphabet.

    Args:
        source_path: Sentences to translate, one a line; UTF-8, plain or gzipped.
        target_path: Their translations.
        n_train: Training pairs.
        n_test: Test pairs.
        max_length: Words of a sentence at most; pairs with a longer or an empty one are left out.
        vocabulary_size: Words of a language at most that have a token of their own, beside the four
            special tokens.
        test_source: File that the test pairs come from; None takes other pairs of the training file.
        test_target: Its translations.
        seed: Chooses the pairs.

    Returns:
        Inputs of shape (n, 2, max_length + 1), targets of shape (n, max_length + 1), integers; as many
        classes as there are target tokens.

    Raises:
        ValueError: A file cannot be read, two files have lines unequal in number, one test file is
            given without the other, or there are too few pairs.
    """
    sizes = {
        "n_train": n_train, "n_test": n_test, "max_length": max_length,
        "vocabulary_size": vocabulary_size,
    }  # fmt: skip
    for argument, value in sizes.items():
        require_count(argument, value)
    if (test_source is None) != (test_target is None):
        raise ValueError("one test file was given; pass both test_source and test_target, or none.")
    rng = np.random.default_rng(seed)
    pairs, n_left_out = _pairs(Path(source_path), Path(target_path), max_length)
    if test_source is None or test_target is None:
        both = _chosen(pairs, "n_train + n_test", n_train + n_test, rng)
        train, test = both[:n_train], both[n_train:]
    else:
        train = _chosen(pairs, "n_train", n_train, rng)
        others, n_left_out_there = _pairs(Path(test_source), Path(test_target), max_length)
        test = _chosen(others, "n_test", n_test, rng)
        n_left_out += n_left_out_there
    words = [_vocabulary((pair[side] for pair in train), vocabulary_size) for side in (0, 1)]
    (x_train, y_train), (x_test, y_test) = (
        _packed(part, words[0], words[1], max_length + 1) for part in (train, test)
    )
    return Translation(
        x_train,
        y_train,
        x_test,
        y_test,
        n_classes=len(words[1]),
        name=" to ".join(Path(p).name.removesuffix(".gz") for p in (source_path, target_path)),
        source_words=words[0],
        target_words=words[1],
        n_left_out=n_left_out,
    )


def _pairs(source: Path, target: Path, max_length: int) -> tuple[list[Pair], int]:
    """The pairs of two files that are neither empty nor too long, and how many others there are."""
    sources, targets = _sentences(source), _sentences(target)
    if len(sources) != len(targets):
        raise ValueError(
            f"{source.name} has {len(sources)} lines and {target.name} has {len(targets)}; line i of "
            "one must be the translation of line i of the other."
        )
    pairs = list(zip(sources, targets, strict=True))
    kept = [pair for pair in pairs if all(1 <= len(words) <= max_length for words in pair)]
    return kept, len(pairs) - len(kept)


def _sentences(path: Path) -> list[Words]:
    # Not splitlines, which also splits at rare signs inside a line.
    lines = read_text(path).removesuffix("\n").split("\n")
    return [tuple(_WORD.findall(line.lower())) for line in lines]


def _chosen(pairs: Sequence[Pair], argument: str, n: int, rng: np.random.Generator) -> list[Pair]:
    if n > len(pairs):
        raise ValueError(
            f"{argument}={n} exceeds the {len(pairs)} pairs that are neither empty nor too long; ask "
            "for fewer, or raise max_length."
        )
    return [pairs[i] for i in rng.permutation(len(pairs))[:n]]


def _vocabulary(sentences: Iterable[Words], size: int) -> Words:
    """The special tokens and the most frequent words."""
    counts = Counter(word for sentence in sentences for word in sentence)
    ordered = sorted(counts, key=lambda word: (-counts[word], word))
    return (*SPECIAL, *ordered[:size])


def _packed(
    pairs: Sequence[Pair], source_words: Words, target_words: Words, length: int
) -> tuple[Int[np.ndarray, "n 2 length"], Int[np.ndarray, "n length"]]:
    source_tokens, target_tokens = (
        {word: token for token, word in enumerate(words)} for words in (source_words, target_words)
    )
    x = np.full((len(pairs), 2, length), PAD, dtype=np.int64)
    y = np.full((len(pairs), length), PAD, dtype=np.int64)
    for i, (source, target) in enumerate(pairs):
        said = [target_tokens.get(word, UNKNOWN) for word in target]
        x[i, 0, : len(source)] = [source_tokens.get(word, UNKNOWN) for word in source]
        x[i, 1, : len(said) + 1] = [START, *said]
        y[i, : len(said) + 1] = [*said, END]
    return x, y
