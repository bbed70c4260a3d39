"""`ItemNumbers`: the form of a column of items that a model has as a feature and reads as numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from segue.data.item_features import feature_kind
from segue.data.log import Log
from segue.models.base.model import Model


@dataclass(frozen=True)
class ItemNumbers:
    """The form of the values of a column of items that is read as numbers.

    Attributes:
        form: one number, true or false, or a vector.
        length: of a vector; 0 for others.
    """

    form: Literal["number", "boolean", "vector"]
    length: int = 0

    @classmethod
    def of(cls, log: Log, column: str) -> ItemNumbers | None:
        """That of a column of the item metadata of a log; None for categories."""
        table = log.item_metadata
        if table is None or column not in table.columns:
            return None
        values = table[column]
        kind = feature_kind(log, values)
        if kind == "vector":
            lists = values.arr.to_list() if isinstance(values.dtype, pl.Array) else values
            return cls("vector", int(lists.list.len().to_numpy().max(initial=0)))
        if kind == "number":
            return cls("boolean" if values.dtype == pl.Boolean else "number")
        return None

    def __str__(self) -> str:
        return {"number": "a number", "boolean": "true or false"}.get(self.form, f"a list of {self.length} numbers")

    def takes(self, value: Any) -> bool:
        """Whether a value fits beside those that the column has; null always does."""
        if value is None or self.form == "boolean":
            return value is None or isinstance(value, bool)
        if isinstance(value, list):
            return self.form == "vector" and len(value) == self.length and all(map(_is_number, value))
        return self.form == "number" and _is_number(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def numeric_columns(model: Model, log: Log) -> dict[str, ItemNumbers]:
    """The columns of items that a model, or a part of it, has as features and reads as numbers."""
    found = {name: kind for part in model.parts for name, kind in numeric_columns(part, log).items()}
    features = getattr(model.config, "features", None)
    for name in features if isinstance(features, tuple) else ():
        if (kind := ItemNumbers.of(log, name)) is not None:
            found[name] = kind
    return found
