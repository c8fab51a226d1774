"""A run that is killed at any moment goes on and ends bit-identical."""

import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayes_vs_sgd import Draws, samplers
from tests.killed import MOMENTS, Killed, killed, whole_and_resumed

# The function of the same name hides the module.
sample_module = sys.modules["bayes_vs_sgd.samplers.sample"]
START = {"a": jnp.ones((2, 3)), "b": jnp.zeros((2,))}


def log_density(p: dict[str, jax.Array]) -> jax.Array:
    return -0.5 * jnp.sum(p["a"] ** 2) - 0.5 * (p["b"] - 1) ** 2


def run(folder: Path | None, **changes: object) -> Draws:
    settings: dict = {
        "target": log_density,
        "initial": START,
        "sampler": samplers.HMC(n_leapfrog=3),
        "n_warmup": 30,
        "n_draws": 70,
        "thin": 2,
        "progress": False,
    } | changes
    key = settings.pop("key", jax.random.key(5))
    return samplers.sample(key, **settings, checkpoint=folder)


def assert_same(a: Draws, b: Draws) -> None:
    for x, y in zip(
        jax.tree.leaves((a.params, dict(a.stats), a.last)),
        jax.tree.leaves((b.params, dict(b.stats), b.last)),
        strict=True,
    ):
        np.testing.assert_array_equal(x, y)
    for name in ("divergences", "warmup_divergences", "stopped_chains", "nonfinite_draws"):
        assert a.info[name] == b.info[name]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("n_before", [0, 5])
def test_a_kill_at_any_point_of_writing_loses_nothing(
    tmp_path: Path, moment: str, n_before: int
) -> None:
    with killed(moment, n_before), pytest.raises(Killed):
        run(tmp_path / "run")
    assert_same(run(tmp_path / "run"), run(None))


def test_a_finished_run_is_read_back_without_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(tmp_path / "run")
    monkeypatch.setattr(sample_module, "_pieces", lambda *_: [])
    assert_same(run(tmp_path / "run"), first)


SCRIPT = """
import sys
from bayes_vs_sgd import samplers
samplers.use_devices("cpu", 2)
import jax, jax.numpy as jnp, numpy as np
draws = samplers.sample(
    jax.random.key(0),
    lambda x: -0.5 * jnp.sum(x**2) - jnp.sum(jnp.cos(x)),
    jnp.ones((2, 20)),
    samplers.NUTS(),
    n_warmup=300,
    n_draws=3000,
    checkpoint=sys.argv[1],
    progress=False,
)
np.savez(sys.argv[2], params=draws.params, **draws.stats)
"""


@pytest.mark.slow
def test_a_process_that_is_killed_again_and_again_ends_bit_identical(tmp_path: Path) -> None:
    whole, resumed = whole_and_resumed(SCRIPT, tmp_path)
    assert whole.keys() == resumed.keys()
    for name, value in whole.items():
        np.testing.assert_array_equal(resumed[name], value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampler": samplers.HMC(n_leapfrog=4)}, "n_leapfrog=4"),
        ({"n_draws": 71}, "n_draws 70 there and 71 here"),
        ({"thin": 1}, "thin 2 there and 1 here"),
        ({"key": jax.random.key(6)}, "key"),
        ({"target": lambda p: 2 * log_density(p)}, "log density at the start"),
        ({"initial": {"a": 2 * START["a"], "b": START["b"]}}, "starting points"),
        ({"collect": lambda p: p["a"]}, "kept"),
    ],
)
def test_a_folder_of_other_settings_is_refused(tmp_path: Path, changes: dict, message: str) -> None:
    run(tmp_path / "run")
    with pytest.raises(ValueError, match=message):
        run(tmp_path / "run", **changes)


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("…")
    with pytest.raises(ValueError, match="holds no run"):
        run(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_nothing_in_the_folder_is_a_pickle(tmp_path: Path) -> None:
    run(tmp_path / "run")
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["n_draws"] == 70
    with np.load(tmp_path / "run" / "state.npz", allow_pickle=False) as state:
        assert all(state[name].dtype != object for name in state.files)
    files = {p.name for p in (tmp_path / "run").iterdir()}
    assert files == {"settings.json", "state.npz", "draws.zarr"}


@pytest.mark.parametrize("checkpoint", [True, False])
def test_draws_that_fit_nowhere_are_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: bool
) -> None:
    def compiled(*_: object) -> None:
        raise AssertionError("it compiled")

    monkeypatch.setattr(sample_module, "_begin", compiled)
    with pytest.raises(ValueError, match="TB" if checkpoint else "in_memory=False"):
        run(tmp_path / "run" if checkpoint else None, n_draws=10**12)
    assert not (tmp_path / "run").exists()


def test_draws_on_the_disk_need_a_folder() -> None:
    with pytest.raises(ValueError, match="pass checkpoint=folder"):
        run(None, in_memory=False)
