"""What is minimised, its gradient for a stack of networks, and how networks are judged."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from ..likelihoods import Likelihood
from .augmentation import Augmentation
from .losses import mistakes, negative_log_likelihood
from .trace import TensorFunction, new_tensors, trace, uses_convolution

Rows = tuple[torch.Tensor, torch.Tensor]

# Bytes that the rows of one look may take in a stack of networks.
_BYTES_OF_A_LOOK = 2**26


@dataclass(frozen=True)
class Loss:
    """The loss of a batch of one network, and what is done to its gradient.

    Attributes:
        likelihood: The loss is the mean of −log p(y | outputs) over the batch.
        label_smoothing: See ``losses.negative_log_likelihood``.
        clip_norm: The gradient g of all parameters of a network becomes
            g·min(1, clip_norm/(|g| + 1e-6)), as ``torch.nn.utils.clip_grad_norm_`` has it; None
            leaves it.
        augment: Changes the inputs of every batch.
        mixed_precision: Forward and backward in bfloat16 where PyTorch's autocast holds it safe.
        compiled: Hand the gradient to ``torch.compile``.
    """

    likelihood: Likelihood
    label_smoothing: float = 0.0
    clip_norm: float | None = None
    augment: Augmentation | None = None
    mixed_precision: bool = False
    compiled: bool = False


class Objective:
    """Gradients and judgements of stacked networks on one data set; traced once for each size.

    A stack of one is run as it is, without the batching that small networks gain from.

    Args:
        module: The architecture, on the device.
        names: Parameter names in the order of the stacked tensors.
        loss: Settings.
        train: Training inputs and targets, on the device.
        test: Test inputs and targets.
    """

    def __init__(
        self, module: nn.Module, names: Sequence[str], loss: Loss, train: Rows, test: Rows
    ) -> None:
        self._module, self._names, self._loss = module, tuple(names), loss
        self._rows = {"train": train, "test": test}
        self._traced: dict[tuple[object, ...], TensorFunction] = {}
        self._tracing = threading.Lock()
        self._bytes_a_row = 1.0

    def measure(
        self,
        params: Sequence[torch.Tensor],
        rows: torch.Tensor | None,
        uniforms: torch.Tensor | None,
    ) -> tuple[int, bool]:
        """Bytes that a gradient of one network makes, and whether it convolves.

        Args:
            params: A stack of one.
            rows: As in ``gradients``.
            uniforms: As in ``gradients``.
        """
        arguments = self._arguments(rows, uniforms)
        recorded = trace(self._gradient(1, rows, uniforms), *arguments, *params)
        n_bytes = sum(t.numel() * t.element_size() for t in new_tensors(recorded))
        n_rows = len(self._rows["train"][0]) if rows is None else rows.numel()
        self._bytes_a_row = n_bytes / n_rows
        return n_bytes, uses_convolution(recorded)

    def gradients(
        self,
        params: Sequence[torch.Tensor],
        rows: torch.Tensor | None,
        uniforms: torch.Tensor | None,
    ) -> tuple[torch.Tensor, ...]:
        """The gradient of every network's loss on rows of its own.

        Args:
            params: Stacked tensors (n, ...).
            rows: Row numbers, shape (n, batch); None takes all rows.
            uniforms: Numbers in [0, 1) for the augmentation, shape (n, batch, k); None without one.

        Returns:
            One tensor a parameter, of its shape.
        """
        size = len(params[0])
        make = lambda: self._gradient(size, rows, uniforms)  # noqa: E731
        return self._call(("gradient", size), make, *self._arguments(rows, uniforms), *params)

    def judge(
        self, params: Sequence[torch.Tensor], split: str
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean −log likelihood and error rate (mean squared residual) of every network.

        Args:
            params: Stacked tensors (n, ...).
            split: ``"train"`` or ``"test"``: all its rows, in pieces that bound memory.

        Returns:
            Two tensors of shape (n,), in double precision.
        """
        x, y = self._rows[split]
        size = len(params[0])
        length = max(1, int(_BYTES_OF_A_LOOK // (size * self._bytes_a_row)))
        sums = torch.zeros(2, size, dtype=torch.float64, device=x.device)
        for piece_x, piece_y in zip(x.split(length), y.split(length), strict=True):
            key = ("judge", size, len(piece_x))
            sums += torch.stack(
                self._call(key, lambda: self._sums(size), piece_x, piece_y, *params)
            )
        loss, error = sums / len(x)
        return loss, error

    def _arguments(
        self, rows: torch.Tensor | None, uniforms: torch.Tensor | None
    ) -> tuple[torch.Tensor, ...]:
        return (*self._rows["train"], *(a for a in (rows, uniforms) if a is not None))

    def _gradient(
        self, size: int, rows: torch.Tensor | None, uniforms: torch.Tensor | None
    ) -> TensorFunction:
        augment, shared = self._loss.augment, rows is None
        of_one = self._clipped(grad(self._mean))
        of_stack = _stacked(of_one, size, shared=shared)

        def gradient(
            x: torch.Tensor, y: torch.Tensor, *arguments: torch.Tensor
        ) -> tuple[torch.Tensor, ...]:
            if shared:
                return _in_order(of_stack(arguments, x, y))
            chosen, *rest = arguments
            # index_select copies whole rows, several times as fast as x[rows] does.
            inputs, targets = (a.index_select(0, chosen.flatten()) for a in (x, y))
            if augment is not None and uniforms is not None:
                inputs = augment(inputs, rest.pop(0).flatten(0, 1))
            batch = (a.unflatten(0, chosen.shape) for a in (inputs, targets))
            return _in_order(of_stack(tuple(rest), *batch))

        return gradient

    def _mean(
        self, params: tuple[torch.Tensor, ...], x: torch.Tensor, y: torch.Tensor
    ) -> torch.Tensor:
        outputs = self._outputs(params, x)
        return negative_log_likelihood(
            self._loss.likelihood, outputs, y, label_smoothing=self._loss.label_smoothing
        ).mean()

    def _outputs(self, params: tuple[torch.Tensor, ...], x: torch.Tensor) -> torch.Tensor:
        named = dict(zip(self._names, params, strict=True))
        if not self._loss.mixed_precision:
            return functional_call(self._module, named, (x,))
        with torch.autocast(x.device.type, torch.bfloat16):
            return functional_call(self._module, named, (x,)).to(params[0].dtype)

    def _clipped(self, gradient: TensorFunction) -> TensorFunction:
        limit = self._loss.clip_norm
        if limit is None:
            return gradient

        def clipped(*arguments: torch.Tensor) -> tuple[torch.Tensor, ...]:
            found = gradient(*arguments)
            norm = torch.stack([g.square().sum() for g in found]).sum().sqrt()
            factor = (limit / (norm + 1e-6)).clamp(max=1.0)
            return tuple(g * factor for g in found)

        return clipped

    def _sums(self, size: int) -> TensorFunction:
        likelihood = self._loss.likelihood

        def judge(
            params: tuple[torch.Tensor, ...], x: torch.Tensor, y: torch.Tensor
        ) -> tuple[torch.Tensor, ...]:
            outputs = self._outputs(params, x)
            nll = negative_log_likelihood(likelihood, outputs, y)
            return nll.double().sum(), mistakes(likelihood, outputs, y).double().sum()

        of_stack = _stacked(judge, size, shared=True)
        return lambda x, y, *params: of_stack(params, x, y)

    def _call(
        self, key: tuple[object, ...], make: Callable[[], TensorFunction], *arguments: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """The function of the arguments, traced when it is first called."""
        if key not in self._traced:
            with self._tracing:
                if key not in self._traced:
                    recorded = trace(make(), *arguments)
                    whole = torch.compile(recorded) if self._loss.compiled else recorded.forward
                    self._traced[key] = whole
        # It spares the book-keeping of views that no_grad still does.
        with torch.inference_mode():
            return self._traced[key](*arguments)


def _in_order(gradients: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    # Torch's fused optimisers read memory and ignore strides.
    return tuple(g.contiguous() for g in gradients)


def _stacked(
    function: Callable[..., tuple[torch.Tensor, ...]], size: int, *, shared: bool
) -> Callable[..., tuple[torch.Tensor, ...]]:
    """The function for a leading axis of ``size`` networks, on rows of their own or shared ones."""

    def of_stack(params: tuple[torch.Tensor, ...], *rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        # Rows that are shared without an axis of networks would make one matrix product of all
        # networks, whose rounding depends on how many there are.
        own = tuple(a.expand(size, *a.shape) for a in rows) if shared else rows
        return vmap(function)(params, *own)

    def of_one(params: tuple[torch.Tensor, ...], *rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        own = rows if shared else tuple(a[0] for a in rows)
        return tuple(r[None] for r in function(tuple(p[0] for p in params), *own))

    return of_stack if size > 1 else of_one
