"""`promote` and `reject`: where a model goes that was trained anew, and what becomes of the old one.

models/hgn                the new model, if it is no worse
models/hgn.previous       the old one then; POST /v1/models/activate {"model": "hgn.previous"} brings it back
models/hgn.rejected       the new one otherwise
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segue.data.log import Log
from segue.event_store.documents import Documents
from segue.folders import atomic_folder
from segue.models.base.model import Model
from segue.service.deployment.activation import ACTIVE
from segue.service.deployment.model_folders import PREVIOUS, REJECTED
from segue.service.models.deployments import StoredDeployment
from segue.serving.model_facts import fingerprint_of
from segue.serving.saved_model import check_target, read_facts, save
from segue.temporary import exclusive_folder


def promote(folder: Path, model: Model, log: Log, about: Mapping[str, Any], deployments: Documents) -> str:
    """Save a model in place of the one in a folder, keep that one, and tell the services of a store.

    Returns:
        Whether it answers now, in words.

    Raises:
        ArtefactError: it cannot be saved; the old one stays.
        DataError: the store cannot be written; the folder holds the new model, which can be activated.
    """
    previous = folder.with_name(folder.name + PREVIOUS)
    check_target(previous)
    with exclusive_folder(folder), atomic_folder(previous) as temporary:
        shutil.copytree(folder, temporary, dirs_exist_ok=True)
    save(model, log, folder, **about)
    name, fingerprint = folder.resolve().name, fingerprint_of(read_facts(folder))
    while True:  # until no other model is activated in between
        num_changes = deployments.num_changes()
        content = deployments.all().get(ACTIVE)
        if content is None:
            return "which answers when a service starts"
        stored = StoredDeployment.read(content)
        if name not in stored.fingerprints:
            return "which is not among those that answer now"
        new = StoredDeployment(split=stored.split, fingerprints={**stored.fingerprints, name: fingerprint})
        if deployments.put(ACTIVE, new.content(), after=num_changes):
            return "which the services of the store load now"


def reject(folder: Path, model: Model, log: Log, about: Mapping[str, Any]) -> Path:
    """Save a model next to the one that it does not replace; its folder.

    Raises:
        ArtefactError: it cannot be saved.
    """
    return save(model, log, folder.with_name(folder.name + REJECTED), **about)
