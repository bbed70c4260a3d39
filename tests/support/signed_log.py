"""Saved logs that were changed on purpose and whose hashes were made right again, as an attacker would."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from segue.io import file_hash, json_hash


def sign(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]] = lambda facts: facts) -> None:
    """Change what `log.json` says, and give it and the files of the folder the hashes that they have."""
    facts = json.loads((folder / "log.json").read_text())
    facts["files"] = {name: file_hash(folder / name) for name in facts["files"] if (folder / name).is_file()}
    facts = change(facts)
    facts.pop("hash", None)
    facts["hash"] = json_hash(facts)
    (folder / "log.json").write_text(json.dumps(facts))
