"""Refuses values that a loaded model cannot read.

A text among the numbers of a column makes texts of all of them: the log of the store would be refused at the next
training, or its items would have categories where the model knows numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError

from segue.data.event_features import EventFeature
from segue.service.models.item_numbers import ItemNumbers


def check_event_features(
    features: Sequence[Mapping[str, Any] | None], numbers: Mapping[str, tuple[EventFeature, str]], *, field: str = ""
) -> None:
    """Check the features of the events of a request.

    Args:
        features: of each event.
        numbers: the columns that a model reads as numbers, and the name of the model.
        field: the name of the list of events; empty for one event.

    Raises:
        RequestValidationError: one is no number.
    """
    wrong: list[dict[str, Any]] = []
    for place, name, value in _values(features, field, "features"):
        column, model = numbers.get(name, (None, ""))
        if column is not None and (problem := column.problem(value)):
            wrong.append({"loc": place, "msg": f"{problem} for the model {model}; send a number, or null"})
    if wrong:
        raise RequestValidationError(wrong)


def check_item_columns(
    columns: Sequence[Mapping[str, Any]], numbers: Mapping[str, tuple[ItemNumbers, str]], *, field: str = ""
) -> None:
    """Check the columns of the items of a request; the arguments are those of `check_event_features`.

    Raises:
        RequestValidationError: a model reads a column as numbers, and a value is none.
    """
    wrong: list[dict[str, Any]] = []
    for place, name, value in _values(columns, field, "columns"):
        kind, model = numbers.get(name, (None, ""))
        if kind is not None and not kind.takes(value):
            what = f"{value!r} is not {kind}, which the model {model} reads"
            wrong.append({"loc": place, "msg": f"{what}; send {kind}, or null"})
    if wrong:
        raise RequestValidationError(wrong)


def _values(
    of_each: Sequence[Mapping[str, Any] | None], field: str, part: str
) -> Iterator[tuple[tuple[str | int, ...], str, Any]]:
    """The place in the body of a request, the name and the value of each entry."""
    for number, values in enumerate(of_each):
        for name, value in (values or {}).items():
            yield ("body", *((field, number) if field else ()), part, name), name, value
