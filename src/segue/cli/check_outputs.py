"""Checks, before any work begins, that what a command writes can be written and destroys nothing that it reads.

segue blend models/hgn models/pop -o models/../models/pop      the output is an input: refused
segue evaluate models/pop --json models/pop/model.json         a file of a saved model: refused
segue explain models/pop --user 1 --html a --json a            one file for two outputs: refused
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path

from segue.errors import ConfigError, DataError
from segue.event_store.address import is_store_url, store_files
from segue.folders import MARKERS, Kind, is_folder_of
from segue.io import reason
from segue.temporary import check_name

Inputs = Iterable[str | Path | None]


def source_files(*models: str) -> list[str]:
    """The files of the models that are classes of the user's own: ./FILE.py of ./FILE.py:CLASS."""
    return [model.rpartition(":")[0] for model in models if ":" in model]


def check_outputs(files: Mapping[str, Path | None], folder: Path | None = None, *, inputs: Inputs = ()) -> None:
    """Check that all that a command writes can be written, destroys no input, and that no output replaces another.

    Args:
        files: the file of each option; None where the option is not given.
        folder: of the result; None if there is none.
        inputs: what the command reads.

    Raises:
        ConfigError: an output lies in a saved model, log, search or comparison; or it is an input or another output.
        DataError: a file cannot be written where it is to go.
    """
    inputs = list(inputs)
    given = {option: path for option, path in files.items() if path is not None}
    for option, path in given.items():
        _check_file(option, path, inputs)
    for (one, first), (other, second) in combinations(given.items(), 2):
        if first.resolve() == second.resolve() and _is_replaced(first):
            raise ConfigError(f"{other} {second}: is also the file of {one}; give each a name of its own")
    if folder is None:
        return
    _check_folder(folder, inputs)
    for option, path in given.items():
        target, place = path.resolve(), folder.resolve()
        if target == place or target in place.parents:
            raise ConfigError(
                f"{option} {path}: {folder} is to be the folder of the result; give the file another name"
            )
        if place in target.parents:
            raise ConfigError(f"{option} {path}: lies in {folder}, the folder of the result; give a file outside of it")


def check_folder_of_files(named: str, folder: Path) -> None:
    """Check that files can be written to a folder, which may be missing.

    Args:
        named: the folder and where it was given, for the message: "--out figures", "SEGUE_CACHE: figures".
        folder: its path.

    Raises:
        ConfigError: it is or lies in a saved model, a saved log, a search or a comparison.
        DataError: it is a file, or cannot be made or written to.
    """
    _check_home(named, folder)
    target = folder.resolve()
    _check_name(named, target)
    if target.exists() and not target.is_dir():
        raise DataError(f"{named}: is a file; give the name of a folder")
    place = next(one for one in (target, *target.parents) if one.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        raise DataError(f"{named}: cannot be made: {place} is not a folder that you may write to")
    for one in (target, *target.parents):
        if kind := _kind(one):
            raise ConfigError(f"{named}: lies in the {kind} {one}; choose another folder")


def _check_home(named: str, path: Path) -> None:
    """Refuse ~ that no shell has replaced, as in quotes or in --out=~/x: it would be a folder of this name."""
    if path.parts[:1] == ("~",):
        raise DataError(f"{named}: the shell has not replaced ~ by your home folder; write $HOME or the whole path")


def _check_file(option: str, path: Path, inputs: Inputs) -> None:
    """Check the file of one option."""
    _check_home(f"{option} {path}", path)
    target = path.resolve()
    _check_name(f"{option} {path}", target)
    _check_place(option, path, target.parent)
    for parent in target.parents:
        if kind := _kind(parent):
            raise ConfigError(f"{option} {path}: lies in a {kind}; give a file outside of it")
    for one in _existing(inputs):
        if path.exists() and path.samefile(one):
            raise ConfigError(f"{option} {path}: is also what is read; give another name")


def _check_name(named: str, target: Path) -> None:
    """Check that the system takes the name."""
    try:
        check_name(target)
    except OSError as error:
        raise DataError(f"{named}: cannot be written: {reason(error)}") from error


def _check_place(option: str, path: Path, folder: Path) -> None:
    """Check that a file can be written where it is to go. A pipe or a device is written to as it is."""
    if path.is_dir():
        raise DataError(f"{option} {path}: is a folder; give the name of a file")
    if not _is_replaced(path):
        if not os.access(path, os.W_OK):
            raise DataError(f"{option} {path}: you may not write to it")
    elif not folder.is_dir():
        raise DataError(f"{option} {path}: cannot be written: there is no folder {folder}; make it first")
    elif not os.access(folder, os.W_OK):
        raise DataError(f"{option} {path}: cannot be written: {folder} is not a folder that you may write to")


def _check_folder(folder: Path, inputs: Inputs) -> None:
    """Check that the folder of the result is no input, contains none, and lies in none that would lose it."""
    _check_home(str(folder), folder)
    target = folder.resolve()
    for one in _existing(inputs):
        place = one.resolve()
        if target == place:
            raise ConfigError(f"{folder}: is also what is read, {one}; choose another folder with -o")
        if target in place.parents:
            raise ConfigError(f"{folder}: contains what is read, {one}; choose another folder with -o")
    for parent in target.parents:
        if kind := _kind(parent):
            raise ConfigError(f"{folder}: lies in the {kind} {parent}; choose another folder with -o")


def _is_replaced(path: Path) -> bool:
    """Whether a file is replaced when it is written: one that is missing or ordinary, but no pipe and no device."""
    return path.is_file() or not path.exists()


def _kind(folder: Path) -> Kind | None:
    """Which kind of saved thing a folder is; None if it is none."""
    return next((kind for kind in MARKERS if is_folder_of(kind, folder)), None)


def _existing(inputs: Inputs) -> list[Path]:
    """The files and folders that are read; for a store its files."""
    files = [store_files(str(one)) if is_store_url(one) else [Path(one)] for one in inputs if one]
    return [path for group in files for path in group if path.exists()]
