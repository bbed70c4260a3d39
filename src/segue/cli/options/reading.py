"""`ReadingOptions`: how a file becomes a log."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from segue.cli.help import READING_GROUP
from segue.cli.options.where import WhereOption, parse_where
from segue.data.duplicates import Duplicates
from segue.errors import DataError
from segue.folders import is_folder_of
from segue.io import is_unicode
from segue.reporting.console import say

if TYPE_CHECKING:
    from segue.data.log import Log

# options whose argument of `load_log` has another name
ARGUMENTS = {
    f"{role}_col": role for role in ("user", "item", "time", "rating", "split", "event", "session", "impressions")
}


@Parameter(name="*", group=READING_GROUP)
@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """How a file becomes a log.

    Attributes:
        user_col: Column of the users. Without this option it is guessed from the column names, as the others are.
        item_col: Column of the items.
        time_col: Column of the times (seconds, milliseconds or ISO dates); "" for none: then the order of rows counts.
        time_format: strftime pattern of times in text, such as "%d/%m/%Y %H:%M". Without this option it is recognised.
        rating_col: Column of the ratings; "" for none.
        split_col: Column that says train, valid or test of each row; "" for none: the log's own split is not used.
        event_col: Column that says of what type an event is, such as a view or a purchase.
        events: Types of events that are read, such as --events view cart buy. Without --event-col, the column is the
            one whose name says that it holds types, such as event_type or action. By default, all rows are read.
        session_col: Column that says in which session of the user an event was; see --protocol last-session.
        event_features: Columns with further facts of an event, such as --event-features device price, for models that
            read them: text is categories, and numbers are numbers unless their column is named city:category.
        impressions_col: Column of the items that were shown at an event, lists or text such as 7|3|9, for models that
            draw negatives from them (negative_sampling=impressions).
        delimiter: Character between the columns of a text file, or tab. Without this option it is detected.
        header: Whether the first line of a text file is a header. Without this option it is detected.
        drop_empty: Leave out rows without a user, an item or a time, and count them.
        where: Keep only rows with this value in a column, such as --where event=purchase. Several values of one column
            are alternatives; several columns must all fit.
        min_rating: Keep only rows with at least this rating.
        user_core: Keep only users with at least this number of rows.
        item_core: Keep only items with at least this number of rows.
        duplicates: exact drops copies of a row (same user, item, time and rating); keep keeps all rows; first and last
            keep one row of each user and item. The default is exact for files with times or an order, and keep for
            saved logs and named data sets.
        verify: Compare a saved log with its hashes and its fingerprint, even if that was done before.
        users: Table with further columns about the users; one column holds their names.
        items: Table with further columns about the items; one column holds their names, another the titles to show.
        all_items: Items of that table without an event are part of the log, too: models with features of the items can
            rank them.
    """

    user_col: str | None = None
    item_col: str | None = None
    time_col: str | None = None
    time_format: str | None = None
    rating_col: str | None = None
    split_col: str | None = None
    event_col: str | None = None
    events: Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())] = None
    session_col: str | None = None
    event_features: Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())] = None
    impressions_col: str | None = None
    delimiter: str | None = None
    header: bool | None = None
    drop_empty: Annotated[bool, Parameter(negative=())] = False
    where: WhereOption = None
    min_rating: float | None = None
    user_core: int = 0
    item_core: int = 0
    duplicates: Duplicates | None = None
    verify: Annotated[bool, Parameter(negative=())] = False
    users: Path | None = None
    items: Path | None = None
    all_items: Annotated[bool, Parameter(negative=())] = False

    def paths(self, source: str) -> tuple[str | Path | None, ...]:
        """What is read: the data and the tables of users and items."""
        return source, self.users, self.items

    def load(self, source: str) -> Log:
        """Read a named data set, or a file or folder with these options; report what filters keep, and warnings.

        Raises:
            DataError: the source is missing or cannot be read as a log.
        """
        from segue.data.datasets import catalog

        if not source.strip():
            raise DataError("no data: the name is empty; give a named data set, a file or a folder")
        for path in self.paths(source):
            if path is not None and not is_unicode(path):
                raise DataError(f"{str(path)!r}: the name is no valid Unicode (UTF-8); rename it")
        if is_folder_of("saved model", source):
            raise DataError(f"{source}: is a saved model, not a log; give the data that it was trained on")
        defaults = vars(ReadingOptions())
        given: dict[str, Any] = {
            ARGUMENTS.get(name, name): value for name, value in vars(self).items() if value != defaults[name]
        }
        if self.where is not None:
            given["where"] = parse_where(self.where, "event=purchase")
        log = catalog.load_log(source, **given)
        for step in log.steps:
            say(f"{step.rule}: {step.rows:,} rows, {step.users:,} users, {step.items:,} items")
        for warning in log.warnings:
            say(f"Warning: {warning}.")
        return log


READING_DEFAULTS = ReadingOptions()
