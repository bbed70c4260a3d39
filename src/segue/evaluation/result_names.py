"""Names that tell results of the same model in one table apart: by the settings that differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segue.evaluation.result import Result

MAX_SETTINGS = 3  # in a name


def distinct_names(results: Sequence[Result]) -> list[Result]:
    """The results, with the settings that differ added to the names of those that have the same name."""
    names = [r.model for r in results]
    added = distinct_settings([(r.model, r.settings or {}) for r in results])
    return [
        replace(r, model=f"{r.model} ({text})") if text and names.count(r.model) > 1 else r
        for r, text in zip(results, added, strict=True)
    ]


def distinct_settings(named: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """For each (name, settings), those of its settings that differ between entries of the same name, as text.

    >>> distinct_settings([("hgn", {"lr": 0.1, "l2": 0}), ("pop", {}), ("hgn", {"lr": 0.2, "l2": 0})])
    ['lr=0.1', '', 'lr=0.2']
    """
    texts = []
    for name, settings in named:
        others = [other for same, other in named if same == name]
        differing = [key for key, value in settings.items() if any(other.get(key) != value for other in others)]
        shown = [f"{key}={settings[key]}" for key in differing[:MAX_SETTINGS]]
        more = f"and {len(differing) - MAX_SETTINGS} more" if len(differing) > MAX_SETTINGS else ""
        texts.append(" ".join([*shown, more]).strip())
    return texts
