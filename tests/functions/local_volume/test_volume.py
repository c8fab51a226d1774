"""Local volumes against exact masses, against direct sampling, and where they cannot be trusted."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from bayes_vs_sgd import priors
from bayes_vs_sgd.functions.local_volume import (
    Curvature,
    LocalVolume,
    Preconditioned,
    Rays,
    Region,
    Tilted,
    Uniform,
    cost_below,
    hessian_matrix,
    local_volume,
    same_function,
)
from tests.conftest import within

from .references import log_mass_of_a_ball, log_mass_of_an_ellipsoid

KEY = jax.random.key(4)
STANDARD = priors.Normal(1.0)


def quadratic(params: Any, data: Any) -> jax.Array:
    curvatures, centre = data
    return 0.5 * jnp.sum(curvatures * jnp.square(params["w"] - centre))


def of_ellipsoid(
    curvatures: np.ndarray, cutoff: float, centre: np.ndarray, **settings: Any
) -> LocalVolume:
    """The volume of {½ Σ h_j (w_j − w*_j)² ≤ cutoff}."""
    at = {"w": jnp.asarray(centre, jnp.float32)}
    data = (jnp.asarray(curvatures, jnp.float32), at["w"])
    region = cost_below(quadratic, at, cutoff, data=data)
    return local_volume(KEY, region, at, settings.pop("prior", STANDARD), **settings)


def agrees(found: LocalVolume, exact: float) -> None:
    """Trusted, and within five standard errors; the search for the radii leaves ``resolution``."""
    assert found.trusted, found
    within(found.log_volume.value, exact, found.log_volume.sem + found.resolution)


@pytest.mark.parametrize("dimension", [3, 200, 100_000])
def test_a_ball_around_the_prior_mean_has_its_mass_along_every_ray(dimension: int) -> None:
    """In 10⁵ dimensions 10⁻⁷, the precision of float32, times d is a hundredth of a nat of 32,000."""
    rays = Rays(n_directions=8)
    found = of_ellipsoid(np.ones(dimension), dimension / 8, np.zeros(dimension), rays=rays)
    exact = log_mass_of_a_ball(dimension / 4, dimension)
    assert found.log_volume.value == pytest.approx(exact, abs=0.012 + 1e-6 * dimension)
    assert found.effective_directions == pytest.approx(8, rel=0.01)
    assert 0 < found.resolution <= 0.011 + 1e-7 * dimension


@pytest.mark.parametrize("directions", ["uniform", "tilted"])
def test_a_ball_away_from_the_prior_mean_has_the_mass_of_a_noncentral_chi_square(
    directions: str,
) -> None:
    centre = np.linspace(-1, 1.5, 12)
    how = {"uniform": Uniform(), "tilted": Tilted(Curvature({"w": np.ones(12)}), cutoff=2.0)}
    rays = Rays(n_directions=400)
    found = of_ellipsoid(np.ones(12), 2.0, centre, directions=how[directions], rays=rays)
    agrees(found, stats.ncx2.logcdf(4.0, 12, centre @ centre))
    # The law that leans to the prior knows where the mass is.
    assert (found.log_volume.sem < 0.01) == (directions == "tilted")


def test_the_reference_is_the_mass_that_sampling_finds() -> None:
    h = np.logspace(-1, 1, 6)
    inside = (0.5 * np.random.default_rng(0).normal(size=(400_000, 6)) ** 2 @ h < 1.5).mean()
    sem = np.sqrt(inside / 400_000)
    within(inside, np.exp(log_mass_of_an_ellipsoid(h, 1.5)), sem)


BADLY_CONDITIONED = np.logspace(-2, 2, 50)


@pytest.mark.parametrize("how", ["preconditioned", "tilted", "tilted by factors"])
def test_preconditioned_rays_hit_a_badly_conditioned_basin(how: str) -> None:
    exact = log_mass_of_an_ellipsoid(BADLY_CONDITIONED, 0.5)
    curvature = Curvature({"w": BADLY_CONDITIONED})
    directions = {
        "preconditioned": Preconditioned(curvature),
        "tilted": Tilted(curvature, cutoff=0.5),
        "tilted by factors": Tilted(
            Curvature.of_matrix(np.diag(BADLY_CONDITIONED), {"w": (50,)}, n_factors=20), cutoff=0.5
        ),
    }[how]
    rays = Rays(n_directions=400)
    found = of_ellipsoid(BADLY_CONDITIONED, 0.5, np.zeros(50), directions=directions, rays=rays)
    agrees(found, exact)
    assert found.log_volume.sem < 0.15


def test_plain_rays_miss_it_by_tens_of_nats_and_say_so() -> None:
    found = of_ellipsoid(BADLY_CONDITIONED, 0.5, np.zeros(50))
    exact = log_mass_of_an_ellipsoid(BADLY_CONDITIONED, 0.5)
    assert found.log_volume.value < exact - 10
    assert found.effective_directions < 10
    assert not found.trusted
    assert "directions carry it" in str(found)


def test_a_small_basin_is_its_volume_times_the_density_at_its_centre() -> None:
    """An ellipsoid in parameters of two widths, so small that the prior is flat in it."""
    prior = priors.FanIn(std=3.0, bias_std=0.5)
    shapes = {"w": (2, 3), "b": (2,)}
    centre = prior.sample(jax.random.key(9), shapes)
    h = {"w": np.linspace(1, 30, 6).reshape(2, 3), "b": np.array([4.0, 60.0])}

    def cost(params: Any, data: Any) -> jax.Array:
        gaps = [(data[n] * jnp.square(params[n] - centre[n])).sum() for n in shapes]
        return 0.5 * jnp.stack(gaps).sum()

    cutoff, d = 1e-4, 8
    data = {name: jnp.asarray(value, jnp.float32) for name, value in h.items()}
    region = cost_below(cost, centre, cutoff, data=data)
    found = local_volume(KEY, region, centre, prior, directions=Preconditioned(Curvature(h)))
    log_det = sum(np.log(value).sum() for value in h.values())
    log_ball = d / 2 * np.log(2 * np.pi * cutoff) - special.gammaln(d / 2 + 1)
    exact = log_ball - 0.5 * log_det + float(prior.log_prob(centre))
    agrees(found, exact)
    assert found.log_volume.sem < 0.01


def positive(params: Any, data: Any) -> jax.Array:
    return (params["w"] > data).all()


@pytest.mark.parametrize("centre", [[1.0, 1, 1, 1, 1], [0.3, 2.0, 1.0, 0.6, 1.4]])
def test_an_orthant_has_its_share_of_space_from_any_point_in_it(centre: list[float]) -> None:
    at = {"w": jnp.asarray(centre)}
    rays = Rays(n_directions=2000)
    found = local_volume(KEY, Region(positive, jnp.zeros(5)), at, STANDARD, rays=rays)
    agrees(found, -5 * np.log(2))
    # A ray whose direction lies in the cone never leaves it.
    assert found.n_unbounded >= 2000 / 2**5 - 5 * np.sqrt(2000 / 2**5)


CORNERS = jnp.asarray([[0.0, 0], [0, 1], [1, 0], [1, 1]])
# One weight for each of the six functions 1[w·x > 0] on {0, 1}², and the angle of their cone.
PERCEPTRONS = {
    (1.0, 1.0): 1 / 4,
    (-1.0, -1.0): 1 / 4,
    (2.0, -1.0): 1 / 8,
    (1.0, -2.0): 1 / 8,
    (-1.0, 2.0): 1 / 8,
    (-2.0, 1.0): 1 / 8,
}


def perceptron(params: Any, x: jax.Array) -> jax.Array:
    return x @ params["w"]


def test_every_perceptron_function_has_the_angle_of_its_cone() -> None:
    total, variance = 0.0, 0.0
    for weights, share in PERCEPTRONS.items():
        at = {"w": jnp.asarray(weights)}
        region = same_function(perceptron, CORNERS, at)
        found = local_volume(KEY, region, at, STANDARD, rays=Rays(n_directions=500))
        agrees(found, np.log(share))
        total += np.exp(found.log_volume.value)
        variance += (np.exp(found.log_volume.value) * found.log_volume.sem) ** 2
    within(total, 1.0, np.sqrt(variance))


def small_network(params: Any, x: jax.Array) -> jax.Array:
    return jax.nn.relu(x @ params["w"].T + params["b"]) @ params["v"]


def test_a_networks_star_shaped_part_has_the_mass_that_sampling_finds() -> None:
    """Prior draws whose whole segment to the centre is one function, against rays from it."""
    prior, shapes = priors.Normal(1.0), {"w": (2, 2), "b": (2,), "v": (2,)}
    at = prior.sample(jax.random.key(2), shapes)
    region = same_function(small_network, CORNERS, at)
    found = local_volume(KEY, region, at, prior, rays=Rays(n_directions=4000, growth=1.1))
    n = 20_000
    drawn = priors.sample_many(prior, jax.random.key(3), shapes, n)

    def share(draw: Any) -> tuple[jax.Array, jax.Array]:
        steps = jnp.linspace(1, 0, 60, endpoint=False)
        along = lambda t: jax.tree.map(lambda c, z: c + t * (z - c), at, draw)  # noqa: E731
        inside = jax.lax.map(lambda t: region.inside(along(t), region.data), steps)
        return inside.all(), inside[0]

    star, same = (np.asarray(a) for a in jax.jit(jax.vmap(share))(drawn))
    assert found.trusted, found
    log_star, sem = np.log(star.mean()), np.sqrt((1 - star.mean()) / star.sum())
    within(found.log_volume.value, log_star, np.hypot(sem, found.log_volume.sem))
    # The function has more mass than what its centre sees of it.
    assert same.mean() > 1.1 * star.mean()


def deep_network(params: Any, x: jax.Array) -> jax.Array:
    hidden = jnp.tanh(x @ params["w"].T + params["b"])
    return jnp.tanh(hidden @ params["u"].T + params["c"]) @ params["v"]


DEEP = {"w": (5, 7), "b": (5,), "u": (5, 5), "c": (5,), "v": (5,)}
INPUTS = jnp.asarray([[int(bit) for bit in f"{i:07b}"] for i in range(128)], jnp.float32)


def divergence(params: Any, data: Any) -> jax.Array:
    """The mean of KL(Bernoulli(p) ‖ Bernoulli(q)) over inputs, p at the centre."""
    x, logits = data
    mine, at = deep_network(params, x), jax.nn.sigmoid(logits)
    gaps = jax.nn.log_sigmoid(logits) - jax.nn.log_sigmoid(mine)
    others = jax.nn.log_sigmoid(-logits) - jax.nn.log_sigmoid(-mine)
    return (at * gaps + (1 - at) * others).mean()


@pytest.mark.slow
def test_tilted_rays_find_the_mass_of_a_network_of_75_parameters_that_plain_rays_miss() -> None:
    """Against prior draws whose whole segment to the centre predicts almost what the centre does."""
    prior, cutoff = priors.FanIn(1.0, bias_std=1.0), 0.1
    at = prior.sample(jax.random.key(1), DEEP)
    data = (INPUTS, deep_network(at, INPUTS))
    curvature = Curvature.of_matrix(hessian_matrix(divergence, at, data=data), DEEP)
    region = cost_below(divergence, at, cutoff, data=data)
    tilted = local_volume(
        KEY, region, at, prior,
        directions=Tilted(curvature, cutoff=cutoff), rays=Rays(n_directions=600, growth=1.2),
    )  # fmt: skip
    assert tilted.trusted, tilted
    n = 4000
    drawn = priors.sample_many(prior, jax.random.key(3), DEEP, n)

    def is_seen(draw: Any) -> jax.Array:
        steps = jnp.linspace(1, 0, 25, endpoint=False)
        along = lambda t: jax.tree.map(lambda c, z: c + t * (z - c), at, draw)  # noqa: E731
        return jax.lax.map(lambda t: region.inside(along(t), region.data), steps).all()

    seen = np.asarray(jax.jit(lambda d: jax.lax.map(is_seen, d, batch_size=50))(drawn)).mean()
    sem = np.sqrt((1 - seen) / (n * seen))
    within(tilted.log_volume.value, np.log(seen), np.hypot(sem, tilted.log_volume.sem))
    plain = local_volume(KEY, region, at, prior)
    assert plain.log_volume.value < tilted.log_volume.value - 10
    assert not plain.trusted


def with_a_gap(params: Any, data: Any) -> jax.Array:
    radius = jnp.sqrt(jnp.square(params["w"]).sum())
    return (radius < 1) | ((radius > 1.3) & (radius < 3))


def test_mass_beyond_a_gap_that_the_search_jumped_over_is_seen() -> None:
    at = {"w": jnp.zeros(2)}
    rays = Rays(n_directions=400, start=0.9, growth=2.0)
    found = local_volume(KEY, Region(with_a_gap), at, STANDARD, rays=rays)
    mass = lambda r: 1 - np.exp(-(r**2) / 2)  # noqa: E731
    assert (found.radii > 1.3).any()
    share = found.share_inside
    bound = np.exp(found.log_volume.value) * share.value
    sem = bound * np.hypot(share.sem / share.value, found.log_volume.sem)
    # Rays that stopped at the gap and rays that did not: each contributes what is inside.
    near, far = mass(1.0), mass(1.0) + mass(3.0) - mass(1.3)
    jumped = (found.radii > 1.3).mean()
    within(bound, (1 - jumped) * near + jumped * far, sem)
    assert share.value < 0.95


def test_a_gap_that_holds_much_of_the_mass_makes_it_untrusted() -> None:
    def ring(params: Any, data: Any) -> jax.Array:
        radius = jnp.sqrt(jnp.square(params["w"]).sum())
        return (radius < 0.3) | (radius > 2.0)

    at = {"w": jnp.zeros(2)}
    rays = Rays(n_directions=100, start=0.15, growth=40.0)
    found = local_volume(KEY, Region(ring), at, STANDARD, rays=rays)
    assert found.share_inside.value < 0.5
    assert "is outside the region" in str(found)


def test_the_standard_error_is_the_spread_over_keys() -> None:
    """Over 60 keys (estimate − truth)/sem has mean square 1, give or take 5·√(2/60)."""
    h = np.array([0.5, 1.0, 2.0, 4.0])
    at = {"w": jnp.zeros(4)}
    region = cost_below(quadratic, at, 0.4, data=(jnp.asarray(h, jnp.float32), at["w"]))
    exact = np.exp(log_mass_of_an_ellipsoid(h, 0.4))
    scores, ratios = [], []
    for seed in range(60):
        found = local_volume(jax.random.key(seed), region, at, STANDARD)
        value = np.exp(found.log_volume.value)
        scores.append((value - exact) / (value * found.log_volume.sem))
        ratios.append(found.bootstrap_sem / found.log_volume.sem)
    assert np.mean(np.square(scores)) == pytest.approx(1, abs=5 * np.sqrt(2 / 60))
    assert np.mean(ratios) == pytest.approx(1, abs=0.1)


def test_more_directions_begin_with_the_same() -> None:
    few = of_ellipsoid(np.ones(5), 1.0, np.ones(5), rays=Rays(n_directions=4))
    many = of_ellipsoid(np.ones(5), 1.0, np.ones(5), rays=Rays(n_directions=10))
    np.testing.assert_allclose(many.log_terms[:4], few.log_terms, atol=1e-5)


def test_rays_side_by_side_are_rays_one_after_another() -> None:
    settings = {"centre": np.ones(5), "curvatures": np.linspace(1, 3, 5), "cutoff": 1.0}
    one = of_ellipsoid(**settings, rays=Rays(n_directions=10, n_at_once=1))
    many = of_ellipsoid(**settings, rays=Rays(n_directions=10, n_at_once=4))
    np.testing.assert_allclose(many.radii, one.radii, rtol=1e-5)
    assert many.n_evaluations == one.n_evaluations


def test_a_centre_on_the_edge_has_rays_without_length_and_half_the_mass() -> None:
    def half(params: Any, data: Any) -> jax.Array:
        return params["w"][0] >= 0

    found = local_volume(
        KEY, Region(half), {"w": jnp.zeros(3)}, STANDARD, rays=Rays(n_directions=400)
    )
    agrees(found, np.log(0.5))
    within(found.n_without_length / 400, 0.5, 0.5 / 20)


def test_a_point_has_no_volume_and_no_trust() -> None:
    def point(params: Any, data: Any) -> jax.Array:
        return (params["w"] == 0).all()

    found = local_volume(KEY, Region(point), {"w": jnp.zeros(3)}, STANDARD)
    assert found.log_volume.value == -np.inf
    assert found.n_without_length == 100
    assert not found.trusted


def test_what_cannot_be_measured_is_refused() -> None:
    at = {"w": jnp.zeros(5)}
    region = Region(positive, jnp.zeros(5))
    with pytest.raises(ValueError, match="the centre is not inside the region"):
        local_volume(KEY, region, {"w": -jnp.ones(5)}, STANDARD)
    with pytest.raises(ValueError, match="not finite"):
        local_volume(KEY, region, {"w": jnp.full(5, jnp.nan)}, STANDARD)
    with pytest.raises(ValueError, match="prior without density"):
        local_volume(KEY, region, at, priors.FanIn(bias_std=0.0))
    with pytest.raises(ValueError, match="cutoff=0 is not possible"):
        cost_below(quadratic, at, 0, data=(jnp.ones(5), at["w"]))
    with pytest.raises(ValueError, match="the cost at the centre is nan"):
        cost_below(quadratic, at, 1.0, data=(jnp.full(5, jnp.nan), at["w"]))
    for settings, said in (
        ({"n_directions": 1}, "n_directions=1"),
        ({"growth": 1.0}, "growth=1.0"),
        ({"tolerance": 0.0}, "tolerance=0.0"),
        ({"n_at_once": 0}, "n_at_once=0"),
    ):
        with pytest.raises(ValueError, match=said):
            Rays(**settings)
