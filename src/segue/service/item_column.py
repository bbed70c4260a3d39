"""`ItemColumn`: the values of one column of the items, such as a category, and the items that have each value.

Values are compared as text: true, 7 (also for 7.0), 2020-01-31. An item with a list has each value of the list.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from segue.data.item_values import value_texts
from segue.data.log import Mask


class ItemColumn:
    """One column, by the numbers of the items."""

    def __init__(self) -> None:
        self._values: dict[int, tuple[str, ...]] = {}
        self._items: dict[str, set[int]] = {}

    def set(self, item: int, value: Any) -> None:
        """Give an item a value, or a list of values; None for none."""
        for text in self._values.pop(item, ()):
            self._items[text].discard(item)
        texts = value_texts(value)
        if texts:
            self._values[item] = texts
        for text in texts:
            self._items.setdefault(text, set()).add(item)

    def of(self, item: int) -> tuple[str, ...]:
        """The values of an item."""
        return self._values.get(item, ())

    def values(self) -> list[str]:
        """The values that an item has, in the order of the alphabet."""
        return sorted(text for text, items in self._items.items() if items)

    def mask(self, wanted: Iterable[str], size: int) -> Mask:
        """(size,) whether each item has one of the wanted values."""
        mask = np.zeros(size, np.bool_)
        for text in wanted:
            items = self._items.get(value_texts(text)[0] if text else text, ())
            mask[np.fromiter(items, np.int64, len(items))] = True
        return mask
