"""Characters of a text: windows of it, and the character that follows each."""

import gzip
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Int

from ..checks import require_count
from ..types import Dataset
from .label_noise import symmetric

# Part of the text, at its end, that test windows come from.
_TEST_SHARE = 0.1


def text(
    path: str | Path,
    *,
    context: int = 32,
    n_train: int,
    n_test: int,
    label_noise: float = 0.0,
    seed: int = 0,
) -> Dataset:
    """Random windows of a text as inputs, and the character after each window as its class.

    x_i = t[s_i], …, t[s_i + context − 1] and y_i = t[s_i + context]. The starts s_i of a split differ
    from one another; windows of one split may overlap. Training windows with their targets lie in the
    first 90 % of the text and test windows in the rest, so that no place of the text is in both.
    Token number k is the k-th of the characters of the whole file, sorted.

    Args:
        path: A text file in UTF-8, plain or gzipped.
        context: Characters that the next one is predicted from.
        n_train: Training windows.
        n_test: Test windows.
        label_noise: Fraction of training targets redrawn uniformly over the vocabulary.
        seed: Chooses windows and noise.

    Returns:
        Inputs of shape (n, context), integers that are not standardised; as many classes as the file
        has different characters.

    Raises:
        ValueError: The file cannot be read, the text has too few windows, or ``label_noise`` is no
            fraction.
    """
    sizes = {"context": context, "n_train": n_train, "n_test": n_test}
    for argument, value in sizes.items():
        require_count(argument, value)
    path = Path(path)
    tokens, n_tokens = _tokens(read_text(path))
    cut = len(tokens) - round(_TEST_SHARE * len(tokens))
    rng = np.random.default_rng(seed)
    name = path.name.split(".")[0]
    x_train, y_train = _windows(tokens[:cut], context, "n_train", n_train, rng, name)
    x_test, y_test = _windows(tokens[cut:], context, "n_test", n_test, rng, name)
    noisy_targets, redrawn = symmetric(y_train, label_noise, n_tokens, rng)
    y_test_noisy = symmetric(y_test, label_noise, n_tokens, rng)[0] if label_noise else None
    return Dataset(
        x_train,
        noisy_targets,
        x_test,
        y_test,
        n_classes=n_tokens,
        noisy=redrawn,
        y_test_noisy=y_test_noisy,
        name=name,
    )


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, plain or gzipped, with the line ends of Unix.

    Raises:
        ValueError: There is no such file, or it holds no such text.
    """
    try:
        raw = path.read_bytes()
        # The two bytes that every gzip file begins with, whatever its name ends in.
        plain = gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw
        return plain.decode("utf-8").replace("\r\n", "\n")
    except FileNotFoundError as error:
        raise ValueError(f"there is no file {path}; name an existing text file.") from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no text; name a file in UTF-8, plain or gzipped.") from error


def _tokens(characters: str) -> tuple[Int[np.ndarray, " n"], int]:
    """Every character as its number among the sorted ones, and how many those are."""
    codes = np.frombuffer(characters.encode("utf-32-le"), dtype="<u4")
    vocabulary, tokens = np.unique(codes, return_inverse=True)
    return tokens.astype(np.int64), len(vocabulary)


def _windows(
    tokens: Int[np.ndarray, " n"],
    context: int,
    argument: str,
    n: int,
    rng: np.random.Generator,
    name: str,
) -> tuple[Int[np.ndarray, "windows context"], Int[np.ndarray, " windows"]]:
    n_windows = max(0, len(tokens) - context)
    if n > n_windows:
        raise ValueError(
            f"{argument}={n} exceeds the {n_windows} windows of {context} characters in that part of "
            f"{name}; ask for fewer, or for a shorter context."
        )
    starts = rng.permutation(n_windows)[:n]
    windows = np.lib.stride_tricks.sliding_window_view(tokens, context + 1)[starts]
    return np.ascontiguousarray(windows[:, :-1]), windows[:, -1].copy()
