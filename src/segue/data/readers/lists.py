"""Refuses columns of names whose values are lists of names: "1 5 8", "[1, 5]", '["a", "b"]'."""

from __future__ import annotations

from segue.data.log import Vocab
from segue.errors import DataError

NUMBERS = r"^\[?-?\d+([ ,|;]+-?\d+)*\]?$"
SEVERAL = r"^\[?-?\d+([ ,|;]+-?\d+){2,}\]?$"
BRACKETS = r"^\[.*\]$"


def check_no_lists(vocab: Vocab, where: str) -> None:
    """Refuse names that are lists: all are in brackets, or all are whole numbers, and three or more in one of them.

    Raises:
        DataError: the names are lists.
    """
    names = vocab.tokens
    if names.dtype.is_integer():
        return
    several = names.str.contains(SEVERAL)
    if names.str.contains(BRACKETS).all() or (several.any() and names.str.contains(NUMBERS).all()):
        example = names[int(several.arg_max() or 0)]
        raise DataError(
            f"{where}: {example!r} is a list; write one event per row, or one user a line without a header "
            "(user item item ...)"
        )
