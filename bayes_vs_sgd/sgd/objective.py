"""What is minimised, its gradient for a stack of networks, and how networks are judged."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..likelihoods import Likelihood
from .augmentation import Augmentation
from .descent import descend
from .dropout import Masks, count_uniforms, in_training
from .footprint import bytes_of, convolves
from .layout import inputs_first, takes_channels_last, takes_inputs_first
from .losses import mistakes, negative_log_likelihood
from .program import Compiled, Eager, Executable, Program, by_autograd
from .trace import TensorFunction, trace

Rows = tuple[torch.Tensor, torch.Tensor]

# Bytes that the rows of one look may touch in a stack of networks, and the fewest rows that are worth a
# call, of a stack and of a network alone.
_BYTES_OF_A_LOOK, _FEWEST_ROWS, _FEWEST_ALONE = 2**26, 32, 128


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
        dropout: Whether the module's dropout acts in the gradient; it never does where networks are
            judged.
        mixed_precision: Forward and backward in bfloat16 where PyTorch's autocast holds it safe.
        compiled: Hand the gradient to ``torch.compile``.
    """

    likelihood: Likelihood
    label_smoothing: float = 0.0
    clip_norm: float | None = None
    augment: Augmentation | None = None
    dropout: bool = False
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

    Attributes:
        gains_from_company: False where a stack of networks is slower than one after another, as it is
            of convolutions on a CPU.
    """

    def __init__(
        self, module: nn.Module, names: Sequence[str], loss: Loss, train: Rows, test: Rows
    ) -> None:
        self._module, self._names, self._loss = module, tuple(names), loss
        self._rows = {"train": train, "test": test}
        self._in_training = in_training(module) if loss.dropout else module
        augment, shape = loss.augment, tuple(train[0].shape[1:])
        self._n_augment = 0 if augment is None else augment.n_uniforms(shape)
        self._programs: dict[tuple[object, ...], Executable] = {}
        self._bytes_a_row = 1.0
        x, _ = train
        on_cpu = x.device.type == "cpu"
        self.gains_from_company = not (on_cpu and convolves(module, x))
        self._channels_last = not self.gains_from_company and takes_channels_last(module, x)
        self._inputs_first = on_cpu and takes_inputs_first(module, x)

    @property
    def module_text(self) -> str:
        """The layers and their settings as PyTorch prints them."""
        return str(self._module)

    def n_uniforms(self, batch_size: int) -> int:
        """Random numbers that a row of a batch takes: the augmentation's, then those of dropout.

        Raises:
            ValueError: There is no dropout to switch on, or there are random numbers beside it.
        """
        if not self._loss.dropout:
            return self._n_augment
        x, _ = self._rows["train"]
        return self._n_augment + count_uniforms(self._in_training, x[:batch_size])

    def measure(
        self,
        params: Sequence[torch.Tensor],
        rows: torch.Tensor | None,
        uniforms: torch.Tensor | None,
    ) -> int:
        """Bytes that a gradient of one network makes.

        Args:
            params: A stack of one.
            rows: As in ``gradient``.
            uniforms: As in ``gradient``.
        """
        n_rows = len(self._rows["train"][0]) if rows is None else rows.numel()
        alone = by_autograd(self._mean)

        def run(n: int) -> None:
            some = torch.arange(n, device=params[0].device)[None] if rows is None else rows[:, :n]
            numbers = None if uniforms is None else uniforms[:, :n]
            self._gradient(1, some, numbers, alone)(*self._arguments(some, numbers), *params)

        # Attention as a stack of networks computes it.
        with sdpa_kernel(SDPBackend.MATH):
            n_bytes = bytes_of(run, n_rows)
        self._bytes_a_row = n_bytes / n_rows
        return n_bytes

    def gradient(
        self, params: Sequence[torch.Tensor]
    ) -> Callable[[torch.Tensor | None, torch.Tensor | None], tuple[torch.Tensor, ...]]:
        """The gradient of every network's loss, for stacked tensors (n, ...) that change in place.

        Returns:
            A function of row numbers (n, batch), None for all rows, and of numbers in [0, 1) for
            augmentation and dropout (n, batch, k), None where neither takes any. It gives one tensor a
            parameter, of its shape, that the next call of any of these functions may overwrite.
        """
        bound: TensorFunction | None = None

        def of_batch(
            rows: torch.Tensor | None, uniforms: torch.Tensor | None
        ) -> tuple[torch.Tensor, ...]:
            nonlocal bound
            inputs = self._arguments(rows, uniforms)
            if bound is None:
                bound = self._gradient_program(inputs, params, rows, uniforms).bind(params)
            return bound(*inputs)

        return of_batch

    def descends(self, size: int) -> bool:
        """Whether so many networks can take steps of ``descent``: not alone, and not compiled."""
        return size > 1 and not self._loss.compiled

    def laid_out(self, stacked: torch.Tensor) -> torch.Tensor:
        """A stacked parameter as ``descent`` steps it fastest."""
        return inputs_first(stacked) if self._inputs_first else stacked

    def descent(
        self, params: Sequence[torch.Tensor]
    ) -> Callable[[torch.Tensor | None, torch.Tensor | None, Sequence[float]], None]:
        """Steps θ_k ← θ_k − lr_k·g_k of every network, without writing the gradients g_k.

        Returns:
            A function of rows and numbers as in ``gradient`` and of one learning rate a parameter; it
            changes the tensors in place.
        """
        bound: TensorFunction | None = None

        def of_batch(
            rows: torch.Tensor | None, uniforms: torch.Tensor | None, lrs: Sequence[float]
        ) -> None:
            nonlocal bound
            inputs = self._arguments(rows, uniforms)
            if bound is None:
                make = self._gradient(len(params[0]), rows, uniforms)
                bound = self._program(
                    ("descent", len(params[0])), lambda: make, inputs, params, descends=True
                ).bind(params)
            bound(*inputs, *(-lr for lr in lrs))

        return of_batch

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
        least = _FEWEST_ALONE if size == 1 else _FEWEST_ROWS
        longest = max(least, int(_BYTES_OF_A_LOOK // (size * self._bytes_a_row)))
        # As many pieces as that takes, of equal length where possible: each length is traced.
        length = -(-len(x) // -(-len(x) // longest))
        sums = torch.zeros(2, size, dtype=torch.float64, device=x.device)
        for piece in zip(x.split(length), y.split(length), strict=True):
            key = ("judge", size, len(piece[0]))
            program: Executable = (
                Eager(self._sums(1), with_gradient=False)
                if size == 1
                else self._program(key, lambda: self._sums(size), piece, params)
            )
            sums += torch.stack(program.bind(params)(*piece))
        loss, error = sums / len(x)
        return loss, error

    def _arguments(
        self, rows: torch.Tensor | None, uniforms: torch.Tensor | None
    ) -> tuple[torch.Tensor, ...]:
        return (*self._rows["train"], *(a for a in (rows, uniforms) if a is not None))

    def _gradient(
        self,
        size: int,
        rows: torch.Tensor | None,
        uniforms: torch.Tensor | None,
        of_loss: TensorFunction | None = None,
    ) -> TensorFunction:
        augment, shared = self._loss.augment, rows is None
        n_augment, dropout = self._n_augment, self._loss.dropout
        of_one = self._clipped(grad(self._mean) if of_loss is None else of_loss)
        of_stack = _stacked(of_one, size, shared=shared)

        def gradient(
            x: torch.Tensor, y: torch.Tensor, *arguments: torch.Tensor
        ) -> tuple[torch.Tensor, ...]:
            if shared:
                return _in_order(of_stack(arguments, x, y))
            chosen, *rest = arguments
            # index_select copies whole rows, several times as fast as x[rows] does.
            flat = chosen.flatten()
            inputs, targets = (a.index_select(0, flat) for a in (x, y))
            of_dropout: list[torch.Tensor] = []
            if uniforms is not None:
                numbers = rest.pop(0)
                if dropout:
                    numbers, *of_dropout = numbers.tensor_split((n_augment,), dim=-1)
                if augment is not None:
                    inputs = augment(inputs, numbers.flatten(0, 1))
            batch = (a.unflatten(0, chosen.shape) for a in (inputs, targets))
            return _in_order(of_stack(tuple(rest), *batch, *of_dropout))

        return gradient

    def _mean(
        self,
        params: tuple[torch.Tensor, ...],
        x: torch.Tensor,
        y: torch.Tensor,
        u: torch.Tensor | None = None,
    ) -> torch.Tensor:
        outputs = self._outputs(params, x, u)
        return negative_log_likelihood(
            self._loss.likelihood, outputs, y, label_smoothing=self._loss.label_smoothing
        ).mean()

    def _outputs(
        self, params: tuple[torch.Tensor, ...], x: torch.Tensor, u: torch.Tensor | None = None
    ) -> torch.Tensor:
        """What the module returns; with dropout where there are numbers for it."""
        named = dict(zip(self._names, params, strict=True))
        module = self._module if u is None else self._in_training
        if self._channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        with nullcontext() if u is None else Masks(u):
            if not self._loss.mixed_precision:
                return functional_call(module, named, (x,))
            with torch.autocast(x.device.type, torch.bfloat16):
                return functional_call(module, named, (x,)).to(params[0].dtype)

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

    def _gradient_program(
        self,
        inputs: Sequence[torch.Tensor],
        params: Sequence[torch.Tensor],
        rows: torch.Tensor | None,
        uniforms: torch.Tensor | None,
    ) -> Executable:
        size = len(params[0])
        if size > 1:
            make = lambda: self._gradient(size, rows, uniforms)  # noqa: E731
            return self._program(("gradient", size), make, inputs, params)
        if ("gradient", 1) not in self._programs:
            loss = torch.compile(self._mean) if self._loss.compiled else self._mean
            alone = self._gradient(1, rows, uniforms, by_autograd(loss))
            self._programs["gradient", 1] = Eager(alone, with_gradient=True)
        return self._programs["gradient", 1]

    def _program(
        self,
        key: tuple[object, ...],
        make: Callable[[], TensorFunction],
        inputs: Sequence[torch.Tensor],
        params: Sequence[torch.Tensor],
        *,
        descends: bool = False,
    ) -> Executable:
        """The function of inputs and parameters, made when it is first called."""
        if key not in self._programs:
            recorded, n_inputs = trace(make(), *inputs, *params), len(inputs)
            if descends:
                recorded, n_inputs = descend(recorded, n_inputs), n_inputs + len(params)
            kind = Compiled if self._loss.compiled else Program
            self._programs[key] = kind(recorded, n_inputs)
        return self._programs[key]


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
