"""`ModelFolders`: the saved models at the path that was given to `segue serve`. No folder elsewhere is ever read.

models/hgn               loaded when the service starts
models/sasrec            likewise
models/hgn.previous      what `segue retrain` replaced: loaded on request
models/hgn.rejected      what `segue retrain` did not replace it by: likewise
"""

from __future__ import annotations

import logging
from pathlib import Path

from segue.errors import ArtefactError, ConfigError, SegueError, did_you_mean
from segue.folders import is_folder_of
from segue.service.models.loaded_model import BY_DEFAULT, LoadedModel, Loading
from segue.serving.model_facts import fingerprint_of
from segue.serving.saved_model import read_facts

logger = logging.getLogger("segue.service")

PREVIOUS, REJECTED = ".previous", ".rejected"  # ends of names of folders that `segue retrain` leaves


class ModelFolders:
    """The saved models at a path, by name.

    Attributes:
        path: folder of a saved model, or a folder of such folders.
        loading: how they are loaded.
        refused: why a model could not be loaded, by name.
    """

    def __init__(self, path: Path, loading: Loading = BY_DEFAULT) -> None:
        self.path, self.loading = path.absolute(), loading
        self.refused: dict[str, str] = {}

    def all(self) -> dict[str, Path]:
        """The folders that hold a saved model, by name. A link that leads out of the path is none of them."""
        if is_folder_of("saved model", self.path):
            return {self.path.resolve().name: self.path}
        if not self.path.is_dir():
            return {}
        root = self.path.resolve()
        found = (one for one in sorted(self.path.iterdir()) if not one.name.startswith("."))
        inside = (one for one in found if one.resolve().is_relative_to(root))
        return {one.name: one for one in inside if is_folder_of("saved model", one)}

    def folder(self, name: str) -> Path:
        """The folder of a model.

        Raises:
            ConfigError: there is none of this name at the path.
        """
        folders = self.all()
        if name not in folders:
            known = ", ".join(folders) or "none"
            raise ConfigError(
                f"no saved model {name!r} where the models of this service are{did_you_mean(name, folders)}; there "
                f"are: {known}"
            )
        return folders[name]

    def fingerprint(self, name: str) -> str:
        """The fingerprint of the model that is in a folder now; see `LoadedModel.fingerprint`.

        Raises:
            ArtefactError: the folder is damaged.
            ConfigError: there is no such folder.
        """
        return fingerprint_of(read_facts(self.folder(name)))

    def load(self, name: str) -> LoadedModel:
        """Verify and load the model that is in a folder now.

        Raises:
            ArtefactError: the folder is damaged, or its model cannot be loaded; `refused` remembers why.
            ConfigError: there is no such folder.
        """
        folder = self.folder(name)
        try:
            loaded = LoadedModel.load(folder, self.loading, name)
        except SegueError as error:
            self.refused[name] = str(error)
            raise ArtefactError(str(error)) from error
        self.refused.pop(name, None)
        if loaded.index is not None:
            logger.info("%s: %s", name, loaded.index.sentence())
        return loaded

    def load_all(self) -> dict[str, LoadedModel]:
        """All models, except those that `segue retrain` put aside; `refused` says why some are missing.

        Raises:
            ArtefactError: none can be loaded.
        """
        folders = self.all()
        if not folders:
            raise ArtefactError(f"{self.path}: no saved model; `segue run MODEL DATA -o {self.path}` makes one")
        names = [name for name in folders if not name.endswith((PREVIOUS, REJECTED))] or list(folders)
        models = {}
        for name in names:
            try:
                models[name] = self.load(name)
            except ArtefactError:
                continue
        if not models:
            raise ArtefactError("; ".join(self.refused.values()))
        return models
