import subprocess
import sys

import numpy as np
import pytest


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_samplers_run_on_a_foreign_log_density_without_torch() -> None:
    out = run(
        "import sys\n"
        "from bayes_vs_sgd import samplers\n"
        "import jax, jax.numpy as jnp\n"
        "draws = samplers.sample(jax.random.key(0), lambda x: -0.5 * jnp.sum(x**2), jnp.zeros((2, 3)),\n"
        "    samplers.HMC(n_leapfrog=5), n_warmup=50, n_draws=20, progress=False)\n"
        "print(draws.params.shape, 'torch' in sys.modules)"
    )
    assert out.split("\n")[0] == "(2, 20, 3) False"


def test_importing_everything_starts_no_jax_device() -> None:
    out = run(
        "from bayes_vs_sgd import (Network, Posterior, averaging, conjugate, data, diagnostics, double_descent,\n"
        "    functions, likelihoods, priors, report, runs, samplers, sgd)\n"
        "from jax._src import xla_bridge\n"
        "print(xla_bridge.backends_are_initialized())"
    )
    assert out.strip() == "False"


def test_draws_do_not_depend_on_the_number_of_devices() -> None:
    code = (
        "from bayes_vs_sgd import samplers\n"
        "samplers.use_devices('cpu', {n})\n"
        "import jax, jax.numpy as jnp\n"
        "draws = samplers.sample(jax.random.key(1), lambda x: -0.5 * jnp.sum(x**2), jnp.ones((4, 3)),\n"
        "    samplers.HMC(n_leapfrog=5), n_warmup=0, n_draws=10, progress=False)\n"
        "print(len(jax.devices()), *draws.params.ravel())"
    )
    one, four = run(code.format(n=1)).split(), run(code.format(n=4)).split()
    assert (one[0], four[0]) == ("1", "4")
    np.testing.assert_allclose(np.float64(one[1:]), np.float64(four[1:]), rtol=1e-4, atol=1e-5)


def test_choosing_devices_after_jax_has_started_is_refused_in_a_sentence() -> None:
    out = run(
        "from bayes_vs_sgd import samplers\n"
        "import jax.numpy as jnp\n"
        "jnp.zeros(3)\n"
        "try:\n    samplers.use_devices('cpu', 3)\n"
        "except RuntimeError as error:\n    print(error)"
    )
    assert "JAX has started already" in out


@pytest.mark.parametrize("device", ["cuda", "abacus"])
def test_a_device_that_is_not_there_is_refused_in_a_sentence(device: str) -> None:
    out = run(
        "from bayes_vs_sgd import samplers\n"
        f"try:\n    print(samplers.use_devices('{device}'))\n"
        "except ValueError as error:\n    print(error)"
    )
    assert "not available" in out or "unknown" in out or out.strip() == "cuda"
