"""The pages are in plain technical English: short sentences, and the field's words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
LONGEST_MEAN = 18.0  # words a sentence
FENCED = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
GENERATED = re.compile(r"<!-- .+? -->.*?<!-- end -->", re.DOTALL)
OLD_WORDS = [
    *("told", "tells", "asks", "lends", "lent", "heed", "yardstick", "rivals", "strangers", "nobody", "whoever"),
    *("somebody", "taught", "crew", "slopes", "recipe", "recipes", "readout", "readouts", "tap", "audience"),
    *("met", "meets", "company"),
]
# text that waits to be replaced: names of variables stand in code spans, so that none looks like it
PLACEHOLDER = re.compile(r"\b(?:LATER|TODO|TBD|FIXME|XXX+)\b|\b[A-Z][A-Z0-9]{2,}_[A-Z0-9_]{2,}|\{\{|\?\?")
RENAMED = "docs/reference/renamed.md"  # the page that lists the old names

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).with_suffix("").as_posix())


def prose(page: Path) -> str:
    """The text of a page that people wrote: no code, no generated parts, no comments."""
    text = FENCED.sub("", GENERATED.sub("", page.read_text(encoding="utf-8")))
    return re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)


def sentences(text: str) -> list[list[str]]:
    """The sentences of a text as lists of words; headings and tables do not count, an item of a list does.

    >>> sentences("# Head\\n\\nOne two. Three\\nfour five.\\n\\n* Six (e.g. `a b`).\\n\\n| a | b |")
    [['One', 'two'], ['Three', 'four', 'five'], ['Six', 'eg', 'code']]
    """
    text = re.sub(r"^(#|\|).*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", re.sub(r"`[^`]+`", "code", text))
    text = re.sub(r"\b(e\.g\.|i\.e\.|et al\.)", lambda match: match[0].replace(".", ""), text)
    parts = re.split(r"\n\s*\n|^\s*(?:[*-]|\d+\.)\s+", text, flags=re.MULTILINE)
    split = [sentence for part in parts for sentence in re.split(r"(?<=[.!?])[)*\"]*\s+(?=\S)", part.strip())]
    words = [re.findall(r"[^\W_][\w'’.,/-]*", sentence) for sentence in split]
    return [[word.rstrip(".,") for word in found] for found in words if found]


@pages
def test_sentences_are_short(page: Path) -> None:
    found = sentences(prose(page))
    mean = sum(map(len, found)) / max(1, len(found))
    longest = " ".join(max(found, key=len, default=[]))
    assert mean < LONGEST_MEAN, f"{page.name}: {mean:.1f} words a sentence; the longest: {longest}"


@pytest.mark.parametrize(
    "text", ["LATER", "| NeuMF | LATER |", "TIMESVD_TABLE", "see HIEVH_TABLE.", "TODO: figures", "{{figure}}", "is ??"]
)
def test_placeholders_are_known(text: str) -> None:
    assert PLACEHOLDER.search(text)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "benchmarks" / "README.md"], ids=lambda page: page.stem)
def test_no_page_has_a_placeholder(page: Path) -> None:
    text = re.sub(r"`[^`]*`", "", FENCED.sub("", page.read_text(encoding="utf-8")))
    found = PLACEHOLDER.findall(text)
    assert not found, f"{page.name}: {found}: write what belongs there"


@pages
def test_pages_use_the_words_of_the_field(page: Path) -> None:
    if page == ROOT / RENAMED:
        return
    text = re.sub(r"`[^`]*`", "", prose(page))
    found = [word for word in OLD_WORDS if re.search(rf"\b{word}\b", text, re.IGNORECASE)]
    assert not found, f"{page.name}: {found}"
