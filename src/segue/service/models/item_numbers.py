"""`ItemNumbers`: what a column of items holds that a model has as a feature and reads as numbers."""

from __future__ import annotations

from enum import Enum
from typing import Any

import polars as pl

from segue.data.item_features import feature_kind
from segue.data.log import Log
from segue.models.base.model import Model


class ItemNumbers(Enum):
    """What a column of items holds that is read as numbers."""

    NUMBER = "a number"
    BOOLEAN = "true or false"
    VECTOR = "a list of numbers"

    @classmethod
    def of(cls, log: Log, column: str) -> ItemNumbers | None:
        """What a column of the item metadata of a log holds; None for categories."""
        table = log.item_metadata
        if table is None or column not in table.columns:
            return None
        kind = feature_kind(log, table[column])
        if kind == "number":
            return cls.BOOLEAN if table[column].dtype == pl.Boolean else cls.NUMBER
        return cls.VECTOR if kind == "vector" else None

    def takes(self, value: Any) -> bool:
        """Whether a value fits beside those that the column has; null always does."""
        if value is None or self is ItemNumbers.BOOLEAN:
            return value is None or isinstance(value, bool)
        parts = value if self is ItemNumbers.VECTOR and isinstance(value, list) else [value]
        is_right = isinstance(value, list) == (self is ItemNumbers.VECTOR)
        return is_right and all(isinstance(one, int | float) and not isinstance(one, bool) for one in parts)


def numeric_columns(model: Model, log: Log) -> dict[str, ItemNumbers]:
    """The columns of items that a model, or a part of it, has as features and reads as numbers."""
    found = {name: kind for part in model.parts for name, kind in numeric_columns(part, log).items()}
    features = getattr(model.config, "features", None)
    for name in features if isinstance(features, tuple) else ():
        if (kind := ItemNumbers.of(log, name)) is not None:
            found[name] = kind
    return found
