"""Collect the pages of the site in one folder: `python docs/stage.py build/docs`.

The pages link to files beside `docs/`, such as pictures in `results/` or the changelog, so that they can be read in the
repository. A site needs everything below one folder. This script copies the pages, adds those files, and rewrites the
links between them. It also writes the list of modules into the API pages:

    <!-- api: data -->          every public module of `segue.data`, for mkdocstrings
    <!-- end -->

`mkdocs.yml` reads the folder; so does zensical, which has no hooks of its own.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SOURCE = ROOT / "src" / "segue"
INCLUDED = {  # pages that stand beside docs/, and their place on the site
    "README.md": "index.md",  # a link to the README is a link to the first page
    "CHANGELOG.md": "reference/changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "results/benchmarks.md",
}
LINK = re.compile(r"(\]\()([^)\s]+)(\))")
API = re.compile(r"<!-- api: (\S+) -->\n.*?<!-- end -->", re.DOTALL)
FENCED = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)


def stage(target: Path) -> None:
    """Write all pages of the site and their pictures below `target`, which is emptied first."""
    shutil.rmtree(target, ignore_errors=True)
    for source in sorted(DOCS.rglob("*")):
        if source.is_file() and source.suffix not in (".py", ".pyc"):
            _place(source, target / source.relative_to(DOCS), target)
    for name, place in INCLUDED.items():
        if not (target / place).exists():
            _place(ROOT / name, target / place, target)


def _place(source: Path, destination: Path, target: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix != ".md":
        shutil.copy(source, destination)
        return
    text = API.sub(lambda match: api_block(match[1]), source.read_text(encoding="utf-8"))
    parts = FENCED.split(text)
    parts[::2] = [LINK.sub(lambda match: _rewritten(match, source, destination, target), part) for part in parts[::2]]
    destination.write_text("".join(parts), encoding="utf-8")


def _rewritten(match: re.Match[str], source: Path, destination: Path, target: Path) -> str:
    """A link of `source` as it must be on the site; a picture that it shows is copied."""
    path, mark, anchor = match[2].partition("#")
    if not path or re.match(r"https?:|mailto:", match[2]):
        return match[0]
    linked = (source.parent / path).resolve()
    name = linked.relative_to(ROOT).as_posix()
    if linked.is_relative_to(DOCS):
        place = linked.relative_to(DOCS).as_posix()
    elif name in INCLUDED:
        place = INCLUDED[name]
    else:
        place = f"files/{name}"
        (target / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(linked, target / place)
    relative = Path(os.path.relpath(target / place, destination.parent)).as_posix()
    return f"{match[1]}{relative}{mark}{anchor}{match[3]}"


def api_block(package: str) -> str:
    """A mkdocstrings directive for each public module of a package with documented public names."""
    return "\n\n".join(f"::: {module}\n    options:\n      heading_level: 2" for module in modules(package))


def modules(package: str) -> Iterator[str]:
    """The public modules of a package of segue, or the module itself, in the order of their names."""
    place = SOURCE / package
    paths = sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    for path in paths:
        if not path.stem.startswith("_"):
            yield ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)


if __name__ == "__main__":
    stage(Path(sys.argv[1]))
