"""`ItemFilterOptions` and `CandidateOptions`: which items may be recommended, or may be similar."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import Parameter

from segue.cli.help import CANDIDATES_GROUP
from segue.cli.options.history import ExcludeSeenOption
from segue.cli.options.where import WhereOption, parse_where
from segue.reporting.console import say

if TYPE_CHECKING:
    from segue.data.log import Log
    from segue.serving.item_filter import ItemFilter


@Parameter(name="*", group=CANDIDATES_GROUP)
@dataclass(frozen=True, kw_only=True)
class ItemFilterOptions:
    """Which items may be in a list.

    Attributes:
        allow: File of the items that may be in the list: one name a line, or .csv, .parquet or .json.
        deny: File of items that may not be in it, of the same form. It may be empty.
        where: Only items with this value in a column of the item metadata, such as --where genre=Drama. A column of
            lists must contain the value. Several values of one column are alternatives; several columns must all fit.
    """

    allow: Path | None = None
    deny: Path | None = None
    where: WhereOption = None

    def filter(self, log: Log, *, strict: bool = False) -> ItemFilter | None:
        """The items that may be in the list; None for all. Unknown names in the files are counted and said.

        Raises:
            ConfigError: --where is not of the form COLUMN=VALUE.
            DataError: a file cannot be read, a condition holds for no item, or, with `strict`, a name is unknown.
        """
        from segue.serving.item_filter import filter_items
        from segue.serving.name_files import read_names

        where = {} if self.where is None else parse_where(self.where, "genre=Drama")
        if self.allow is None and self.deny is None and not where:
            return None
        allow = None if self.allow is None else read_names(self.allow, "item", log.items)
        deny = None if self.deny is None else read_names(self.deny, "item", log.items, may_be_empty=True)
        if deny == []:
            say(f"{self.deny}: has no items in it, so --deny leaves none out")
        items = filter_items(log, allow=allow, deny=deny or (), where=where, strict=strict)
        if items.unknown:
            shown = ", ".join(map(repr, items.unknown[:5])) + (", ..." if len(items.unknown) > 5 else "")
            number = "1 item" if len(items.unknown) == 1 else f"{len(items.unknown):,} items"
            files = " and ".join(name for name, names in (("--allow", allow), ("--deny", deny)) if names)
            verb = "is" if len(items.unknown) == 1 else "are"
            say(f"Warning: {number} of {files} {verb} unknown to the model: {shown}")
        return items


@Parameter(name="*", group=CANDIDATES_GROUP)
@dataclass(frozen=True, kw_only=True)
class CandidateOptions(ItemFilterOptions):
    """Which items may be recommended."""

    exclude_seen: ExcludeSeenOption = None


FILTER_DEFAULTS, CANDIDATE_DEFAULTS = ItemFilterOptions(), CandidateOptions()
