"""Long lists of values in slices, because a statement has a limit of values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Column, ColumnElement

MAX_VALUES = 500  # in one statement
Value = TypeVar("Value")


def slices(values: Iterable[Value], size: int = MAX_VALUES) -> Iterator[list[Value]]:
    """Values in lists of a size; the last one may be shorter.

    >>> list(slices("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    rest = iter(values)
    while part := list(islice(rest, size)):
        yield part


def is_one_of(column: Column[Any], values: Iterable[object]) -> Iterator[ColumnElement[bool]]:
    """Conditions for statements one after the other: the column has one of the values of a slice."""
    return (column.in_(part) for part in slices(values))
