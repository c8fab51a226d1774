import jax.numpy as jnp
import numpy as np
import pytest

from bayes_vs_sgd import Network
from benchmarks import lowering


@pytest.mark.parametrize("name", [name for name in lowering.cases() if "512" not in name])
def test_the_networks_by_hand_are_the_lowered_ones(name: str) -> None:
    module, x, by_hand = lowering.cases()[name]
    network = Network(module, x[:2])
    params = {n: jnp.asarray(v) for n, v in network.from_torch(module).items()}
    for forward in by_hand.values():
        np.testing.assert_allclose(
            forward(params, jnp.asarray(x[:3])), network.apply(params, x[:3]), atol=2e-4
        )


def test_every_form_is_timed_in_every_way(capsys: pytest.CaptureFixture[str]) -> None:
    module, x, by_hand = lowering.cases()["MLP 64-64-64-10, 400 rows"]
    network = Network(module, x[:2])
    params = {n: jnp.asarray(v) for n, v in network.from_torch(module).items()}
    forms = {"lowered": network.apply, **by_hand}
    lowering.report("MLP", forms, params, jnp.asarray(x), jnp.zeros(len(x), int), n_turns=1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[1] for line in lines] == ["one", "vmap 8", "scan", "scan of vmap 8"]
