"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from segue import io
from segue.data.datasets import catalog
from segue.data.log import Log
from segue.errors import ConfigError, DataError
from segue.reporting.console import say, stdout

if TYPE_CHECKING:
    from rich.table import Table

JsonFile = Annotated[Path | None, Parameter(name="--json", help="Write what is printed, in full precision, to a file.")]

CutOffs = Annotated[
    list[int] | None,
    Parameter(name=["-k"], consume_multiple=True, negative=(), help="Cut-offs of the table, such as -k 5 10 20."),
]


@Parameter(name="*", group="Reading a file (a named data set needs none of this)")
@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """How a file becomes a log. A named data set needs none of this.

    Attributes:
        user_col: Column of users; guessed from its name when not given, as the others are.
        item_col: Column of items.
        time_col: Column of times (seconds, milliseconds, ISO dates); "" for none: the order of the file counts.
        rating_col: Column of ratings; "" for none.
        delimiter: What separates columns in text; found out when not given.
        min_rating: Keep rows rated at least this.
        user_core: Keep users with at least so many rows.
        item_core: Keep items with at least so many rows.
        duplicates: Of several rows with the same user and item keep all, the first, or the last.
        users: Table of users, with a column of their names.
        items: Table of items, with a column of their names and one of titles to show.
    """

    user_col: str | None = None
    item_col: str | None = None
    time_col: str | None = None
    rating_col: str | None = None
    delimiter: str | None = None
    min_rating: float | None = None
    user_core: int = 0
    item_core: int = 0
    duplicates: Literal["keep", "first", "last"] = "keep"
    users: Path | None = None
    items: Path | None = None

    def load(self, source: str) -> Log:
        """The log of a named data set, or of a file or folder read as these options say."""
        if not source.strip():
            raise DataError("no data: the name is empty; give a named data set, a file or a folder")
        if (Path(source) / "model.json").is_file():
            raise DataError(f"{source}: is a saved model, not a log; give the data that it was trained on")
        options: dict[str, Any] = {
            "user": self.user_col,
            "item": self.item_col,
            "time": self.time_col,
            "rating": self.rating_col,
            "delimiter": self.delimiter,
            "min_rating": self.min_rating,
            "user_core": self.user_core,
            "item_core": self.item_core,
            "duplicates": self.duplicates,
            "users": self.users,
            "items": self.items,
        }
        defaults = ReadingOptions()
        given = {
            name: value
            for (name, value), field in zip(options.items(), self.__dataclass_fields__, strict=True)
            if value != getattr(defaults, field)
        }
        log = catalog.load(source, **given)
        for step in log.steps:
            say(f"{step.rule}: {step.rows:,} rows, {step.users:,} users, {step.items:,} items")
        return log


def settings(pairs: Sequence[str] | None) -> dict[str, str]:
    """`["embedding_dim=64", "lr=0.01"]` as a dict."""
    found: dict[str, str] = {}
    if pairs is not None and not pairs:
        raise ConfigError("--set: needs name=value, such as --set embedding_dim=64 lr=0.01")
    for pair in pairs or ():
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise ConfigError(f"--set {pair}: must look like name=value, such as --set embedding_dim=64")
        found[key.strip().replace("-", "_")] = value.strip()
    return found


def cut_offs(k: list[int] | None) -> tuple[int, ...]:
    """The cut-offs of a table, ascending; 10 where none is given."""
    if k is None:
        return (10,)
    if not k or min(k) < 1:
        raise ConfigError(f"-k {' '.join(map(str, k))}: cut-offs are whole numbers from 1, such as -k 5 10 20")
    return tuple(sorted(set(k)))


def write_json(path: Path | None, content: Any) -> None:
    """Write `content` to `path` (None: nowhere), whole or not at all."""
    if path is None:
        return
    try:
        io.write_json(path, content)
    except OSError as error:
        raise DataError(f"--json {path}: cannot be written: {error.strerror or error}") from error


def check_json(path: Path | None, *, reads: str = "") -> None:
    """Say at once, not after an hour of training, that `path` cannot be written, or is the file that is read."""
    if path is None:
        return
    folder = path.absolute().parent
    if path.is_dir():
        raise DataError(f"--json {path}: is a folder; give the name of a file")
    if not folder.is_dir():
        raise DataError(f"--json {path}: cannot be written: there is no folder {folder}; make it first")
    if not os.access(folder, os.W_OK):
        raise DataError(f"--json {path}: cannot be written: {folder} is not a folder that you may write to")
    if path.exists() and os.path.exists(reads) and path.samefile(reads):
        raise DataError(f"--json {path}: is the data to be read; give another name")


def show(*things: Any) -> None:
    """Print answers on stdout."""
    for thing in things:
        stdout().print(thing)


def grid(listed: list[dict[str, Any]], title: str) -> Table:
    """Rows as a table for a terminal; columns with nothing in them are left out."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=Text(title, style="bold"), title_justify="left")
    columns = [name for name in listed[0] if any(row[name] not in (None, "") for row in listed)]
    for name in columns:
        number = all(isinstance(row[name], (int, float)) or row[name] is None for row in listed)
        shown.add_column(Text(name), justify="right" if number else "left", overflow="fold")
    for row in listed:
        shown.add_row(*(Text(_cell(name, row[name])) for name in columns))
    return shown


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "–"
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    if name == "share":
        return f"{value:.2f}".removeprefix("0")
    fine = "@" in name or name.startswith("validation ")
    return f"{value:.4f}".removeprefix("0") if fine else f"{value:,.1f}"
