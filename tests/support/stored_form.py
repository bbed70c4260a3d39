"""The form of a table that is made on a small log, beside that of its committed result file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from segue.papers.reproduction import Reproduction

RESULTS = Path(__file__).parents[2] / "results"


def form_differences(made: Reproduction, name: str) -> list[str]:
    """In which the title, the published figures, the axes of pictures, the keys or the notes without figures differ.

    Rows that depend on the log may be in one of the two alone, and further keys in what is made.
    """
    content = json.loads(json.dumps(made.as_dict()))
    stored = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    published, expected = _published(content), _published(stored)
    common = sorted(published.keys() & expected.keys())
    notes = [note for note in content["notes"] if not re.search(r"\d|QUICK", note)]
    return [
        *(f"{name} has no {key}" for key in stored.keys() - content.keys()),
        *([] if content["title"] == stored["title"] else ["title"]),
        *([] if common else ["no common row"]),
        *(f"{key}: {published[key]}, not {expected[key]}" for key in common if published[key] != expected[key]),
        *(f"{one}, not {other}" for one, other in zip(_axes(content), _axes(stored), strict=True) if one != other),
        *(note for note in notes if note not in stored["notes"]),
    ]


def _published(content: dict[str, Any]) -> dict[tuple[str, str, str], Any]:
    return {
        (row["part"], row["method"], row["metric"]): (row["published"], row["other_logs"]) for row in content["rows"]
    }


def _axes(content: dict[str, Any]) -> list[Any]:
    """The name, the kind, the encoding and the columns of each picture; titles without the method that was best."""
    return [
        (
            picture["name"],
            picture["kind"],
            {**picture["encoding"], "title": re.sub("^Uplift over .*", "", picture["encoding"]["title"])},
            sorted(picture["rows"][0]),
        )
        for picture in content["pictures"]
    ]
