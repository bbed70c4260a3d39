"""`Metadata`: what the logs of models say of items; of several models, the first one that says something counts.

    item   first model           second model                  what counts
    sku1   category: kitchen     category: toys                category: kitchen
    sku2   no category           category: toys, title: Bear   category: toys, title: Bear
    sku3   does not know it      does not know it              nothing; its name is shown as the title

The order is that of the A/B split, so it is the same in all processes and after a restart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from segue.data.item_values import value_texts
from segue.data.log import Ids
from segue.service.items.item_column import ItemColumn
from segue.service.models.loaded_model import LoadedModel

STEP = 5_000  # items, of a change that is made step by step


class Metadata:
    """The titles and columns of the models of a deployment. Another deployment has others."""

    def __init__(
        self, in_use: Sequence[LoadedModel] = (), numbers: Sequence[Ids] = (), others: Sequence[LoadedModel] = ()
    ) -> None:
        """Prepare; a column is read when it is first asked for.

        Args:
            in_use: the models whose columns and titles count, the first one first.
            numbers: for each of them, the number (I + 1,) of each item in the catalogue.
            others: models whose titles count where those in use have none.
        """
        tables = [(ids[1:], loaded.saved.log.item_metadata) for loaded, ids in zip(in_use, numbers, strict=True)]
        self._tables = [(ids, table) for ids, table in tables if table is not None]
        self._titled = (*in_use, *others)
        self._columns: dict[str, ItemColumn] = {}

    def title(self, name: str) -> str:
        """The title of an item, or its name if it has none."""
        for loaded in self._titled:
            index = loaded.token_ids.get(name)
            if index is not None and loaded.titles[index] != name:
                return loaded.titles[index]
        return name

    def columns(self) -> list[str]:
        """The names of all columns."""
        return list(dict.fromkeys(name for _, table in self._tables for name in table.columns))

    def column(self, name: str) -> ItemColumn:
        """A column, by the numbers of the items."""
        for _ in self.reading([name]):
            pass
        return self._columns[name]

    def reading(self, names: Iterable[str]) -> Iterator[None]:
        """Read columns step by step, so that requests can be answered between."""
        for name in names:
            if name not in self._columns:
                column = ItemColumn()
                for ids, table in self._tables:
                    for first in range(0, len(table) if name in table.columns else 0, STEP):
                        part = slice(first, first + STEP)
                        for number, value in zip(ids[part].tolist(), table[name][part].to_list(), strict=True):
                            if number not in column and value_texts(value):
                                column.set(number, value)
                        yield
                self._columns[name] = column
