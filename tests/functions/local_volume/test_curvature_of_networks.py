"""Hessians, whole and by random signs, of functions whose Hessian is known."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayes_vs_sgd.functions.local_volume import hessian_diagonal, hessian_matrix, hessian_trace
from tests.conftest import within

_ROOT = np.random.default_rng(1).normal(size=(6, 6))
MATRIX = _ROOT @ _ROOT.T
# Names out of order: JAX sorts them, and the matrix is in the order of the parameters.
CENTRE = {"v": jnp.ones((2, 2)), "b": jnp.full((2,), 0.5)}


def cost(params: Any, matrix: jax.Array) -> jax.Array:
    flat = jnp.concatenate([params["v"].ravel(), params["b"]])
    return 0.5 * flat @ matrix @ flat


def test_the_whole_hessian_is_in_the_order_of_the_names() -> None:
    for n_at_once in (1, 4):
        found = hessian_matrix(cost, CENTRE, data=MATRIX, n_at_once=n_at_once)
        np.testing.assert_allclose(found, MATRIX, atol=1e-12)


def test_random_signs_find_the_diagonal_and_the_trace_within_their_errors() -> None:
    data = jnp.asarray(MATRIX, jnp.float32)
    diagonal = hessian_diagonal(jax.random.key(0), cost, CENTRE, data=data, n_probes=400)
    flat = [
        np.concatenate([part["v"].ravel(), part["b"]]) for part in (diagonal.value, diagonal.sem)
    ]
    within(flat[0], np.diag(MATRIX), flat[1])
    # Var (v ∘ Hv)_i = Σ_{j≠i} H_ij², whose estimate from 400 draws is some 10 % off at most.
    off = (MATRIX**2).sum(axis=1) - np.diag(MATRIX) ** 2
    np.testing.assert_allclose(flat[1], np.sqrt(off / 400), rtol=0.2)
    trace = hessian_trace(jax.random.key(1), cost, CENTRE, data=data, n_probes=400)
    within(trace.value, np.trace(MATRIX), trace.sem)
    # Var vᵀHv = 2 Σ_{i≠j} H_ij².
    assert trace.sem == pytest.approx(np.sqrt(2 * off.sum() / 400), rel=0.2)


def test_a_diagonal_hessian_needs_no_luck() -> None:
    data = jnp.diag(jnp.arange(1.0, 7))
    found = hessian_diagonal(jax.random.key(0), cost, CENTRE, data=data, n_probes=2)
    np.testing.assert_allclose(found.value["v"], [[1, 2], [3, 4]])
    np.testing.assert_allclose(found.value["b"], [5, 6])
    np.testing.assert_array_equal(found.sem["b"], 0)


def test_what_is_too_large_or_too_few_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Hessian takes 1\.4 GB; pass at most 12000"):
        hessian_matrix(cost, {"v": np.zeros((13_000,))})
    with pytest.raises(ValueError, match="n_probes=1"):
        hessian_diagonal(jax.random.key(0), cost, CENTRE, data=MATRIX, n_probes=1)
    with pytest.raises(ValueError, match="n_at_once=0"):
        hessian_matrix(cost, CENTRE, data=MATRIX, n_at_once=0)
