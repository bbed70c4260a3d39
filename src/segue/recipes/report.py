"""The page of results: `python -m segue.recipes.report docs/reproductions.md results` writes its figures anew.

    <!-- results/hgn-table6.json -->
    the table, its notes and its pictures, made of the file that is named
    <!-- end -->

What stands between is written by people.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segue import plots
from segue.errors import DataError
from segue.recipes.reproduction import Picture, markdown

BLOCK = re.compile(r"(<!-- (\S+\.json) -->\n).*?(<!-- end -->)", re.DOTALL)


def refresh(page: Path, results: Path) -> str:
    """The text of `page` with every block made anew from the file of `results` that it names.

    Raises:
        DataError: a file that is named is not there, or is no result.
    """
    where = Path(os.path.relpath(results.resolve(), page.resolve().parent))

    def block(found: re.Match[str]) -> str:
        return f"{found[1]}{_block(read(results / Path(found[2]).name), where)}{found[3]}"

    return BLOCK.sub(block, page.read_text(encoding="utf-8"))


def read(path: Path) -> dict[str, Any]:
    """A result file, as `segue reproduce --json` writes it."""
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: is not a result of segue reproduce --json ({error})") from error
    return facts


def draw(facts: Mapping[str, Any], folder: Path) -> list[Path]:
    """The pictures of a result file, as SVG in `folder`."""
    pictures = [Picture(**{**one, "rows": tuple(one["rows"])}) for one in facts["pictures"]]
    return [plots.write(picture.chart(), folder / f"{picture.name}.svg") for picture in pictures]


def _block(facts: Mapping[str, Any], where: Path) -> str:
    pictures = [f"![{one['encoding']['title']}]({(where / one['name']).as_posix()}.svg)" for one in facts["pictures"]]
    notes = "\n".join(f"* {note}" for note in facts["notes"])
    return "\n" + "\n\n".join([markdown(facts).rstrip(), notes, *pictures]) + "\n\n"


if __name__ == "__main__":
    page, results = map(Path, sys.argv[1:3])
    text = refresh(page, results)
    for name in re.findall(BLOCK, text):
        draw(read(results / Path(name[1]).name), results)
    page.write_text(text, encoding="utf-8")
