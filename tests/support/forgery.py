"""Forged saved models: what is in the files is changed, and the hashes are made right again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
from safetensors.torch import load_file, save_file
from torch import Tensor

from segue.io import file_hash
from segue.serving.model_facts import PAYLOAD, facts_hash


def seal(folder: Path, facts: dict[str, Any] | None = None) -> None:
    """Make all hashes right again; `facts` take the place of what `model.json` says."""
    path = folder / "model.json"
    facts = json.loads(path.read_text()) if facts is None else facts
    if isinstance(facts, dict):
        facts.pop("hash", None)
        if isinstance(facts.get("files"), dict):
            facts["files"] |= {name: file_hash(folder / name) for name in PAYLOAD if name in facts["files"]}
        facts["hash"] = facts_hash(facts)
    path.write_text(json.dumps(facts))


def forge_facts(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Change what `model.json` says; `edit` changes its dictionary."""
    facts = json.loads((folder / "model.json").read_text())
    edit(facts)
    seal(folder, facts)


def forge_table(folder: Path, name: str, edit: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """Change one of the tables of names or of the history."""
    path = folder / f"{name}.parquet"
    edit(pl.read_parquet(path)).write_parquet(path)
    seal(folder)


def forge_weights(folder: Path, edit: Callable[[dict[str, Tensor]], object]) -> None:
    """Change the tensors; `edit` changes their dictionary."""
    path = folder / "weights.safetensors"
    weights = {key: value.clone() for key, value in load_file(path).items()}
    edit(weights)
    save_file({key: value.contiguous() for key, value in weights.items()}, path)
    seal(folder)
