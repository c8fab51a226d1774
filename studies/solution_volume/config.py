"""The settings of the study, and what is refused before anything is computed."""

from dataclasses import dataclass

from bayes_vs_sgd import functions, samplers
from bayes_vs_sgd.checks import require_count, require_positive, require_probability
from bayes_vs_sgd.functions.learning_coefficient import LocalChains
from studies._functions import ProblemOptions, Training, check_problem, check_trainings

# Fewer functions have no order to correlate.
FEWEST_FUNCTIONS = 5


@dataclass(frozen=True, kw_only=True)
class Config(ProblemOptions):
    """Settings of the study of the volume around solutions.

    Attributes:
        sgd: Ways to train, such as "sgd lr=0.01 batch=1".
        n_sgd: Networks of each way to train whose functions are counted for P_SGD(f | S).
        max_epochs: Epochs after which a network counts as not fitting.
        n_candidates: Other networks of each way to train, among which those that are measured are chosen.
        n_functions: Functions that they are chosen from, from frequent to rare.
        n_each: Networks of each of these functions.
        n_runs: Independent runs of multilevel splitting for P_B(f | S); their spread is the error.
        n_particles: Particles of a run.
        n_moves: Moves of every particle at every level.
        n_draws: Draws of every particle at the end.
        thin: Moves between them.
        n_directions: Rays of each local volume.
        tilt: Strength of the tilt of the rays for regions of functions: a row's change of class lies √tilt standard
            deviations away.
        cutoff: Mean divergence from a network's own predictions that bounds its basin, in nats a row.
        localization: γ of the local learning coefficient.
        n_chains: Chains around each network.
        n_burn_in: Transitions of HMC left out, in which it adapts.
        n_kept: Draws of HMC kept of each chain.
        n_leapfrog: Steps of a transition of HMC.
        sgld_step: ε of SGLD.
        sgld_batch: Rows a step of SGLD.
        n_sgld: Draws of SGLD kept of each chain, 2 steps apart, behind as many steps that are left out.
        n_climb: Steps of Adam from a network to a maximum of the posterior density.
        n_laplace: Draws that check Laplace's evidence.
        max_relative_error: Functions whose probability has a larger standard error, as a share of it, do not
            count for correlations with that probability.
        n_bootstrap: Resamples of functions.
        level: Confidence level of the intervals, each by itself.
    """

    n_train: int = 64
    hidden: tuple[int, ...] = (20, 20)
    sgd: tuple[str, ...] = ("sgd lr=0.01 batch=1",)
    n_sgd: int = 5000
    max_epochs: int = 5000
    n_candidates: int = 4000
    n_functions: int = 20
    n_each: int = 3
    n_runs: int = 8
    n_particles: int = 1000
    n_moves: int = 20
    n_draws: int = 20
    thin: int = 10
    n_directions: int = 300
    tilt: float = 1.0
    cutoff: float = 0.1
    localization: float = 100.0
    n_chains: int = 4
    n_burn_in: int = 150
    n_kept: int = 250
    n_leapfrog: int = 20
    sgld_step: float = 1e-3
    sgld_batch: int = 32
    n_sgld: int = 800
    n_climb: int = 3000
    n_laplace: int = 200
    max_relative_error: float = 0.5
    n_bootstrap: int = 1000
    level: float = 0.95

    def trainings(self) -> list[Training]:
        """The ways to train."""
        return [Training.parse(text) for text in self.sgd]

    def estimator(self) -> functions.SMC:
        """Multilevel splitting."""
        return functions.SMC(
            n_particles=self.n_particles,
            n_moves=self.n_moves,
            n_draws=self.n_draws,
            thin=self.thin,
        )

    def sgld(self, n_rows: int) -> tuple[samplers.SGLD, LocalChains]:
        """Langevin chains for the local learning coefficient, on batches of no more than all rows."""
        sampler = samplers.SGLD(self.sgld_step, batch_size=min(self.sgld_batch, n_rows))
        chains = LocalChains(
            self.n_chains, self.n_sgld, self.n_sgld, thin=2, localization=self.localization
        )
        return sampler, chains

    def hmc(self) -> tuple[samplers.HMC, LocalChains]:
        """Chains with an accept step for it."""
        chains = LocalChains(
            self.n_chains, self.n_burn_in, self.n_kept, localization=self.localization
        )
        return samplers.HMC(self.n_leapfrog), chains


PRESETS = {
    "quick": Config(),
    "full": Config(
        preset="full",
        hidden=(40, 40),
        n_sgd=100_000,
        n_candidates=20_000,
        n_functions=60,
        n_each=4,
        n_runs=16,
        n_particles=4000,
        n_moves=40,
        n_directions=2000,
    ),
}


def check(config: Config) -> None:
    """Refuse settings that are not possible.

    Raises:
        ValueError: With the mend.
    """
    check_problem(config)
    check_trainings(config.sgd)
    for name in ("n_sgd", "max_epochs", "n_candidates", "n_climb", "n_each"):
        require_count(name, getattr(config, name))
    require_count("n_functions", config.n_functions, least=FEWEST_FUNCTIONS)
    require_count("n_runs", config.n_runs, least=4)
    for name in ("n_directions", "n_laplace"):
        require_count(name, getattr(config, name), least=2)
    require_count("n_bootstrap", config.n_bootstrap, least=20)
    # A local volume has no parameter whose prior is a point.
    for name in ("sigma_b", "tilt", "cutoff", "max_relative_error"):
        require_positive(name, getattr(config, name))
    require_probability("level", config.level, 0.95)
    require_count("sgld_batch", config.sgld_batch)
    config.estimator()
    config.sgld(config.n_train)
    config.hmc()
