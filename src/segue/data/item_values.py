"""Values of items, such as a category or a price: as texts that can be compared, and as a column of a table.

A shop gives one item a list and another a text, a number or nothing. A column of a table has one type, so these values
get the type that holds all of them without a loss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

LARGEST = 2**53  # up to here, a float holds every whole number


def value_texts(value: Any) -> tuple[str, ...]:
    """A value as texts that can be compared.

    >>> value_texts(True), value_texts(7.0), value_texts(["Drama", "War"]), value_texts(None)
    (('true',), ('7',), ('Drama', 'War'), ())
    """
    if value is None or value == "":
        return ()
    if isinstance(value, (list, tuple)):
        return tuple(dict.fromkeys(text for one in value for text in value_texts(one)))
    if isinstance(value, bool):
        return ("true" if value else "false",)
    if isinstance(value, float) and value.is_integer():
        return (str(int(value)),)
    return (str(value),)


def common_column(values: Sequence[Any]) -> pl.Series:
    """A column of values of any types: of lists if one is a list, and of text unless all are numbers or of one type.

    Whole numbers that a float does not hold exactly are text, too.

    >>> common_column(["Drama", ["Action", "War"], None]).to_list()
    [['Drama'], ['Action', 'War'], None]
    >>> common_column([7, 2.5]).to_list(), common_column([7, "n/a", True]).to_list()
    ([7.0, 2.5], ['7', 'n/a', 'true'])
    """
    lists = [None if value is None else value if isinstance(value, list) else [value] for value in values]
    parts = [one for part in lists for one in part or () if one is not None]
    kinds = {type(one) for one in parts}
    if any(isinstance(one, int) and abs(one) > LARGEST for one in parts):
        kinds |= {int, str}
    if len(kinds) > 1:
        convert: Callable[[Any], Any] = float if kinds == {int, float} else _text
        lists = [part and [None if one is None else convert(one) for one in part] for part in lists]
    is_list = any(isinstance(value, list) for value in values)
    return pl.Series(lists if is_list else [None if part is None else part[0] for part in lists])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else value_texts(value)[0]
