"""`ComparisonState`: what a comparison keeps in its folder besides the models.

with comparison_folder(Path("ml-100k"), identity) as state:
    ...             no other process compares in ml-100k meanwhile
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from pydantic import Field

from segue.errors import ArtefactError, ConfigError, TrainingError
from segue.io import write_json
from segue.json_files import OpenStored, read_json
from segue.temporary import delete_all_abandoned, locked_folder


class StoredState(OpenStored):
    """The content of `compare.json`: besides the seconds, what identifies the comparison."""

    spent: dict[str, Annotated[float, Field(ge=0)]]


class ComparisonState:
    """The file `compare.json`: the log, the protocol, and the seconds spent on each model.

    Args:
        folder: of the comparison; this process has locked it (`comparison_folder`).
        identity: the hash of the log and that of the protocol.

    Raises:
        ConfigError: the folder holds another comparison.
        ArtefactError: the file is damaged, or the folder holds something else.
    """

    def __init__(self, folder: Path, identity: Mapping[str, str]) -> None:
        self.folder, self.path, self.identity = folder, folder / "compare.json", dict(identity)
        self.spent: dict[str, float] = {}
        for place in (folder, *folder.glob("*.search")):  # what killed processes left
            delete_all_abandoned(place)
        if self.path.exists():
            self._read()
        elif any(folder.iterdir()):
            raise _is_no_comparison(folder)
        self._write()

    def add(self, name: str, seconds: float) -> None:
        """Add the seconds that were spent on a model."""
        self.spent[name] = self.spent.get(name, 0.0) + seconds
        self._write()

    def _read(self) -> None:
        stored = read_json(self.path, StoredState, repair=f"delete {self.folder} to start afresh")
        self.spent = dict(stored.spent)
        different = [key for key, value in self.identity.items() if (stored.model_extra or {}).get(key) != value]
        if different:
            what = " and ".join(different)
            raise ConfigError(f"{self.folder}: holds a comparison with another {what}; choose another folder with -o")

    def _write(self) -> None:
        write_json(self.path, {**self.identity, "spent": self.spent})


@contextmanager
def comparison_folder(folder: Path, identity: Mapping[str, str]) -> Iterator[ComparisonState]:
    """Keep other processes from comparing in a folder, which is made if it is missing; the state that it holds.

    Nothing in the folder is read, written or deleted before it is locked.

    Raises:
        ConfigError: the folder holds another comparison.
        ArtefactError: its state is damaged, or it holds something else.
        TrainingError: another process is comparing in it.
    """
    if folder.exists() and not folder.is_dir():
        raise _is_no_comparison(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with locked_folder(folder) as is_free:
        if not is_free:
            raise TrainingError(
                f"{folder}: another process is comparing there; wait until it ends, or choose another with -o"
            )
        yield ComparisonState(folder, identity)


def _is_no_comparison(folder: Path) -> ArtefactError:
    return ArtefactError(f"{folder}: is there and is not a comparison; choose another folder with -o")
