"""Functions as packed patterns, and tables that count them."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayes_vs_sgd.functions import patterns, table
from bayes_vs_sgd.functions.table import Counter, FunctionCounts, count_rows, find_rows


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(1, 130), n_classes=st.sampled_from([2, 3, 10, 200]), seed=st.integers(0, 2**31)
)
def test_unpacking_undoes_packing(n: int, n_classes: int, seed: int) -> None:
    classes = np.random.default_rng(seed).integers(0, n_classes, (4, n))
    words = patterns.pack_bits(classes, n_classes)
    assert words.shape == (4, patterns.n_words(n, n_classes))
    np.testing.assert_array_equal(patterns.unpack(words, n, n_classes), classes)


def test_words_are_ordered_as_patterns_are() -> None:
    classes = np.random.default_rng(0).integers(0, 2, (200, 70))
    order = np.lexsort(patterns.pack_bits(classes).T[::-1])
    rising = sorted(map(tuple, classes.tolist()))
    assert [tuple(row) for row in classes[order].tolist()] == rising


def test_the_first_input_is_the_highest_bit() -> None:
    one = np.zeros((1, 33), int)
    one[0, 0] = 1
    np.testing.assert_array_equal(patterns.pack_bits(one), [[2**31, 0]])


def test_one_logit_is_a_class_by_its_sign_and_several_by_the_largest() -> None:
    assert patterns.classify(jnp.array([[-1.0], [0.0], [2.0]])).tolist() == [0, 0, 1]
    assert patterns.classify(jnp.array([[0.0, 1.0, -1.0], [3.0, 1.0, 2.0]])).tolist() == [1, 0]


def test_a_pattern_reads_as_digits() -> None:
    assert patterns.as_text(np.array([0, 1, 1], np.uint8)) == "011"
    assert patterns.as_text(np.array([0, 11], np.uint8)) == "0,11"


def test_entries_that_are_no_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="outside 0…1"):
        patterns.pack_bits(np.array([[0, 2]]))
    with pytest.raises(ValueError, match="exceeds the 256"):
        patterns.n_words(3, 1000)


@pytest.mark.parametrize("n_words", [1, 2, 5])
def test_counting_is_what_sorting_rows_gives(n_words: int) -> None:
    words = np.random.default_rng(n_words).integers(0, 3, (2000, n_words)).astype(np.uint32)
    found, counts = count_rows(words)
    wanted, wanted_counts = np.unique(words, axis=0, return_counts=True)
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(counts, wanted_counts)


def test_counting_is_exact_where_hashes_collide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_hash", lambda words: (words[:, 0] % 2).astype(np.uint64))
    words = np.random.default_rng(1).integers(0, 9, (500, 2)).astype(np.uint32)
    found, counts = count_rows(words)
    wanted, wanted_counts = np.unique(words, axis=0, return_counts=True)
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(counts, wanted_counts)


def test_a_mean_is_that_of_the_draws() -> None:
    words = np.arange(4, dtype=np.uint32)[:, None]
    counts = FunctionCounts(words, np.array([4, 3, 2, 1]), 32)
    values = np.array([1.0, 2.0, 2.0, 5.0])
    drawn = np.repeat(values, counts.counts)
    mean = counts.mean_of(values)
    assert mean.value == pytest.approx(drawn.mean())
    assert mean.sem == pytest.approx(drawn.std(ddof=1) / 10**0.5)
    with pytest.raises(ValueError, match="one for each of the 4 functions"):
        counts.mean_of(values[:2])


def test_rows_are_found_where_they_stand() -> None:
    words = np.array([[0, 5], [1, 2], [1, 9]], np.uint32)
    wanted = np.array([[1, 9], [7, 7], [0, 5], [1, 9]], np.uint32)
    assert find_rows(words, wanted).tolist() == [2, -1, 0, 2]
    assert find_rows(words[:0], wanted).tolist() == [-1] * 4


def test_chunks_merge_to_what_all_at_once_gives() -> None:
    classes = np.random.default_rng(2).integers(0, 2, (5000, 6))
    words = patterns.pack_bits(classes)
    whole = FunctionCounts.of(words, 6)
    counter = Counter(FunctionCounts.empty(6))
    for chunk in np.array_split(words, 7):
        counter.add(chunk)
    halves = FunctionCounts.merged(
        [FunctionCounts.of(words[2000:], 6), FunctionCounts.of(words[:2000], 6)]
    )
    for found in (counter.result(), halves):
        np.testing.assert_array_equal(found.words, whole.words)
        np.testing.assert_array_equal(found.counts, whole.counts)
    assert whole.total == 5000


def test_a_table_knows_given_functions_and_conditions_on_rows(tmp_path: Path) -> None:
    classes = np.random.default_rng(3).integers(0, 2, (3000, 5))
    counts = FunctionCounts.of(patterns.pack_bits(classes), 5)
    asked = np.array([[0, 1, 0, 1, 1], [1, 1, 1, 1, 1]])
    wanted = [(classes == row).all(axis=1).sum() for row in asked]
    assert counts.count_of(asked).tolist() == wanted

    rows = np.array([True, False, True, False, False])
    given_rows = counts.given(rows, np.array([1, 0]))
    fits = classes[(classes[:, 0] == 1) & (classes[:, 2] == 0)][:, ~rows]
    found, found_counts = np.unique(fits, axis=0, return_counts=True)
    np.testing.assert_array_equal(given_rows.patterns, found)
    np.testing.assert_array_equal(given_rows.counts, found_counts)

    counts.save(tmp_path / "counts.npz")
    again = FunctionCounts.load(tmp_path / "counts.npz")
    np.testing.assert_array_equal(again.words, counts.words)
    assert (again.n_inputs, again.n_classes, again.total) == (5, 2, 3000)


def test_the_error_of_a_probability_is_that_of_independent_draws() -> None:
    counts = FunctionCounts.of(np.repeat(np.array([[0], [1]], np.uint32), [300, 100], axis=0), 1)
    np.testing.assert_allclose(counts.probability.value, [0.75, 0.25])
    np.testing.assert_allclose(counts.probability.sem, np.sqrt(0.75 * 0.25 / 400))


def test_tables_of_other_patterns_are_refused() -> None:
    a, b = FunctionCounts.empty(5), FunctionCounts.empty(6)
    with pytest.raises(ValueError, match="merge those of one kind"):
        FunctionCounts.merged([a, b])
    with pytest.raises(ValueError, match="take 1 words each"):
        FunctionCounts.of(np.zeros((3, 2), np.uint32), 5)
    with pytest.raises(ValueError, match="one class an input"):
        a.count_of(np.zeros((1, 4), int))
    with pytest.raises(ValueError, match="as many True as classes"):
        a.given(np.ones(5, bool), np.zeros(2, int))
    with pytest.raises(ValueError, match="leave some out"):
        a.given(np.ones(5, bool), np.zeros(5, int))


def test_packing_can_be_compiled() -> None:
    classes = np.random.default_rng(4).integers(0, 10, (3, 20))
    compiled = jax.jit(patterns.pack, static_argnums=1)(jnp.asarray(classes), 10)
    np.testing.assert_array_equal(compiled, patterns.pack_bits(classes, 10))


def test_a_table_without_functions_has_no_patterns() -> None:
    assert FunctionCounts.empty(128).patterns.shape == (0, 128)
