"""Checks, before any work begins, that what a command writes can be written and destroys nothing that it reads.

segue blend models/hgn models/pop -o models/../models/pop      the output is an input: refused
segue evaluate models/pop --json models/pop/model.json         a file of a saved model: refused
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from segue.errors import ConfigError, DataError

ARTEFACTS = {"model.json": "saved model", "log.json": "saved log", "search.json": "search"}  # marker file -> kind

Inputs = Iterable[str | Path | None]


def check_json(path: Path | None, *inputs: str | Path | None) -> None:
    """Check that the file of --json can be written and destroys no input.

    Raises:
        ConfigError, DataError: as `check_file`.
    """
    check_file(path, "--json", inputs)


def check_file(path: Path | None, option: str, inputs: Inputs = ()) -> None:
    """Check that a file can be written, lies in no saved model or log, and is none of the inputs; None: no file.

    Raises:
        ConfigError: it lies in a saved model, a saved log or a search, or it is an input.
        DataError: it is a folder, or the folder above it is missing or not writable.
    """
    if path is None:
        return
    folder = path.absolute().parent
    if path.is_dir():
        raise DataError(f"{option} {path}: is a folder; give the name of a file")
    if not folder.is_dir():
        raise DataError(f"{option} {path}: cannot be written: there is no folder {folder}; make it first")
    if not os.access(folder, os.W_OK):
        raise DataError(f"{option} {path}: cannot be written: {folder} is not a folder that you may write to")
    if kind := _kind(path.resolve().parent):
        raise ConfigError(f"{option} {path}: lies in a {kind}; give a file outside of it")
    for one in _existing(inputs):
        if path.exists() and path.samefile(one):
            raise ConfigError(f"{option} {path}: is the data to be read; give another name")


def check_out(folder: Path, inputs: Inputs) -> None:
    """Check that the folder of the result is no input, contains none, and lies in none that would lose it.

    Raises:
        ConfigError: it is, it does, or it lies in a saved model, a saved log or a search.
    """
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


def _kind(folder: Path) -> str | None:
    """What kind of saved thing a folder is; None if it is none."""
    return next((kind for marker, kind in ARTEFACTS.items() if (folder / marker).is_file()), None)


def _existing(inputs: Inputs) -> list[Path]:
    return [Path(one) for one in inputs if one and os.path.exists(one)]
