"""What holds of every measure."""

import numpy as np
import pytest

from bayes_vs_sgd.functions import complexity
from bayes_vs_sgd.functions.complexity import MEASURES, measure

ALL_OF_THREE = (np.arange(256)[:, None] >> np.arange(8) & 1).astype(np.uint8)
every_measure = pytest.mark.parametrize("name", MEASURES)


@every_measure
def test_a_measure_is_one_finite_number_a_function_whatever_the_type_of_the_bits(name: str) -> None:
    value = measure(name, ALL_OF_THREE)
    assert value.shape == (256,)
    assert value.dtype == np.float64
    assert np.isfinite(value).all()
    assert len(set(value)) > 2
    for kind in (bool, np.int8, np.int64):
        np.testing.assert_array_equal(measure(name, ALL_OF_THREE.astype(kind)), value)


@every_measure
def test_a_measure_looks_at_one_function_at_a_time_and_leaves_it_as_it_was(name: str) -> None:
    order = np.random.default_rng(0).permutation(256)
    bits = ALL_OF_THREE.copy()
    np.testing.assert_array_equal(measure(name, bits[order]), measure(name, bits)[order])
    np.testing.assert_array_equal(measure(name, bits[7:8]), measure(name, bits)[7:8])
    np.testing.assert_array_equal(bits, ALL_OF_THREE)


@every_measure
def test_no_function_is_simpler_than_the_constants(name: str) -> None:
    value = measure(name, ALL_OF_THREE)
    assert value[0] == value[255] == value.min()
    assert value.min() < np.median(value)


@every_measure
def test_no_functions_have_no_complexities(name: str) -> None:
    assert measure(name, np.zeros((0, 8), dtype=bool)).shape == (0,)


@every_measure
def test_a_measure_of_truth_tables_refuses_other_patterns_and_no_other_does(name: str) -> None:
    for n_inputs in (1, 6):
        bits = ALL_OF_THREE[:, :n_inputs]
        if MEASURES[name].needs_truth_table:
            with pytest.raises(ValueError, match=f"bits has {n_inputs} inputs"):
                measure(name, bits)
        else:
            assert measure(name, bits).shape == (256,)


@every_measure
def test_a_measure_of_two_classes_refuses_three_and_no_other_does(name: str) -> None:
    bits = np.random.default_rng(0).integers(0, 3, (50, 8))
    if MEASURES[name].two_classes:
        with pytest.raises(ValueError, match=r"takes 0…1"):
            measure(name, bits)
    else:
        assert len(set(measure(name, bits))) > 2


@every_measure
def test_a_measure_says_what_it_is(name: str) -> None:
    assert MEASURES[name].function is getattr(complexity, name)
    assert MEASURES[name].description.endswith(".")
    assert MEASURES[name].unit


@every_measure
@pytest.mark.parametrize(
    ("bits", "message"),
    [
        (np.zeros(8, dtype=int), r"shape \(8,\).*bits\[None\]"),
        (np.zeros((3, 0), dtype=int), r"shape \(3, 0\)"),
        (np.zeros((3, 8)), "float64"),
        (np.full((3, 8), -1), "classes from -1"),
        (np.full((3, 8), 256), "classes from 256"),
    ],
)
def test_what_is_no_pattern_is_refused(name: str, bits: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure(name, bits)


def test_a_measure_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ValueError, match=r"measure='kolmogorov'.*lempel_ziv, expression_length"):
        measure("kolmogorov", ALL_OF_THREE)
