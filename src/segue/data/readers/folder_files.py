"""`find_parts`: the files of a folder that are the parts of one table.

log/part-1.csv  log/part-2.csv  log/part-10.csv       in this order: numbers in names count as numbers
log/day=1/part.parquet  log/day=2/part.parquet        day = "1", "2": the partition of each part
log/2024/01/a.csv  log/2024/02/a.csv                  read, if the folder has no tables of its own
log/_SUCCESS  log/.a.crc  log/README.txt              no data
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from segue.data.readers.dialect import ATOMIC
from segue.data.readers.json_lines import JSON
from segue.data.readers.text import SUFFIXES
from segue.errors import DataError
from segue.io import file_hash

PARQUET = (".parquet", ".pq")
FORMATS = (PARQUET, tuple(set(SUFFIXES) - {"", ".log", ATOMIC, ".item", ".user"}), JSON)
METADATA = (".items", ".users")
ABOUT = {"readme", "license", "licence", "copying", "notice", "changelog", "citation", "about"}
MAX_FILES = 100_000  # files and folders that are looked at: a folder of more, such as /, is no log
EMPTY = "__HIVE_DEFAULT_PARTITION__"  # what Hive and Spark write for an empty value
SHOWN = 5


@dataclass(frozen=True)
class Parts:
    """The parts of one table.

    Attributes:
        paths: the files.
        partitions: key -> value of the folders KEY=VALUE above each file; None for an empty value.
        warnings: what was assumed.
    """

    paths: list[Path]
    partitions: list[dict[str, str | None]]
    warnings: list[str]


def find_parts(folder: Path) -> Parts:
    """The tables in the folder, in its folders KEY=VALUE or, if it has neither, in all of its folders.

    Raises:
        DataError: the folder has no tables, tables of different formats or partitions, or too many files.
    """
    _check_number_of_files(folder)
    whole = folder.resolve().name or str(folder)
    paths, warnings = _tables(folder), []
    below = [path for path in _other_folders(folder) if _tables_below(path)]
    listed = _listed([str(path.relative_to(folder)) for path in below])
    if paths and below:
        warnings.append(
            f"{whole}: it has tables of its own, and those in {listed} are not read; to read them, give a folder "
            "that holds only the parts of one log"
        )
    elif below:
        paths = _tables_below(folder)
        warnings.append(f"{whole}: all tables in {listed} are read as the parts of one log")
    paths = [] if any(folder.glob(f"*{ATOMIC}")) else paths
    if (folder / "_delta_log").is_dir():
        warnings.append(
            f"{whole}: a Delta table is read as all of its Parquet files, also those that it does not use any "
            "more; to be sure, export its rows"
        )
    if len({formats for formats in FORMATS for path in paths if table_suffix(path) in formats}) != 1:
        listed = ", ".join(sorted(p.name for p in folder.iterdir())[:10]) or "nothing"
        raise DataError(
            f"{folder}: a folder must hold a saved log, Parquet, text or JSON files of the same columns, or one "
            f"{ATOMIC} file; it holds {listed}" + ("; give one of its folders" if below else "")
        )
    partitions = [_partition(folder, path) for path in paths]
    for path, partition in zip(paths, partitions, strict=True):
        if list(partition) != list(partitions[0]):
            raise DataError(f"{path}: its folders ({', '.join(partition)}) are not those of {paths[0]}")
    return Parts(paths, partitions, [*warnings, *_copies(folder, paths)])


def _check_number_of_files(folder: Path) -> None:
    """Raise `DataError` if there is more in a folder, and in those below it, than in any log."""
    seen = 0
    for _, below, files in os.walk(folder, followlinks=True):
        below[:] = [name for name in below if not name.startswith((".", "_"))]
        seen += len(below) + len(files)
        if seen > MAX_FILES:
            raise DataError(
                f"{folder}: holds more than {MAX_FILES:,} files and folders; give a folder of the parts of one log"
            )


def table_suffix(path: Path) -> str:
    """The suffix of a file in lower case, without that of a compression."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _tables(folder: Path) -> list[Path]:
    """The tables in the folder and in its folders KEY=VALUE."""
    tables = []
    for path in sorted(folder.iterdir(), key=_natural):
        if _is_partition(path):
            tables += _tables(path)
        elif _is_table(path):
            tables.append(path)
    return tables


def _other_folders(folder: Path) -> list[Path]:
    """The folders, there and in its folders KEY=VALUE, that are no folders KEY=VALUE."""
    others = []
    for path in sorted(folder.iterdir(), key=_natural):
        if _is_partition(path):
            others += _other_folders(path)
        elif _is_plain_folder(path):
            others.append(path)
    return others


def _tables_below(folder: Path) -> list[Path]:
    """The tables in the folder and in all folders below it."""
    tables = []
    for path in sorted(folder.iterdir(), key=_natural):
        if _is_partition(path) or _is_plain_folder(path):
            tables += _tables_below(path)
        elif _is_table(path):
            tables.append(path)
    return tables


def _is_table(path: Path) -> bool:
    """Whether this is a table: not metadata, nor a text about the data, nor hidden by a dot or an underscore."""
    suffix = table_suffix(path)
    if path.name.startswith((".", "_")) or not any(suffix in formats for formats in FORMATS) or not path.is_file():
        return False
    stem = path.name[: path.name.lower().rindex(suffix)]
    return Path(stem).suffix not in METADATA and stem.lower() not in ABOUT


def _is_partition(path: Path) -> bool:
    return "=" in path.name and not path.name.startswith((".", "_")) and path.is_dir()


def _is_plain_folder(path: Path) -> bool:
    return "=" not in path.name and not path.name.startswith((".", "_")) and path.is_dir()


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """A sorting key in which part-10 follows part-2."""
    return [
        (int(part), 0, part) if part.isdecimal() else (-1, 1, part) for part in re.split(r"(\d+)", path.name) if part
    ]


def _partition(folder: Path, path: Path) -> dict[str, str | None]:
    """Key -> value of the folders KEY=VALUE between `folder` and the file, decoded: %20 is a blank."""
    names = [name for name in path.relative_to(folder).parent.parts if "=" in name]
    pairs = (name.partition("=") for name in names)
    return {unquote(key): None if value == EMPTY else unquote(value) for key, _, value in pairs}


def _copies(folder: Path, paths: Sequence[Path]) -> list[str]:
    """A warning for files of one folder with the same content; an error for one that is there in two forms."""
    files = dict[Path, Path]()
    for path in sorted(paths, key=lambda path: len(path.parts)):  # the links behind what they lead to
        if (same := files.setdefault(path.resolve(), path)) != path:
            raise DataError(f"{path}: is {same} again, by a symbolic link; give a folder without the link")
    plain = {path: path for path in paths}
    for path in paths:
        if path.suffix.lower() == ".gz" and (twin := plain.get(path.with_suffix(""))):
            raise DataError(f"{folder}: {twin.name} and {path.name} are two forms of one table; delete one of them")
    sizes: dict[tuple[Path, int], list[Path]] = {}
    for path in paths:
        sizes.setdefault((path.parent, path.stat().st_size), []).append(path)
    warnings, known = [], dict[tuple[Path, str], Path]()
    for path in (path for (_, size), same in sizes.items() if size and len(same) > 1 for path in same):
        first = known.setdefault((path.parent, file_hash(path)), path)
        if first != path:
            warnings.append(f"{path.name} has the same content as {first.name}; if it is a copy, delete it")
    return warnings


def _listed(folders: Sequence[str]) -> str:
    more = f" and {len(folders) - SHOWN:,} more folders" if len(folders) > SHOWN else ""
    return ", ".join(folders[:SHOWN]) + more
