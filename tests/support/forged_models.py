"""Forged saved models: what is in the files is changed, and the hashes are made right again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
from forged_logs import rehash
from safetensors.torch import load_file, save_file
from torch import Tensor

from segue.serving.model_facts import facts_hash


def rehash_model(folder: Path, facts: dict[str, Any] | None = None) -> None:
    """Make all hashes of a saved model right again; `facts` take the place of what `model.json` says."""
    path = folder / "model.json"
    rehash(path, json.loads(path.read_text()) if facts is None else facts, facts_hash)


def forge_facts(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Change what `model.json` says; `edit` changes its dictionary."""
    facts = json.loads((folder / "model.json").read_text())
    edit(facts)
    rehash_model(folder, facts)


def forge_table(folder: Path, name: str, edit: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """Change one of the tables of names or of the history."""
    path = folder / f"{name}.parquet"
    edit(pl.read_parquet(path)).write_parquet(path)
    rehash_model(folder)


def forge_weights(folder: Path, edit: Callable[[dict[str, Tensor]], object]) -> None:
    """Change the tensors; `edit` changes their dictionary."""
    path = folder / "weights.safetensors"
    weights = {key: value.clone() for key, value in load_file(path).items()}
    edit(weights)
    save_file({key: value.contiguous() for key, value in weights.items()}, path)
    rehash_model(folder)
