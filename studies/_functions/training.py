"""What a text such as ``"sgd lr=0.01 batch=1 momentum=0.9"`` asks of SGD."""

from dataclasses import dataclass

from bayes_vs_sgd import likelihoods, sgd
from bayes_vs_sgd.likelihoods import Likelihood

_OPTIMIZERS = ("sgd", "adam")
_NUMBERS = {"lr": float, "batch": int, "momentum": float, "longer": int}
_LOSSES = {"ce": "cross-entropy", "mse": "squared error on −1 and 1"}


@dataclass(frozen=True)
class Training:
    """One way to train.

    Attributes:
        optimizer: ``"sgd"`` or ``"adam"``.
        lr: Learning rate.
        batch: Rows a step; 0 takes all.
        momentum: Of SGD.
        loss: ``"ce"`` or ``"mse"``.
        longer: Epochs that training goes on in all, fitted or not; 0 stops at zero training error.
    """

    optimizer: str = "sgd"
    lr: float = 0.01
    batch: int = 1
    momentum: float = 0.0
    loss: str = "ce"
    longer: int = 0

    @classmethod
    def parse(cls, text: str) -> "Training":
        """Read ``"optimizer name=value …"``.

        Raises:
            ValueError: The optimiser, a name, a value or a loss is not possible.
        """
        optimizer, *settings = text.split()
        if optimizer not in _OPTIMIZERS:
            raise ValueError(f"{text!r} begins with no optimiser; begin with sgd or adam.")
        values: dict[str, float | int | str] = {"optimizer": optimizer}
        for setting in settings:
            name, _, value = setting.partition("=")
            if name == "loss" and value in _LOSSES:
                values["loss"] = value
                continue
            if name not in _NUMBERS:
                raise ValueError(
                    f"{setting!r} in {text!r} is unknown; pass lr=, batch=, momentum=, longer= or loss=ce|mse."
                )
            try:
                values[name] = _NUMBERS[name](value)
            except ValueError as error:
                raise ValueError(
                    f"{setting!r} in {text!r} has no number behind the sign."
                ) from error
        training = cls(**values)  # type: ignore[arg-type]
        if (
            not training.lr > 0
            or not 0 <= training.momentum < 1
            or training.batch < 0
            or training.longer < 0
        ):
            raise ValueError(
                f"{text!r} is not possible; lr must be positive, momentum in [0, 1), batch and longer 0 or more."
            )
        if optimizer == "adam" and training.momentum:
            raise ValueError(f"{text!r} gives Adam a momentum; leave it out.")
        return training

    @property
    def name(self) -> str:
        """What columns are called after it."""
        parts = [self.optimizer, f"lr{self.lr:g}", f"b{self.batch or 'all'}"]
        parts += [f"m{self.momentum:g}"] * bool(self.momentum)
        parts += [self.loss] * (self.loss != "ce") + [f"e{self.longer}"] * bool(self.longer)
        return "_".join(parts)

    @property
    def label(self) -> str:
        """What it is called in reports."""
        what = "Adam" if self.optimizer == "adam" else "SGD"
        batch = f"batch {self.batch}" if self.batch else "full batch"
        momentum = f", momentum {self.momentum:g}" if self.momentum else ""
        loss = f", {_LOSSES[self.loss]}" if self.loss != "ce" else ""
        longer = f", {self.longer} epochs" if self.longer else ""
        return f"{what}, lr {self.lr:g}, {batch}{momentum}{loss}{longer}"

    def rule(self) -> sgd.Optimizer:
        """The optimiser's settings."""
        if self.optimizer == "adam":
            return sgd.Adam(lr=self.lr)
        return sgd.SGD(lr=self.lr, momentum=self.momentum)

    def likelihood(self) -> Likelihood:
        """Whose negative logarithm is the loss."""
        return likelihoods.Signs() if self.loss == "mse" else likelihoods.Bernoulli()
