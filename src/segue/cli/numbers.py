"""`convert`: how the words of a command line become values: as cyclopts does it, but nothing is rounded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from cyclopts import CoercionError, Token
from cyclopts import convert as convert_rounding


def convert(hint: Any, tokens: Sequence[Token]) -> Any:
    """The value of the words after an option.

    Raises:
        CoercionError: they are of another type; a fraction for a whole number, which cyclopts alone would round.
    """
    kinds = _kinds(hint)
    if int in kinds and not kinds & {float, str}:
        for token in tokens:
            if "." in token.value and not _is_whole(token.value):
                raise CoercionError(token=token, target_type=int)
    return convert_rounding(hint, tokens)


def _kinds(hint: Any) -> set[Any]:
    """The types that a type hint consists of: int and NoneType for `list[int] | None`."""
    inner = get_args(hint)
    return set().union(*map(_kinds, inner)) if inner else {hint}


def _is_whole(word: str) -> bool:
    try:
        return float(word).is_integer()
    except ValueError:
        return False
