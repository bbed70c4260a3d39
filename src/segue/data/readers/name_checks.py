"""Refuses columns of users or items whose values are not names: lists ("1 5 8", "[1, 5]") and text in single quotes."""

from __future__ import annotations

from segue.data.log import Vocab
from segue.errors import DataError

NUMBERS = r"^\[?-?\d+([ ,|;]+-?\d+)*\]?$"
SEVERAL = r"^\[?-?\d+([ ,|;]+-?\d+){2,}\]?$"
BRACKETS = r"^(\[.*\]|\(.*\)|\{.*\})$"
QUOTED = r"^'.*'$"


def check_names(vocab: Vocab, where: str) -> None:
    """Refuse names of which all are in brackets or single quotes, or all whole numbers, with three or more in one.

    Raises:
        DataError: the names are lists, or their quotes were not understood.
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
    if names.str.contains(QUOTED).all():
        raise DataError(f'{where}: every value is in single quotes, such as {names[0]}; use double quotes (") or none')
