"""Boolean functions of n variables: all 2ⁿ inputs, some of them to train on."""

import numpy as np
from jaxtyping import Float

from ..checks import require_count
from ..types import Dataset

# Inputs are held in memory whole.
_MOST_VARIABLES = 16


def boolean(
    target: str, train_mask: str | None = None, *, n_train: int | None = None, seed: int = 0
) -> Dataset:
    """The truth table of a Boolean function, split into training and test rows.

    Bit i of a string stands for the input whose n binary digits spell i, the first variable being the
    slowest-changing digit. Inputs are 0 and 1, not standardised.

    Args:
        target: 2ⁿ characters 0 or 1, the values of the function.
        train_mask: 2ⁿ characters, 1 for the rows to train on.
        n_train: In place of the mask: so many rows at random.
        seed: Draws them.

    Returns:
        Inputs of shape (rows, n), float32; two classes; the rows of each part in rising order of i.

    Raises:
        ValueError: A string is none of such bits, or leaves no row to train on or none to test on.
    """
    values = bits("target", target)
    if (train_mask is None) == (n_train is None):
        raise ValueError("pass either train_mask or n_train, to say which rows are trained on.")
    if train_mask is not None:
        trained = bits("train_mask", train_mask) == 1
        if len(trained) != len(values):
            raise ValueError(
                f"train_mask has {len(trained)} bits and target has {len(values)}; pass one for each input."
            )
    else:
        trained = random_mask(len(values), n_train or 0, seed)
    if trained.all() or not trained.any():
        raise ValueError(
            f"{int(trained.sum())} of the {len(values)} rows are trained on; functions are told apart on "
            "the others, so leave at least one on each side."
        )
    x = boolean_inputs(len(values).bit_length() - 1)
    y = values.astype(np.int64)
    return Dataset(
        x[trained], y[trained], x[~trained], y[~trained], n_classes=2, name="Boolean function"
    )


def boolean_inputs(n_variables: int) -> Float[np.ndarray, "rows n"]:
    """All inputs of n variables: row i holds the binary digits of i, the highest first.

    Raises:
        ValueError: The number of variables is not possible.
    """
    require_count("n_variables", n_variables)
    if n_variables > _MOST_VARIABLES:
        raise ValueError(
            f"n_variables={n_variables} makes 2^{n_variables} inputs; pass at most {_MOST_VARIABLES}."
        )
    shifts = np.arange(n_variables - 1, -1, -1)
    return ((np.arange(2**n_variables)[:, None] >> shifts) & 1).astype(np.float32)


def bits(name: str, text: str) -> np.ndarray:
    """A string of 0 and 1 as an array.

    Raises:
        ValueError: It has another character, or its length is no power of 2 from 2 on.
    """
    if not text or set(text) - {"0", "1"}:
        raise ValueError(f"{name}={text!r} is no string of 0 and 1; pass one bit for each input.")
    if len(text) < 2 or len(text) & (len(text) - 1):
        raise ValueError(f"{name} has {len(text)} bits; pass 2ⁿ of them, one for each input.")
    if len(text) > 2**_MOST_VARIABLES:
        raise ValueError(f"{name} has {len(text)} bits; pass at most 2^{_MOST_VARIABLES}.")
    return np.frombuffer(text.encode(), np.uint8) - ord("0")


def random_mask(n_rows: int, n_train: int, seed: int) -> np.ndarray:
    """True for ``n_train`` rows at random.

    Raises:
        ValueError: There are not as many.
    """
    require_count("n_train", n_train)
    if n_train >= n_rows:
        raise ValueError(
            f"n_train={n_train} leaves none of the {n_rows} rows to tell functions apart on; pass fewer."
        )
    mask = np.zeros(n_rows, bool)
    mask[np.random.default_rng(seed).permutation(n_rows)[:n_train]] = True
    return mask
