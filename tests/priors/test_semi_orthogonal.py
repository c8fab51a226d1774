import jax
import numpy as np
import pytest

from bayes_vs_sgd import priors
from tests.conftest import within

SHAPES = {"wide": (3, 5), "tall": (6, 2), "square": (4, 4), "kernel": (3, 2, 3, 5)}


@pytest.mark.parametrize("name", SHAPES)
def test_all_singular_values_are_those_of_automatic_gradient_descent(
    name: str, float64: None
) -> None:
    drawn = priors.SemiOrthogonal().sample(jax.random.key(0), SHAPES)[name]
    n_out, n_in, *kernel = SHAPES[name]
    assert drawn.shape == SHAPES[name]
    matrices = np.moveaxis(np.asarray(drawn).reshape(n_out, n_in, -1), -1, 0)
    singular = np.linalg.svd(matrices, compute_uv=False)
    expected = (n_out / n_in / np.prod(kernel, initial=1)) ** 0.5
    np.testing.assert_allclose(singular, expected, rtol=1e-12)
    assert len(np.unique(matrices[:, 0, 0])) == len(matrices)


@pytest.mark.parametrize("name", SHAPES)
def test_the_directions_are_uniform(name: str) -> None:
    """A column (row) of an orthogonal matrix is uniform on the sphere: E q² = 1/n, E q⁴ = 3/(n(n+2))."""
    n_draws = 4000
    drawn = priors.sample_many(priors.SemiOrthogonal(), jax.random.key(0), SHAPES, n_draws)[name]
    n_out, n_in, *kernel = SHAPES[name]
    scale = (n_out / n_in / np.prod(kernel, initial=1)) ** 0.5
    q = np.asarray(drawn, np.float64).reshape(n_draws, -1) / scale
    n = max(n_out, n_in)
    for power, moment in ((1, 0), (2, 1 / n), (3, 0), (4, 3 / (n * (n + 2)))):
        values = q**power
        within(values.mean(0), np.full(q.shape[1], moment), values.std(0) / n_draws**0.5)


def test_square_matrices_turn_and_reflect_alike_often() -> None:
    drawn = priors.sample_many(priors.SemiOrthogonal(), jax.random.key(1), {"w": (3, 3)}, 2000)
    reflects = np.linalg.det(np.asarray(drawn["w"])) < 0
    within(reflects.mean(), np.array(0.5), np.array(0.5 / 2000**0.5))


def test_draw_i_does_not_depend_on_how_many_are_drawn() -> None:
    few = priors.sample_many(priors.SemiOrthogonal(), jax.random.key(0), SHAPES, 2)
    many = priors.sample_many(priors.SemiOrthogonal(), jax.random.key(0), SHAPES, 5)
    assert all((few[n] == many[n][:2]).all() for n in SHAPES)
    assert not np.allclose(many["wide"][0], many["wide"][1])


def test_a_start_without_density_or_rule_is_refused() -> None:
    prior = priors.SemiOrthogonal()
    with pytest.raises(ValueError, match="SemiOrthogonal has no density"):
        prior.log_prob({"w": np.eye(2)})
    with pytest.raises(ValueError, match=r"0.bias of shape \(3,\) is no matrix.*bias=False"):
        prior.sample(jax.random.key(0), {"0.weight": (3, 2), "0.bias": (3,)})
