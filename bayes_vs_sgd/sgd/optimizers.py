"""Optimisers as settings: each builds its ``torch.optim`` counterpart on stacked parameters.

They act on every entry alone, so one optimiser on the stack of all networks is the same as one
optimiser a network. ``AGD``, which does not, takes its norms network by network.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import torch

from ..checks import require_positive

# Tensors, or torch's parameter groups: {"params": tensors}.
Parameters = Iterable[torch.Tensor] | Iterable[dict[str, Any]]


class Optimizer(Protocol):
    """A frozen dataclass of settings that builds a ``torch.optim`` optimiser."""

    def build(self, parameters: Parameters) -> torch.optim.Optimizer:
        """The optimiser on these stacked tensors, or groups of them.

        The leading axis counts the networks, and none may depend on another.
        """
        ...


class _Fused:
    """Settings under torch's names for a class of ``torch.optim`` that has a fused form."""

    lr: float
    _rule: ClassVar[Callable[..., torch.optim.Optimizer]]

    def __post_init__(self) -> None:
        require_positive("lr", self.lr)

    def build(self, parameters: Parameters) -> torch.optim.Optimizer:
        """The optimiser on these tensors."""
        return type(self)._rule(parameters, **vars(self), fused=True)


@dataclass(frozen=True)
class SGD(_Fused):
    """``torch.optim.SGD``: v ← momentum·v + g + weight_decay·θ, θ ← θ − lr·v.

    With ``nesterov`` θ ← θ − lr·(g + weight_decay·θ + momentum·v).

    Attributes:
        lr: Learning rate on the mean loss of a batch.
        momentum: Heavy-ball momentum.
        weight_decay: Coefficient of θ in the gradient.
        nesterov: Nesterov's momentum in place of the heavy ball.
    """

    lr: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 0.0
    nesterov: bool = False

    _rule = torch.optim.SGD


@dataclass(frozen=True)
class Adam(_Fused):
    """``torch.optim.Adam``: θ ← θ − lr·m̂/(√v̂ + eps), with weight_decay·θ added to the gradient.

    Attributes:
        lr: Learning rate.
        betas: Decay of the two moments.
        eps: Added to the root of the second moment.
        weight_decay: Coefficient of θ in the gradient.
    """

    lr: float = 0.003
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    _rule = torch.optim.Adam


@dataclass(frozen=True)
class AdamW(_Fused):
    """``torch.optim.AdamW``: θ ← θ − lr·weight_decay·θ, then θ ← θ − lr·m̂/(√v̂ + eps).

    The decay is decoupled from the gradient (arXiv 1711.05101), so it is no prior: what it converges
    to is no maximum of a posterior.

    Attributes:
        lr: Learning rate.
        betas: Decay of the two moments.
        eps: Added to the root of the second moment.
        weight_decay: Share of θ that is lost in a step, divided by lr.
    """

    lr: float = 0.001
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.01

    _rule = torch.optim.AdamW


@dataclass(frozen=True)
class Elementwise:
    """Any other optimiser of ``torch.optim`` that acts on every entry alone, under torch's name.

    ``Elementwise("RMSprop", {"lr": 0.01, "alpha": 0.9})``

    Attributes:
        name: A class of ``torch.optim``.
        settings: Its arguments.

    Raises:
        ValueError: There is no such class, it does not take these arguments, or what it does to one
            entry depends on others (``LBFGS``, ``Adafactor``, ``Muon``).
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(getattr(torch.optim, self.name, None), type):
            raise ValueError(
                f"name={self.name!r} is no class of torch.optim; pass one such as 'RMSprop'."
            )
        try:
            acts_alone = _acts_alone(self)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(
                f"torch.optim.{self.name} cannot be built with {dict(self.settings)}, or does not "
                f"step on a gradient: {str(error).splitlines()[0]}"
            ) from error
        if not acts_alone:
            raise ValueError(
                f"torch.optim.{self.name} does not act on every entry alone, so stacked networks "
                "would change each other; pass an elementwise one such as 'RMSprop'."
            )

    def build(self, parameters: Parameters) -> torch.optim.Optimizer:
        """The optimiser on these tensors."""
        build: Any = getattr(torch.optim, self.name)
        return build(parameters, **self.settings)


def _acts_alone(optimizer: Elementwise) -> bool:
    """Whether the stack of two matrices goes where each goes by itself."""
    random = torch.Generator().manual_seed(0)
    start, *gradients = torch.randn(5, 2, 3, 4, generator=random, dtype=torch.float64)

    def end(first: int, last: int) -> torch.Tensor:
        parameter = start[first:last].clone().requires_grad_()
        rule = optimizer.build([parameter])
        for k, gradient in enumerate(gradients):
            # Of another size at every step, so that what is clipped or normalised shows.
            parameter.grad = (
                10.0**k * gradient[first:last] * torch.tensor([[[1.0]], [[9.0]]])[first:last]
            )
            rule.step()
        return parameter.detach()

    return torch.equal(end(0, 2), torch.cat([end(0, 1), end(1, 2)]))


def build_groups(
    optimizer: Optimizer,
    params: Mapping[str, torch.Tensor],
    lr_factors: Mapping[str, float],
    weight_decay: Mapping[str, float],
) -> torch.optim.Optimizer:
    """The optimiser, with one parameter group a learning rate and weight decay where they differ.

    Args:
        optimizer: Settings.
        params: Stacked tensors by name.
        lr_factors: The learning rate of ``name`` is lr·lr_factors[name]; lr where it is missing.
        weight_decay: The weight decay of ``name``; that of the optimiser where it is missing.

    Raises:
        ValueError: The optimiser has no learning rate or no weight decay to be changed.
    """
    if not lr_factors and not weight_decay:
        return optimizer.build(params.values())
    groups: dict[tuple[float, float | None], list[torch.Tensor]] = {}
    for name, value in params.items():
        key = (lr_factors.get(name, 1.0), weight_decay.get(name))
        groups.setdefault(key, []).append(value)
    rule = optimizer.build([{"params": values} for values in groups.values()])
    for group, (factor, decay) in zip(rule.param_groups, groups, strict=True):
        if factor != 1:
            group["lr"] = _setting(optimizer, group, "lr", "lr_factors") * factor
        if decay is not None:
            _setting(optimizer, group, "weight_decay", "weight_decay")
            group["weight_decay"] = decay
    return rule


def _setting(optimizer: Optimizer, group: Mapping[str, Any], name: str, argument: str) -> Any:
    if name not in group:
        raise ValueError(f"{type(optimizer).__name__} has no {name}; leave {argument} out.")
    return group[name]
