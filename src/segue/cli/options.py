"""Options that several commands share."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from segue.console import stdout
from segue.data import catalog
from segue.data.log import Log
from segue.errors import ConfigError, DataError

JsonFile = Annotated[Path | None, Parameter(name="--json", help="Write what is printed, in full precision, to a file.")]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a file becomes a log. A named data set needs none of this.

    Attributes:
        user_col: column of users; guessed from its name when not given.
        item_col: column of items.
        time_col: column of times (seconds, milliseconds, ISO dates).
        rating_col: column of ratings.
        delimiter: what separates columns in text; found out when not given.
        min_rating: keep rows rated at least this.
        user_core: keep users with at least so many rows.
        item_core: keep items with at least so many rows.
        duplicates: of several rows with the same user and item keep all, the first, or the last.
        items: table of item metadata, with a column of item names and one of titles.
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
    items: Path | None = None

    def load(self, source: str) -> Log:
        """The log of a named data set, or of a file or folder read as these options say."""
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
            "items": self.items,
        }
        defaults = Reading()
        given = {
            name: value
            for (name, value), field in zip(options.items(), self.__dataclass_fields__, strict=True)
            if value != getattr(defaults, field)
        }
        return catalog.load(source, **given)


def settings(pairs: Sequence[str]) -> dict[str, str]:
    """`["dim=64", "lr=0.01"]` as a dict."""
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise ConfigError(f"--set {pair}: must look like name=value, such as --set dim=64")
        found[key.strip().replace("-", "_")] = value.strip()
    return found


def write_json(path: Path | None, content: Any) -> None:
    """Write `content` to `path` (None: nowhere), whole or not at all."""
    if path is None:
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(json.dumps(_plain(content), indent=2, allow_nan=False) + "\n")
        os.replace(temporary, path)
    except OSError as error:
        raise DataError(f"--json {path}: cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    """JSON has no word for what is not a number: None stands for it."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def check_writable(path: Path | None) -> None:
    """Say at once, not after an hour of training, that `path` cannot be written."""
    if path is None:
        return
    folder = path.absolute().parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise DataError(f"{path}: cannot be written: {folder} is not a folder that you may write to")
    if path.is_dir() and path.suffix == ".json":
        raise DataError(f"{path}: is a folder; give the name of a file")


def show(*things: Any) -> None:
    """Print answers on stdout."""
    for thing in things:
        stdout().print(thing)
