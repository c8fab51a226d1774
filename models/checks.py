"""The checks of sizes that the models share, each a sentence with the mend."""

from collections.abc import Mapping

from bayes_vs_sgd.checks import require_count


def require_sizes(sizes: Mapping[str, int]) -> None:
    """Refuse sizes that are no counts.

    Raises:
        ValueError: A size is no integer of at least 1.
    """
    for name, size in sizes.items():
        require_count(name, size)


def require_heads(width: int, n_heads: int) -> None:
    """Refuse a width that the heads cannot share.

    Raises:
        ValueError: ``width`` is no multiple of ``n_heads``.
    """
    if width % n_heads:
        raise ValueError(
            f"width={width} cannot be shared by n_heads={n_heads}; pass a multiple of {n_heads}."
        )


def require_length(length: int, max_length: int) -> None:
    """Refuse a sequence longer than the positions.

    Raises:
        ValueError: ``length`` exceeds ``max_length``.
    """
    if length > max_length:
        raise ValueError(
            f"a sequence of {length} tokens exceeds max_length={max_length}; make the model with "
            f"max_length={length}."
        )
