"""`Catalogue`: the items of a shop in memory: those that the models know, those of the store's table, and those that
only events name.

    number   name    title          available   columns                    where it is from
    1        sku1    A kettle       yes         category: kitchen          the metadata of a model's log
    2        sku2    sku2           no          category: [toys, kitchen]  the table of the store, over that metadata
    3        sku3    sku3           yes                                    an event

Every item has a number, which it keeps as long as the process runs. Masks over these numbers say which items may be
recommended; `segue.service.items.selection` makes those of a model from them.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from threading import Lock
from typing import TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from segue.data.log import Floats, Ids, Mask
from segue.errors import ConfigError, did_you_mean
from segue.event_store.item_table import Item, ItemTable, Written
from segue.service.items.item_column import ItemColumn
from segue.service.items.metadata import STEP, Metadata
from segue.service.models.loaded_model import LoadedModel

Values = TypeVar("Values", Mask, Floats)


class Catalogue:
    """The items of a shop.

    Attributes:
        table: the items in the store.
        names: the name of each item, by its number; entry 0 is empty.
        metadata: what the models say, where the table says nothing.
        version: another one after each change that a mask can depend on.
    """

    def __init__(self, table: ItemTable) -> None:
        """Read the table of the store."""
        self.table = table
        self.names, self.metadata, self.version = [""], Metadata(), 0
        self._numbers: dict[str, int] = {}
        self._items: dict[int, Item] = {}
        self._titles: dict[int, str] = {}  # those that were looked up
        self._unavailable = np.zeros(1024, np.bool_)
        self._expiring: list[tuple[int, int]] = []  # a heap of (time, number)
        self._columns: dict[str, ItemColumn] = {}
        self._models: WeakKeyDictionary[LoadedModel, Ids] = WeakKeyDictionary()
        self._newest = 0  # time of the newest change that was read
        self._lock = Lock()
        self.apply(self.read_changes(), 0)

    def __len__(self) -> int:
        """The number of items."""
        return len(self.names) - 1

    def number(self, name: str) -> int:
        """The number of an item; a name that was not known gets one."""
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self.names)
            self.names.append(name)
            self.version += 1
        return number

    def find(self, name: str) -> int | None:
        """The number of an item; None for a name that is not known."""
        return self._numbers.get(name)

    def title(self, number: int) -> str:
        """The title of an item, or its name if it has none."""
        title = self._titles.get(number)
        if title is None:
            title = self._titles[number] = self._find_title(number)
        return title

    def _find_title(self, number: int) -> str:
        item = self._items.get(number)
        if item is None or (item.title is None and not item.complete):
            return self.metadata.title(self.names[number])
        return item.title or item.item

    def item(self, number: int) -> Item | None:
        """What the table of the store holds of an item; None for nothing."""
        return self._items.get(number)

    def items(self) -> Iterable[tuple[int, Item]]:
        """The numbers and the items of the table."""
        return self._items.items()

    def numbers_of(self, loaded: LoadedModel) -> Ids:
        """(I + 1,) the number of each item of a model, which is added to the catalogue if it was not."""
        if loaded not in self._models:
            for _ in self.adding(loaded):
                pass
        return self._models[loaded]

    def adding(self, loaded: LoadedModel) -> Iterator[None]:
        """Add the items of a model step by step, so that requests can be answered between."""
        if loaded in self._models:
            return
        numbers = np.zeros(len(loaded.tokens), np.int64)
        for first in range(1, len(numbers), STEP):
            part = slice(first, first + STEP)
            numbers[part] = [self.number(name) for name in loaded.tokens[part]]
            yield
        self._models[loaded] = numbers

    def metadata_of(self, in_use: Sequence[LoadedModel], others: Sequence[LoadedModel] = ()) -> Metadata:
        """What models say of the items; the parameters are those of `Metadata`."""
        return Metadata(in_use, [self.numbers_of(loaded) for loaded in in_use], others)

    def follow(self, metadata: Metadata) -> None:
        """Let other metadata count from now on; it has read the columns that are in use."""
        self.metadata = metadata
        self._titles = {}
        for name, column in self._columns.items():
            column.below = metadata.column(name)
        self.version += 1

    @property
    def columns_in_use(self) -> list[str]:
        """The names of the columns that something was selected by or that were shown."""
        return list(self._columns)

    def columns(self) -> list[str]:
        """The names of all columns."""
        named = dict.fromkeys(self.metadata.columns())
        for item in self._items.values():
            named.update({"title": None} if item.title else {})
            named.update({name: None for name, value in item.columns.items() if value is not None})
        return list(named)

    def column(self, name: str) -> ItemColumn:
        """A column: the values of the table, over those of the models' metadata."""
        found = self._columns.get(name)
        if found is None:
            found = ItemColumn(self.metadata.column(name))
            for number, item in self._items.items():
                if item.says(name):
                    found.set(number, item.value(name))
            self._columns[name] = found
        return found

    def values(self, number: int) -> dict[str, list[str]]:
        """The values of an item in all columns."""
        found = {name: list(self.column(name).of(number)) for name in self.columns() if name != "title"}
        return {name: values for name, values in found.items() if values}

    def matching(self, column: str, wanted: Sequence[str], *, strict: bool = True) -> Mask:
        """(N + 1,) whether each item has one of some values in a column.

        Args:
            column: name of the column.
            wanted: the values.
            strict: whether an unknown column, or a value that no item has, is an error.

        Raises:
            ConfigError: with `strict`; the message names similar ones.
        """
        if strict:
            known = self.columns()
            if column not in known:
                listed = f"; the columns are {', '.join(known)}" if known else "; the items have no columns"
                raise ConfigError(f"no column {column!r} to select by{did_you_mean(column, known)}{listed}")
            for value in wanted:
                if not self.column(column).mask([value], len(self.names)).any():
                    values = self.column(column).values()
                    listed = ", ".join(map(repr, values[:10])) + (" and more" if len(values) > 10 else "")
                    raise ConfigError(
                        f"column {column!r} never has the value {value!r}{did_you_mean(value, values)}; it has "
                        f"{listed or 'no values'}"
                    )
        return self.column(column).mask(wanted, len(self.names))

    def unavailable(self, now: int) -> Mask | None:
        """(N + 1,) whether each item cannot be had at a time; None if all can."""
        self.expire(now)
        mask = self.padded(self._unavailable)
        return mask if mask.any() else None

    def padded(self, values: Values) -> Values:
        """(..., N + 1) values of the items, by their numbers; 0 for those that came later than the array."""
        missing = len(self.names) - values.shape[-1]
        if missing <= 0:
            return values[..., : len(self.names)]
        return np.concatenate([values, np.zeros((*values.shape[:-1], missing), values.dtype)], axis=-1)

    def expire(self, now: int) -> None:
        """Take note of the items that have expired."""
        while self._expiring and self._expiring[0][0] <= now:
            _, number = heapq.heappop(self._expiring)
            self._note_availability(number, now)

    def read_changes(self) -> list[Item]:
        """Read from the store what changed. May run in a thread."""
        with self._lock:
            changed = self.table.changed_after(self._newest)
            if changed:
                self._newest = changed[-1].updated
        return changed

    def write(self, write: Callable[[ItemTable], Written]) -> Sequence[Item]:
        """Change the table, and return the changed items for `apply`. May run in a thread."""
        with self._lock:
            written = write(self.table)
            if written.before == self._newest:  # nothing of another process is unread
                self._newest = written.time
        return written.items

    def apply(self, changed: Iterable[Item], now: int) -> None:
        """Take over what `read_changes` or `put` returned."""
        for item in changed:
            number = self.number(item.item)
            old = self._items.get(number)
            if old is not None and old.updated >= item.updated:
                continue
            self._items[number] = item
            self._titles.pop(number, None)
            self.version += 1
            self._note_columns(number, item)
            self._note_availability(number, now)
            if item.expires is not None:
                heapq.heappush(self._expiring, (item.expires, number))

    def _note_availability(self, number: int, now: int) -> None:
        if number >= len(self._unavailable):
            self._unavailable = np.pad(self._unavailable, (0, number))
        unavailable = not self._items[number].is_available(now)
        if self._unavailable[number] != unavailable:
            self._unavailable[number] = unavailable
            self.version += 1

    def _note_columns(self, number: int, item: Item) -> None:
        for name, column in self._columns.items():
            if item.says(name):
                column.set(number, item.value(name))
            else:  # what the metadata says counts
                column.discard(number)
