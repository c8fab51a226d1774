"""Lower a network once: modules that are built alike share their graph."""

import hashlib
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from .graph import Lowered, lower
from .operators import OPERATORS

_N_KEPT = 64
_lowered: OrderedDict[Hashable, Lowered] = OrderedDict()

# What torch keeps in every module; names, shapes and values describe it better.
_TORCHS_OWN = frozenset(vars(nn.Module())) - {"training"}


def lower_once(module: nn.Module, example_inputs: tuple[torch.Tensor, ...]) -> Lowered:
    """The lowered module, taken from an earlier call where the two must have the same graph.

    Two modules share a graph if their layers have the same names, types and attributes, their
    parameters the same names, shapes and ties, their buffers the same values, and their inputs the
    same shapes and types. A module with hooks, or with attributes that cannot be compared, is
    lowered anew.

    Raises:
        LoweringError: See ``lower``.
    """
    key = _describe(module, example_inputs)
    if key is None:
        return lower(module, example_inputs)
    if key not in _lowered:
        _lowered[key] = lower(module, example_inputs)
    _lowered.move_to_end(key)
    while len(_lowered) > _N_KEPT:
        _lowered.popitem(last=False)
    return _lowered[key]


def _describe(module: nn.Module, inputs: Sequence[torch.Tensor]) -> Hashable | None:
    """A value that is equal for modules of the same graph; None where that cannot be said."""
    layers = list(module.named_modules(remove_duplicate=False))
    if any(layer._forward_hooks or layer._forward_pre_hooks for _, layer in layers):
        return None
    first_name: dict[int, str] = {}
    parameters = tuple(
        (name, tuple(p.shape), first_name.setdefault(id(p), name))
        for name, p in module.named_parameters(remove_duplicate=False)
    )
    try:
        return (
            tuple((name, type(layer), _attributes(layer)) for name, layer in layers),
            parameters,
            tuple((name, _value(buffer)) for name, buffer in module.named_buffers()),
            tuple((tuple(x.shape[1:]), x.dtype) for x in inputs),
            frozenset(OPERATORS.items()),
        )
    except TypeError:
        return None


def _attributes(layer: nn.Module) -> Hashable:
    return tuple((n, _value(v)) for n, v in sorted(vars(layer).items()) if n not in _TORCHS_OWN)


def _value(value: Any) -> Hashable:
    """A hashable stand-in that is equal for equal values.

    Raises:
        TypeError: There is none.
    """
    if isinstance(value, nn.Parameter):
        return "parameter"
    if isinstance(value, torch.Tensor):
        return _value(value.detach().cpu().numpy())
    if isinstance(value, np.ndarray):
        return value.shape, str(value.dtype), hashlib.sha256(value.tobytes()).hexdigest()
    if isinstance(value, Mapping):
        return tuple((k, _value(v)) for k, v in value.items())
    if isinstance(value, list | tuple):
        return type(value), tuple(_value(v) for v in value)
    hash(value)
    return type(value), value
