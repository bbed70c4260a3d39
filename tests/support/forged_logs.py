"""Forged saved logs: what is in the files is changed, and the hashes are made right again. torch is not needed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from segue.io import file_hash, json_hash

Change = Callable[[dict[str, Any]], dict[str, Any]]


def rehash_log(folder: Path, change: Change = lambda facts: facts) -> None:
    """Change what `log.json` says, and make all hashes of a saved log right again, as an attacker would."""
    path = folder / "log.json"
    rehash(path, json.loads(path.read_text()), json_hash, change)


def rehash(path: Path, facts: Any, own_hash: Callable[[Any], str], change: Change = lambda facts: facts) -> None:
    """Write the facts of an artefact to its JSON file, with right hashes of its files and of the facts themselves."""
    if isinstance(facts, dict):
        if isinstance(files := facts.get("files"), dict):
            files |= {name: file_hash(path.parent / name) for name in files if (path.parent / name).is_file()}
        facts = change(facts)
        facts.pop("hash", None)
        facts["hash"] = own_hash(facts)
    path.write_text(json.dumps(facts))
