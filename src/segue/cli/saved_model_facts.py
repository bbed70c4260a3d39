"""`segue models FOLDER`: what a saved model says about itself: settings, log, training, and measured figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segue.cli.output import grid, show, write_json_output


def show_saved_model(folder: Path, json: Path | None) -> None:
    """Show what `model.json` says; with `json`, all of it is written to that file.

    Raises:
        ArtefactError: the folder is no saved model, or is damaged.
    """
    from segue.serving.saved_model import read_facts

    facts = read_facts(folder)
    rows = [{"fact": name, "value": value} for name, value in saved_model_facts(facts).items() if value]
    show(grid(rows, f"Saved model {folder}"))
    write_json_output(json, facts)


def saved_model_facts(facts: Mapping[str, Any]) -> dict[str, str]:
    """What `model.json` says, as a text for each heading; empty where it says nothing."""
    from segue.experiments.saved_models import measured_figures

    described, training = facts.get("experiment", {}), facts.get("training", {})
    log, protocol = facts["log"], described.get("protocol", {})
    is_final = facts.get("trained_on") != facts.get("tested_model_trained_on")
    return {
        "model": model_text(facts),
        "settings": " ".join(f"{name}={value}" for name, value in facts["config"].items()),
        "log": f"{log['name']} ({log['fingerprint']})",
        "trained on": extent_text(facts, "trained_on"),
        "epochs": str(training.get("best") or ""),
        "seed": str(training.get("seed", "")),
        "protocol": f"{protocol['name']} ({protocol['fingerprint']})" if protocol else "",
        "measured": measured_figures(facts) or "never",
        "measured model": extent_text(facts, "tested_model_trained_on") if is_final and "results" in facts else "",
        "versions": ", ".join(f"{name} {version}" for name, version in facts["versions"].items()),
    }


def model_text(facts: Mapping[str, Any]) -> str:
    """The name of a saved model; a blend and two stages name their parts.

    >>> model_text({"model": "rerank", "parts": [{"model": "seq-knn"}, {"model": "neumf"}]})
    'neumf after seq-knn'
    """
    parts = [model_text(part) for part in facts.get("parts", [])]
    if not parts:
        return str(facts["model"])
    return f"blend of {' and '.join(parts)}" if facts["model"] == "blend" else " after ".join(reversed(parts))


def extent_text(facts: Mapping[str, Any], key: str) -> str:
    """One of the two extents that a saved model records, in words; empty if it does not."""
    from segue.data.extent import Extent

    stored = facts.get(key)
    if stored is None:
        return ""
    extent = Extent(**stored)
    return f"{extent.part}: {extent.describe(facts['log'].get('events', extent.events))}"
