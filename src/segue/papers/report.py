"""A page of results: `python -m segue.papers.report docs/reproductions.md results` writes its figures anew.

    <!-- results/hgn-table6.json -->
    the table, its notes and its pictures, made of the file that is named: by `segue reproduce` or `segue compare`
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

from segue.errors import DataError
from segue.papers.reproduction import Picture, markdown, piped
from segue.reporting import charts as plots

RANKED = ("recall@10", "ndcg@10")
TAKEN = ("epochs", "trials", "train CPU s", "peak MB")
BLOCK = re.compile(r"(<!-- (\S+\.json) -->\n).*?(<!-- end -->)", re.DOTALL)


def refresh(page: Path, results: Path) -> str:
    """The text of `page` with every block made anew from the file of `results` that it names.

    Raises:
        DataError: a file that is named is not there, or is no result.
    """
    where = Path(os.path.relpath(results.resolve(), page.resolve().parent))

    def block(found: re.Match[str]) -> str:
        facts = read(results / Path(found[2]).name)
        return f"{found[1]}{_ranking(facts) if 'comparison' in facts else _block(facts, where)}{found[3]}"

    return BLOCK.sub(block, page.read_text(encoding="utf-8"))


def read(path: Path) -> dict[str, Any]:
    """A result file, as `segue reproduce --json` and `segue compare --json` write it."""
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: is not a result of segue reproduce --json ({error})") from error
    return facts


def draw(facts: Mapping[str, Any], folder: Path) -> list[Path]:
    """The pictures of a result file, as SVG in `folder`; a comparison has none."""
    pictures = [Picture(**{**one, "rows": tuple(one["rows"])}) for one in facts.get("pictures", [])]
    return [plots.write(picture.chart(), folder / f"{picture.name}.svg") for picture in pictures]


def _block(facts: Mapping[str, Any], where: Path) -> str:
    pictures = [f"![{one['encoding']['title']}]({(where / one['name']).as_posix()}.svg)" for one in facts["pictures"]]
    notes = "\n".join(f"* {note}" for note in facts["notes"])
    return "\n" + "\n\n".join([markdown(facts).rstrip(), notes, *pictures]) + "\n\n"


def _ranking(facts: Mapping[str, Any]) -> str:
    """A comparison: what was measured, and a row a model."""
    protocol = facts["protocol"]
    head = ["model", *(name for metric in RANKED for name in (metric, "95% interval")), *TAKEN]
    table = piped([head, *(_placed(model, facts["winners"][model["model"]]) for model in facts["models"])]).rstrip()
    asked = f"{facts['questions']:,} questions, protocol {protocol['name']} ({protocol['fingerprint']})"
    left_out = [f"{name} is left out: {reason}" for name, reason in facts["left_out_models"].items()]
    return "\n" + "\n\n".join([f"{asked}. To be served, by validation: {facts['serve']}.", table, *left_out]) + "\n\n"


def _placed(model: Mapping[str, Any], winner: Mapping[str, Any]) -> list[str]:
    """The cells of a model."""
    cells = [model["model"]]
    for metric in RANKED:
        value = model["metrics"][metric]
        marks = value.get("against", {"stars": ""})["stars"].replace("*", "▾")
        mean, low, high = (f"{value[name]:.4f}".removeprefix("0") for name in ("mean", "low", "high"))
        cells += [mean, f"{low}–{high} {marks}".rstrip()]
    search, seconds = winner["search"], winner["training"]["cpu_seconds"]
    epochs = str(search["trial"]["best"] or "")
    return [*cells, epochs, str(search["trials"]), f"{seconds:.1f}", f"{winner['cost']['peak_mb']:.0f}"]


if __name__ == "__main__":
    page, results = map(Path, sys.argv[1:3])
    text = refresh(page, results)
    for name in re.findall(BLOCK, text):
        draw(read(results / Path(name[1]).name), results)
    page.write_text(text, encoding="utf-8")
