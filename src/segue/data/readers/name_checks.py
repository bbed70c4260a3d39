"""Finds columns of users or items whose values are not names: lists and text in single quotes.

"1 5 8", "[1, 5]", "'tea'"        refused, where every value is such
"N12 N7", "tea milk"              a warning, where most values are such and their parts look like names, too
"""

from __future__ import annotations

import polars as pl

from segue.data.log import Vocab
from segue.errors import DataError

_NUMBERS = r"^\[?-?\d+([ ,|;]+-?\d+)*\]?$"
_SEVERAL = r"^\[?-?\d+([ ,|;]+-?\d+){2,}\]?$"
_BRACKETS = r"^(\[.*\]|\(.*\)|\{.*\})$"
TOKEN = r"[^ ,|;]+"
NUMBERED = r"^([A-Za-z_-]*)\d+$"  # N55189, item-7, 12
MOST = 10_000  # names of which the parts are compared
_QUOTED = r"^'.*'$"


def check_names(vocab: Vocab, where: str) -> None:
    """Refuse names of which all are in brackets or single quotes, or all whole numbers, with three or more in one.

    Raises:
        DataError: the names are lists, or their quotes were not understood.
    """
    names = vocab.tokens
    if names.dtype.is_integer():
        return
    several = names.str.contains(_SEVERAL)
    if names.str.contains(_BRACKETS).all() or (several.any() and names.str.contains(_NUMBERS).all()):
        example = names[int(several.arg_max() or 0)]
        raise DataError(
            f"{where}: {example!r} is a list; write one event per row, or one user a line without a header "
            "(user item item ...)"
        )
    if names.str.contains(_QUOTED).all():
        raise DataError(f'{where}: every value is in single quotes, such as {names[0]}; use double quotes (") or none')


def list_warnings(vocab: Vocab, where: str) -> list[str]:
    """A warning if at least half of the names have several parts, and the parts look like names themselves.

    That is so if all parts are one word and a number, such as N12 N7, or if half of the parts are names that also stand
    alone. Titles of several words are ordinary names.
    """
    if vocab.tokens.dtype != pl.String:
        return []
    parts = vocab.tokens.head(MOST).str.extract_all(TOKEN)
    several = parts.list.len() > 1
    if 2 * several.sum() < len(parts) or not several.any():
        return []
    single = parts.filter(several).explode(empty_as_null=True).drop_nulls().unique()
    every = parts.explode(empty_as_null=True).drop_nulls()
    numbered = every.str.contains(NUMBERED).all() and every.str.extract(NUMBERED, 1).n_unique() == 1
    if not numbered and 2 * single.is_in(vocab.tokens.implode()).sum() < len(single):
        return []
    example = vocab.tokens[int(several.arg_max() or 0)]
    return [f"{where}: {example!r} and other values look like lists, and each is one name; write one event per row"]
