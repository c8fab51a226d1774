"""The weight decay that a prior of normals is."""

from typing import Any

from ..checks import require_count, require_positive
from .prior import Shapes


def gaussian_stds(prior: Any, shapes: Shapes) -> dict[str, float]:
    """Standard deviation by parameter name of a prior that is nothing but normals around 0.

    Args:
        prior: Normal, FanIn, Independent without means, TorchDefault("normal"), or one of your own
            with ``gaussian_stds(shapes)``.
        shapes: By parameter name.

    Raises:
        ValueError: The prior is another, its means are not 0, or a standard deviation is 0.
    """
    if not hasattr(prior, "gaussian_stds"):
        raise ValueError(
            f"{type(prior).__name__} is no prior of normals around 0 on the parameters; pass Normal, "
            "FanIn, Independent or TorchDefault('normal')."
        )
    return prior.gaussian_stds(shapes)


def weight_decay(
    prior: Any, shapes: Shapes, n_rows: int, *, temperature: float = 1.0
) -> dict[str, float]:
    """The weight decay by parameter name with which SGD looks for the maximum of a posterior.

    λ_n = T/(n_rows·std_n²). With it, the mean negative log likelihood + ½ Σ_n λ_n |θ_n|² is
    −(T/n_rows)·[log prior(θ) + (1/T) Σ_i log p(data_i | θ)] up to a constant.

    Args:
        prior: Normals around 0, as ``gaussian_stds`` takes them.
        shapes: By parameter name, such as ``network.shapes``.
        n_rows: Number of training rows that the posterior has, not of a batch.
        temperature: T of prior × likelihood^(1/T).

    Raises:
        ValueError: The prior is no such one, or a number is not possible.
    """
    require_count("n_rows", n_rows)
    require_positive("temperature", temperature)
    stds = gaussian_stds(prior, shapes)
    return {name: temperature / (n_rows * std**2) for name, std in stds.items()}
