import math
import operator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bayes_vs_sgd.lowering import OPERATORS

from .calls import Source, call, run_both
from .strategies import CASES

N_EXAMPLES = {"float": 5, "int": 2, "bool": 2}
PAIRS = [(name, kind) for name, case in CASES.items() for kind in case.kinds]


def few(n: int) -> settings:
    return settings(
        max_examples=n, derandomize=True, deadline=None, database=None, phases=[Phase.generate]
    )


def assert_close(found: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    assert found.shape == expected.shape
    assert found.dtype.kind == expected.dtype.kind
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(found, expected)
        return
    scale = np.max(np.abs(expected), initial=0, where=np.isfinite(expected))
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * (1 + scale))


def assert_all_close(found: Any, expected: Any, tolerance: float) -> None:
    for a, b in zip(found, expected, strict=True):
        assert_close(a, b, tolerance)


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_an_operator_has_pytorchs_values_and_gradients(name: str, kind: str) -> None:
    case = CASES[name]

    @few(N_EXAMPLES[kind])
    @given(st.data())
    def check(data: st.DataObject) -> None:
        call = case.strategy(Source(data.draw), kind)
        expected, found = run_both(name, call, reference=case.reference)
        assert_all_close(found.values, expected.values, 1e-10)
        assert_all_close(found.gradients, expected.gradients, case.tolerance)

    check()


@pytest.mark.parametrize("name", CASES)
def test_an_operator_has_pytorchs_values_in_single_precision(name: str) -> None:
    case = CASES[name]

    @few(2)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        call = case.strategy(Source(data.draw), case.kinds[0])
        expected, found = run_both(name, call, double=False)
        assert_all_close(found.values, expected.values, 2e-5)

    check()


# Where a derivative does not exist, the table has PyTorch's.
BENDS = np.array([-1.0, 0.0, 0.0, 1.0, 2.0, 1.0])
PLATEAU = np.array([[0.0, 3.0, 3.0, 0.0], [3.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
TIES = [
    *((f"aten.{name}.default", call(BENDS)) for name in (
        "relu", "abs", "sign", "leaky_relu", "elu", "softplus", "hardtanh", "gelu", "silu",
        "floor", "ceil", "round", "trunc", "max", "min", "prod",
    )),
    ("aten.elu.default", call(BENDS, 1.67, 1.05)),
    ("aten.hardsigmoid.default", call(3 * BENDS)),
    ("aten.hardtanh.default", call(BENDS, 0.0, 1.0)),
    ("aten.clamp.default", call(BENDS, 0, 1)),
    ("aten.clamp.default", call(BENDS, None, 1)),
    ("aten.clamp.default", call(BENDS, 1, 0)),
    ("aten.clamp.Tensor", call(BENDS, np.zeros(6), np.ones(6))),
    ("aten.clamp.Tensor", call(BENDS, np.ones(6), np.zeros(6))),
    ("aten.clamp.Tensor", call(BENDS, None, np.ones(1))),
    ("aten.maximum.default", call(BENDS, BENDS[::-1].copy())),
    ("aten.minimum.default", call(BENDS, BENDS[::-1].copy())),
    ("aten.where.self", call(BENDS > 0, BENDS, BENDS)),
    ("aten.pow.Tensor_Scalar", call(BENDS, 2)),
    ("aten.pow.Tensor_Scalar", call(BENDS, 1.0)),
    ("aten.pow.Tensor_Scalar", call(BENDS, 0)),
    ("aten.pow.Tensor_Tensor", call(np.abs(BENDS), np.array([1.0, 2.0, 1.0, 0.0, 3.0, 0.5]))),
    ("aten.pow.Scalar", call(0, np.array([1.0, 2.0]))),
    ("aten.cumprod.default", call(BENDS, 0)),
    ("aten.prod.dim_int", call(PLATEAU, 1)),
    ("aten.var.correction", call(np.ones((2, 3)), [1])),
    ("aten.amax.default", call(PLATEAU, [1])),
    ("aten.amax.default", call(PLATEAU)),
    ("aten.amin.default", call(PLATEAU, [0], True)),
    ("aten.max.default", call(PLATEAU)),
    ("aten.min.default", call(PLATEAU)),
    ("aten.max.dim", call(PLATEAU, 1)),
    ("aten.max.dim", call(PLATEAU, 0, True)),
    ("aten.min.dim", call(PLATEAU, 1)),
    ("aten.sort.default", call(PLATEAU, 1)),
    ("aten.max_pool2d_with_indices.default", call(PLATEAU[None], [2, 2], [1, 1])),
    ("aten.max_pool2d_with_indices.default", call(PLATEAU[None], [3, 3], [2, 2], [1, 1])),
    ("aten.max_pool3d_with_indices.default", call(PLATEAU[None, None], [1, 2, 2], [1, 1, 1])),
    ("aten.adaptive_max_pool2d.default", call(PLATEAU[None], [2, 2])),
    ("aten.adaptive_max_pool3d.default", call(PLATEAU[None, None], [1, 2, 3])),
    ("aten.scaled_dot_product_attention.default", call(
        PLATEAU, PLATEAU, PLATEAU, np.array([[True, False, True], [False] * 3, [True] * 3]))),
    ("aten.scaled_dot_product_attention.default", call(
        PLATEAU, PLATEAU, PLATEAU, np.array([[0, -np.inf, 0], [-np.inf] * 3, [1, 2, 3]]))),
]  # fmt: skip


@pytest.mark.parametrize("i", range(len(TIES)), ids=[name for name, _ in TIES])
def test_where_a_derivative_is_a_convention_it_is_pytorchs(i: int) -> None:
    expected, found = run_both(*TIES[i])
    assert_all_close(found.values, expected.values, 1e-10)
    assert_all_close(found.gradients, expected.gradients, 1e-10)


@pytest.mark.parametrize(
    ("size", "new"), [(26, 22), (28, 46), (7, 13), (5, 10), (5, 1.1), (2, 2.3), (9, 1.7)]
)
def test_a_pixel_that_rounding_decides_on_is_pytorchs(size: int, new: float) -> None:
    image = np.arange(size, dtype=np.float32).reshape(1, 1, 1, size)
    sizes = ([1, new], None) if isinstance(new, int) else (None, [1.0, new])
    expected, found = run_both("aten.upsample_nearest2d.vec", call(image, *sizes), double=False)
    assert_all_close(found.values, expected.values, 0)


def test_an_empty_tensor_has_its_shape_and_type() -> None:
    empty = OPERATORS["aten.empty.memory_format"]
    assert empty([2, 3]).shape == (2, 3)
    assert empty([2, 3]).dtype.kind == "f"
    assert empty([2], dtype=np.dtype("int32")).dtype.kind == "i"


def test_writing_through_a_mask_is_pytorchs() -> None:
    x, rows = np.arange(6.0).reshape(3, 2), np.array([True, False, True])
    for mask, accumulate in ((rows, False), (x > 2, True), (x > 2, False)):
        write = call(x, [mask], np.array(9.0), accumulate)
        expected, found = run_both("aten.index_put.default", write)
        assert_all_close(found.values, expected.values, 1e-10)
        assert_all_close(found.gradients, expected.gradients, 1e-10)


ON_SIZES = {
    "add": (7, 2), "sub": (7, 2), "mul": (7, 2), "floordiv": (-7, 2), "truediv": (7, 2),
    "mod": (-7, 3), "neg": (7,), "pow": (7, 2), "eq": (7, 7), "ne": (7, 7), "lt": (2, 7),
    "le": (7, 7), "gt": (2, 7), "ge": (7, 7), "getitem": ((4, 5, 6), 1), "ceil": (2.3,),
    "floor": (-2.3,), "trunc": (-2.7,), "sym_max": (2, 7), "sym_min": (2, 7), "sym_float": (7,),
    "sym_int": (2.7,), "sym_sum": ([1, 2, 3],),
}  # fmt: skip


@pytest.mark.parametrize("name", ON_SIZES)
def test_arithmetic_on_sizes_is_pythons(name: str) -> None:
    reference = next(
        getattr(module, name) for module in (operator, math, torch) if hasattr(module, name)
    )
    found, expected = OPERATORS[f"operator.{name}"](*ON_SIZES[name]), reference(*ON_SIZES[name])
    assert found == expected
    assert type(found) is type(expected)


def test_every_operator_of_the_table_is_compared() -> None:
    on_sizes = {f"operator.{name}" for name in ON_SIZES}
    assert set(OPERATORS) == {*CASES, *on_sizes, "aten.empty.memory_format"}
