import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from bayes_vs_sgd import data

# 300 different characters in order: the number of a token is its place in the text.
LETTERS = "".join(chr(0x4E00 + i) for i in range(300))

GERMAN = ["Der Hund läuft.", "Die Katze schläft!", "Der Hund schläft.", "", "Eins zwei drei vier."]
ENGLISH = ["The dog runs.", "The cat sleeps!", "The dog sleeps.", "nothing", "One two."]


def written(path: Path, text: str, *, zipped: bool = False) -> Path:
    raw = text.encode("utf-8")
    path.write_bytes(gzip.compress(raw) if zipped else raw)
    return path


def parallel(
    folder: Path, german: list[str] = GERMAN, english: list[str] = ENGLISH, name: str = "train"
) -> tuple[Path, Path]:
    return (
        written(folder / f"{name}.de", "\n".join(german) + "\n"),
        written(folder / f"{name}.en.gz", "\n".join(english) + "\n", zipped=True),
    )


def many(n: int) -> tuple[list[str], list[str]]:
    """Sentences of one word, of which every pair has its own."""
    return [f"a{i}" for i in range(n)], [f"b{i}" for i in range(n)]


def test_windows_are_followed_by_their_targets_and_splits_share_no_character(
    tmp_path: Path,
) -> None:
    path = written(tmp_path / "letters.txt", LETTERS)
    found = data.text(path, context=7, n_train=263, n_test=23, seed=3)
    for x, y in ((found.x_train, found.y_train), (found.x_test, found.y_test)):
        np.testing.assert_array_equal(x, x[:, :1] + np.arange(7))
        np.testing.assert_array_equal(y, x[:, -1] + 1)
    # All windows of either part were asked for, so each is there once.
    assert sorted(found.y_train) == list(range(7, 270))
    assert sorted(found.y_test) == list(range(277, 300))
    assert (found.n_classes, found.name) == (300, "letters")
    assert all(np.issubdtype(a.dtype, np.integer) for a in (found.x_train, found.y_train))


def test_tokens_are_numbered_by_the_sorted_characters_of_the_file(tmp_path: Path) -> None:
    content = "".join(np.random.default_rng(0).choice(list("zebra ß\n"), 500))
    found = data.text(written(tmp_path / "a.txt", content), context=5, n_train=50, n_test=20)
    characters = sorted(set(content))
    assert found.n_classes == len(characters) == 8
    for x, y, part in (
        (found.x_train, found.y_train, content[:450]),
        (found.x_test, found.y_test, content[450:]),
    ):
        for row, target in zip(x, y, strict=True):
            assert "".join(characters[t] for t in (*row, target)) in part


def test_zipped_text_is_that_which_was_zipped(tmp_path: Path) -> None:
    settings = {"context": 4, "n_train": 30, "n_test": 10}
    plain = data.text(written(tmp_path / "a.txt", LETTERS), **settings)
    zipped = data.text(written(tmp_path / "b.txt.gz", LETTERS, zipped=True), **settings)
    np.testing.assert_array_equal(plain.x_train, zipped.x_train)
    assert zipped.name == "b"
    other = data.text(tmp_path / "a.txt", seed=1, **settings)
    assert not np.array_equal(plain.x_train, other.x_train)


def test_line_ends_of_windows_are_those_of_unix(tmp_path: Path) -> None:
    settings = {"context": 2, "n_train": 5, "n_test": 1}
    unix = data.text(written(tmp_path / "a.txt", "ab\n" * 20), **settings)
    windows = data.text(written(tmp_path / "b.txt", "ab\r\n" * 20), **settings)
    assert unix.n_classes == windows.n_classes == 3


def test_noise_redraws_training_targets_alone(tmp_path: Path) -> None:
    path = written(tmp_path / "letters.txt", LETTERS)
    settings = {"context": 7, "n_train": 200, "n_test": 20}
    clean, noisy = (data.text(path, label_noise=noise, **settings) for noise in (0.0, 0.2))
    assert noisy.noisy.sum() == 40
    np.testing.assert_array_equal(noisy.x_train, clean.x_train)
    np.testing.assert_array_equal(noisy.y_test, clean.y_test)
    changed = noisy.y_train != clean.y_train
    assert not changed[~noisy.noisy].any()
    # A redrawn target is the old one with probability 1/300.
    assert changed.sum() >= 36
    assert clean.y_test_noisy is None
    assert 1 <= (noisy.y_test_noisy != noisy.y_test).sum() <= 4


def test_the_works_of_shakespeare_are_read(shared_data: Path) -> None:
    path = shared_data / "text" / "tinyshakespeare.txt.gz"
    found = data.text(path, n_train=1000, n_test=200, label_noise=0.1)
    assert (found.n_classes, found.name) == (65, "tinyshakespeare")
    assert (found.x_train.shape, found.x_test.shape) == ((1000, 32), (200, 32))
    with gzip.open(path, "rt", encoding="utf-8") as file:
        content = file.read()
    characters = sorted(set(content))
    start = content[int(0.9 * len(content)) - 1 :]
    assert "".join(characters[t] for t in found.x_test[0]) in start


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_train": 264}, "n_train=264 exceeds the 263 windows of 7 characters"),
        ({"n_test": 24}, "n_test=24 exceeds the 23 windows"),
        ({"context": 400}, "n_train=20 exceeds the 0 windows"),
        ({"context": 0}, "context=0 is not possible"),
        ({"n_test": 0}, "n_test=0 is not possible"),
        ({"label_noise": 1.5}, "label_noise=1.5"),
    ],
)
def test_windows_that_are_not_possible_are_refused(
    tmp_path: Path, changes: dict, message: str
) -> None:
    path = written(tmp_path / "letters.txt", LETTERS)
    with pytest.raises(ValueError, match=message):
        data.text(path, **({"context": 7, "n_train": 20, "n_test": 5} | changes))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (None, "there is no file"),
        (b"\xff\xfe\xfa", "is no text; name a file in UTF-8"),
        (gzip.compress(b"abc" * 100, mtime=0)[:-9], "is no text"),
        (b"\x1f\x8bnothing", "is no text"),
        (b"", "n_train=20 exceeds the 0 windows"),
    ],
)
def test_files_that_are_no_text_are_refused(
    tmp_path: Path, raw: bytes | None, message: str
) -> None:
    path = tmp_path / "a.txt"
    if raw is not None:
        path.write_bytes(raw)
    with pytest.raises(ValueError, match=message):
        data.text(path, n_train=20, n_test=5)
    with pytest.raises(ValueError, match="is no text"):
        data.text(tmp_path, n_train=20, n_test=5)


def said(words: tuple[str, ...], tokens: np.ndarray) -> str:
    return " ".join(words[t] for t in tokens)


def test_pairs_are_packed_with_their_targets_one_token_ahead(tmp_path: Path) -> None:
    test = parallel(tmp_path, ["Die Kuh schläft!"], ["The Cow_s sleeps!"], "test")
    found = data.translation(
        *parallel(tmp_path), n_train=3, n_test=1, max_length=4, vocabulary_size=5,
        test_source=test[0], test_target=test[1],
    )  # fmt: skip
    special = ("<pad>", "<start>", "<end>", "<unknown>")
    # By how often they occur, equals by alphabet.
    assert found.source_words == (*special, ".", "der", "hund", "schläft", "!")
    assert found.target_words == (*special, "the", ".", "dog", "sleeps", "!")
    rows = {
        said(found.source_words, x[0]): (
            said(found.target_words, x[1]),
            said(found.target_words, y),
        )
        for x, y in zip(found.x_train, found.y_train, strict=True)
    }
    assert rows == {
        "der hund <unknown> . <pad>": (
            "<start> the dog <unknown> .", "the dog <unknown> . <end>"
        ),
        "<unknown> <unknown> schläft ! <pad>": (
            "<start> the <unknown> sleeps !", "the <unknown> sleeps ! <end>"
        ),
        "der hund schläft . <pad>": ("<start> the dog sleeps .", "the dog sleeps . <end>"),
    }  # fmt: skip
    assert found.x_test[0, 0].tolist() == [3, 3, 7, 8, 0]
    assert found.y_test[0].tolist() == [4, 3, 7, 8, 2]
    assert (found.n_classes, found.name) == (9, "train.de to train.en")
    # One German line is empty, another has five words and signs.
    assert found.n_left_out == 2


def test_short_sentences_are_filled_up_with_padding(tmp_path: Path) -> None:
    found = data.translation(*parallel(tmp_path, *many(9)), n_train=6, n_test=3, max_length=3)
    assert (found.x_train.shape, found.y_test.shape) == ((6, 2, 4), (3, 4))
    assert (found.x_train[:, 0, 1:] == 0).all()
    assert (found.x_train[:, 1, 0] == 1).all()
    assert (found.x_train[:, 1, 2:] == 0).all()
    np.testing.assert_array_equal(found.y_train[:, 0], found.x_train[:, 1, 1])
    assert (found.y_train[:, 1] == 2).all()
    assert (found.y_train[:, 2:] == 0).all()


def test_the_test_pairs_are_none_of_the_training_pairs(tmp_path: Path) -> None:
    found = data.translation(*parallel(tmp_path, *many(50)), n_train=30, n_test=20)
    # All words are different, so those of the test pairs are unknown.
    assert len(found.source_words) == len(found.target_words) == 34
    assert (found.x_test[:, 0, 0] == 3).all()
    assert sorted(found.x_train[:, 0, 0]) == list(range(4, 34))
    number = [(found.source_words[x[0, 0]], found.target_words[x[1, 1]]) for x in found.x_train]
    assert all(german[1:] == english[1:] for german, english in number)


def test_lines_end_at_line_feeds_alone(tmp_path: Path) -> None:
    german, english = many(6)
    german[2] = "a\u2028b"
    found = data.translation(*parallel(tmp_path, german, english), n_train=5, n_test=1)
    assert found.n_left_out == 0


def test_seeds_choose_the_pairs(tmp_path: Path) -> None:
    files = parallel(tmp_path, *many(50))
    first, again, other = (
        data.translation(*files, n_train=20, n_test=5, seed=s) for s in (0, 0, 1)
    )
    assert first.source_words == again.source_words != other.source_words
    np.testing.assert_array_equal(first.x_train, again.x_train)


def test_captions_in_two_languages_are_read(shared_data: Path) -> None:
    folder = shared_data / "text" / "multi30k"
    found = data.translation(
        folder / "train.de.gz", folder / "train.en.gz", n_train=2000, n_test=300, max_length=12,
        vocabulary_size=500, test_source=folder / "val.de.gz", test_target=folder / "val.en.gz",
    )  # fmt: skip
    assert found.x_train.shape == (2000, 2, 13)
    assert found.y_test.shape == (300, 13)
    assert found.n_classes == len(found.source_words) == 504
    assert 0 < found.n_left_out < 30_014
    counts = Counter(found.y_train.flatten().tolist())
    frequent = [counts[t] for t in range(4, 504)]
    assert frequent == sorted(frequent, reverse=True)
    assert found.target_words[4:7] == ("a", ".", "in")
    # Every sentence ends once, and padding alone comes after.
    assert ((found.y_train == 2).sum(1) == 1).all()
    assert ((found.y_train != 0).sum(1) == (found.y_train == 2).argmax(1) + 1).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_train": 6, "n_test": 4}, r"n_train \+ n_test=10 exceeds the 9 pairs"),
        ({"n_train": 0}, "n_train=0 is not possible"),
        ({"max_length": 0}, "max_length=0 is not possible"),
        ({"vocabulary_size": 0}, "vocabulary_size=0 is not possible"),
        ({"test_source": "test.de"}, "pass both test_source and test_target"),
        ({"test_target": "test.en"}, "pass both test_source and test_target"),
    ],
)
def test_pairs_that_are_not_possible_are_refused(
    tmp_path: Path, changes: dict, message: str
) -> None:
    files = parallel(tmp_path, *many(9))
    with pytest.raises(ValueError, match=message):
        data.translation(*files, **({"n_train": 3, "n_test": 2} | changes))


def test_files_that_are_no_translations_of_one_another_are_refused(tmp_path: Path) -> None:
    source, target = parallel(tmp_path, many(9)[0], many(8)[1])
    with pytest.raises(ValueError, match=r"train\.de has 9 lines and train\.en\.gz has 8"):
        data.translation(source, target, n_train=3, n_test=2)
    test = parallel(tmp_path, *many(2), "test")
    with pytest.raises(ValueError, match="n_test=3 exceeds the 2 pairs"):
        data.translation(
            source, source, n_train=9, n_test=3, test_source=test[0], test_target=test[1]
        )
    with pytest.raises(ValueError, match="there is no file"):
        data.translation(source, tmp_path / "none", n_train=3, n_test=2)
