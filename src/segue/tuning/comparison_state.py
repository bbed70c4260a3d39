"""`ComparisonState`: what a comparison keeps in its folder besides the models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field

from segue.errors import ArtefactError, ConfigError
from segue.io import write_json
from segue.json_files import Stored, read_json
from segue.temporary import delete_all_abandoned


class StoredState(Stored):
    """The content of `compare.json`: besides the seconds, what identifies the comparison."""

    model_config = ConfigDict(extra="allow")
    spent: dict[str, Annotated[float, Field(ge=0)]]


class ComparisonState:
    """The file `compare.json`: the log, the protocol, and the seconds spent on each model.

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
        elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ArtefactError(f"{folder}: is there and is not a comparison; choose another folder with -o")
        folder.mkdir(parents=True, exist_ok=True)
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
