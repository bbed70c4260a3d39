"""The form of a table that is made on a small log, beside that of its committed result file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from segue.papers.reproduction import Reproduction

RESULTS = Path(__file__).parents[2] / "results"
OF_THE_COMMAND = {"command", "version"}  # which `segue reproduce` adds
OWN = "published"


def form_differences(made: Reproduction, name: str) -> list[str]:
    """In which the title, the published figures, the axes of pictures, the keys or the notes without figures differ.

    Rows that depend on the log may be in one of the two alone. What is made may have further keys, and the file figures
    beside those of the metric of a row. A file that grows may lack pictures of methods that it does not have yet.
    """
    content = json.loads(json.dumps(made.as_dict()))
    stored = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    published, expected = _published(content), _published(stored)
    common = sorted(published.keys() & expected.keys())
    notes = [note for note in content["notes"] if not re.search(r"\d|QUICK", note)]
    drawn = {picture["name"] for picture in stored["pictures"]}
    grows = "methods" in stored
    shown = {"pictures": [one for one in content["pictures"] if one["name"] in drawn or not grows]}
    return [
        *(f"{name} has no {key}" for key in stored.keys() - content.keys() - OF_THE_COMMAND),
        *([] if content["title"] == stored["title"] else ["title"]),
        *([] if common else ["no common row"]),
        *(f"{key}: {published[key]}, not {expected[key]}" for key in common if not published[key] <= expected[key]),
        *(
            f"{key}: nothing published"
            for key in common
            if OWN in dict(expected[key]) and OWN not in dict(published[key])
        ),
        *(f"{one}, not {other}" for one, other in zip(_axes(shown), _axes(stored), strict=True) if one != other),
        *(note for note in notes if note not in stored["notes"]),
    ]


def _published(content: dict[str, Any]) -> dict[tuple[str, str, str], set[tuple[str, float]]]:
    """The columns with published figures of each row, of its own metric and of others."""
    return {
        (row["part"], row["method"], row["metric"]): {
            *([] if row["published"] is None else [(OWN, row["published"])]),
            *row["other_logs"].items(),
        }
        for row in content["rows"]
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
