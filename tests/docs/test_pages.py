"""What the documents say is tried out: examples run, commands parse, links lead somewhere, tables are the code's."""

from __future__ import annotations

import doctest
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any
from unittest.mock import patch

import pytest
from docs.generate import refresh

import segue
from segue.cli import app
from segue.cli.options.protocol import ProtocolOptions
from segue.cli.options.training import ModelOptions, TrainingOptions, make_experiment
from segue.data.datasets.catalog import DATASETS
from segue.data.readers.roles import COLUMN_NAMES
from segue.evaluation.metrics import METRICS
from segue.evaluation.protocols import PROTOCOLS
from segue.evaluation.rating_predictions import RATING_METRICS
from segue.models.base.gradient_config import GradientModelConfig
from segue.models.base.ranking import RankingConfig
from segue.models.external import is_reference
from segue.models.registry import LOCATIONS, MODELS, find
from segue.papers import find_table
from segue.papers.overview import BEST_OTHER
from segue.papers.reproduction import DEPARTURE_COLUMNS
from segue.testing import LAWS

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
MACHINE = re.compile(r"(?<![\w.])/(work|tmp|root|home|mnt|Users)\b|\b[A-Z]:\\")
ABSENT = {"utils.py"}  # a file that must not be

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).with_suffix("").as_posix())


def blocks(page: Path, language: str) -> Iterator[tuple[int, str]]:
    """(line of the page, text) of each fenced block of a language."""
    text = page.read_text(encoding="utf-8")
    for block in FENCE.finditer(text):
        if block[2] == language:
            yield text[: block.start(3)].count("\n"), dedent(block[3])


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


@pages
def test_python_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, in an empty folder, with no data sets at hand; the blocks of a page share their names."""
    monkeypatch.delenv("SEGUE_DATA", raising=False)
    monkeypatch.setenv("SEGUE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SEGUE_QUIET", "1")
    module = ModuleType(f"page_{page.stem.replace('-', '_')}")
    names = vars(module)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with chdir(tmp_path), patch.dict(LOCATIONS):
        for line, source in blocks(page, "python"):
            if source.startswith(">>>"):
                run_session(source, names, page, line)
            else:
                exec(compile("\n" * line + source, str(page), "exec"), names)


def run_session(source: str, names: dict[str, Any], page: Path, line: int) -> None:
    """Examples with their output: both are checked."""
    test = doctest.DocTestParser().get_doctest(source, names, page.stem, str(page), line)
    said: list[str] = []
    failed = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=said.append, clear_globs=False).failed
    names.update(test.globs)
    assert not failed, "".join(said)


def commands(page: Path) -> Iterator[str]:
    """Every command line of the page, in a block or between backticks."""
    for _, block in blocks(page, "sh"):
        yield from (line.strip() for line in block.replace("\\\n", " ").splitlines() if line.strip())
    yield from re.findall(r"`((?:segue|make) [^`]+)`", prose(page))


@pages
def test_commands_are_commands(page: Path) -> None:
    for line in commands(page):
        words = shlex.split(line, comments=True)
        if "segue" in words and words[0] != "useradd":  # the name of a user
            check_segue(words[words.index("segue") + 1 :], line)
        elif words[:1] == ["make"]:
            known = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
            assert set(words[1:]) <= set(known), f"{page.name}: {line}"


@pytest.mark.parametrize(
    "command",
    [
        "run",
        "search",
        "compare",
        "blend",
        "evaluate",
        "recommend",
        "explain",
        "similar",
        "fit",
        "data",
        "reproduce",
        "export",
        "monitor",
        "retrain",
    ],
)
def test_examples_of_the_help_are_commands(command: str) -> None:
    lines = re.findall(r"^  (segue .+)$", app[command].help_epilogue, re.MULTILINE)
    assert lines
    for line in lines:
        check_segue(shlex.split(line)[1:], line)


def check_segue(words: list[str], line: str) -> None:
    """The real command line accepts it, down to the names of models, settings, protocols and tables."""
    if words in (["--help"], ["--version"]) or (len(words) == 1 and words[0] in app):
        return
    command, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    given = bound.arguments
    assert command.__name__.partition("_")[0] in words[:2], line  # of a group: its second word
    if command.__name__ in ("run", "search") and not is_reference(given["model"]):
        protocol = given.get("protocol", ProtocolOptions()).without_log()
        options = given.get("settings", ModelOptions()), given.get("training", TrainingOptions())
        make_experiment(given["model"], protocol, *options)
    if command.__name__ == "reproduce":
        find_table(given["table"])


def slugs(page: Path) -> set[str]:
    """The anchors of the headings of a page, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pages
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"https?://|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link} leads nowhere"
        if anchor:
            assert anchor in slugs(target), f"{page.name}: {link}: no such heading; there are {sorted(slugs(target))}"


@pages
def test_files_that_are_named_are_there(page: Path) -> None:
    named = re.findall(r"`((?:src|tests|docs|examples)/[\w/.-]+|[\w/]+\.py)`", prose(page))
    for path in named:
        known = any((place / path).exists() for place in (ROOT, ROOT / "src/segue"))
        assert known or "NAME" in path or path in ABSENT, f"{page.name}: there is no {path}"


@pages
def test_no_path_of_one_machine(page: Path) -> None:
    found = [match[0] for match in MACHINE.finditer(page.read_text(encoding="utf-8"))]
    assert not found, f"{page.name} speaks of {found}"


@pages
def test_hgn_never_stands_without_item_knn(page: Path) -> None:
    """Item-KNN is the rival that the papers left out: a table of measures with HGN in it shows it too."""
    text = page.read_text(encoding="utf-8")
    tables = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    other = (DEPARTURE_COLUMNS["departs"], BEST_OTHER)  # no measures, or those of the best other method beside
    measures = [table for table in tables if not any(column in table for column in other)]
    for shown in [*measures, *(block for _, block in blocks(page, "text"))]:
        hgn = re.search(r"^\W*hgn\b.*\.\d\d", shown, re.MULTILINE | re.IGNORECASE)
        if hgn and re.search(r"(recall|ndcg|mrr)@", shown):
            assert re.search(r"^\W*item-knn\b", shown, re.MULTILINE | re.IGNORECASE), f"{page.name}:\n{shown}"


def rows(page: str, heading: str) -> dict[str, str]:
    """First cell -> second cell of the tables under a heading of a page; backticks and links are dropped."""
    text = (ROOT / page).read_text(encoding="utf-8")
    begin = re.search(rf"^#+ {re.escape(heading)}$", text, re.MULTILINE)
    assert begin, f"{page} has no heading {heading!r}"
    return cells(re.split(r"^## ", text[begin.end() :], maxsplit=1, flags=re.MULTILINE)[0])


def cells(text: str) -> dict[str, str]:
    """First cell -> second cell of the rows of tables whose first cell is code, with or without a link."""
    pairs = re.findall(r"^\| \[?`([^`]+)`(?:\]\([^)]+\))? \| ([^|]*) \|", text, re.MULTILINE)
    return {name: value.strip().strip("`") for name, value in pairs}


def generated_settings() -> dict[str, dict[str, str]]:
    """The settings tables of all pages: name of the block -> setting or preset -> default."""
    block = re.compile(r"<!-- settings: (\S+) -->\n(.*?)<!-- end -->", re.DOTALL)
    return {match[1]: cells(match[2]) for page in PAGES for match in block.finditer(page.read_text(encoding="utf-8"))}


@pages
def test_generated_parts_are_up_to_date(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text == refresh(text), f"{page.name} is out of date; run: python docs/generate.py"


@pytest.mark.parametrize("model", [name for name, kind in MODELS.items() if kind.Config.model_fields])
def test_settings_are_those_of_the_code(model: str) -> None:
    documented = generated_settings()
    config, presets = find(model).Config, set(find(model).presets)
    shared = documented["trained"] if issubclass(config, GradientModelConfig) else {}
    if issubclass(config, RankingConfig):
        shared = shared | documented["ranking"]
    assert model in documented, f"no page has a block <!-- settings: {model} -->"
    for setting in config.settings():
        assert {**shared, **documented[model]}.get(setting.name) == setting.default, setting.name
        assert setting.description, f"{model}: {setting.name} has no description"
    assert set(documented[model]) <= set(config.model_fields) | presets
    assert presets <= set(documented[model])


def test_every_model_has_a_page() -> None:
    text = (ROOT / "docs/models/index.md").read_text(encoding="utf-8")
    linked = dict(re.findall(r"^\| \[`([^`]+)`\]\(([^)#]+)", text, re.MULTILINE))
    assert set(linked) == set(MODELS)
    for name, page in linked.items():
        assert (ROOT / "docs/models" / page).is_file(), name


def test_protocols_are_those_of_the_code() -> None:
    documented = rows("docs/concepts/protocols.md", "The named protocols")
    assert documented == {name: protocol.fingerprint for name, protocol in PROTOCOLS.items()}


GUESSED = {role: names.replace(" ", ", ") for role, names in COLUMN_NAMES.items()}


@pytest.mark.parametrize(
    ("page", "heading", "names"),
    [
        ("docs/reference/input-formats.md", "Guessed columns", GUESSED),
        ("docs/reference/data-sets.md", "Named data sets", {name: d.title for name, d in DATASETS.items()}),
        ("docs/models/index.md", "The models", {name: kind.__name__ for name, kind in MODELS.items()}),
        ("docs/concepts/laws.md", "The laws", {name: str(n) for n, name in enumerate(LAWS, 1)}),
    ],
    ids=lambda v: v if isinstance(v, str) and not v.endswith(".md") else "",
)
def test_lists_are_those_of_the_code(page: str, heading: str, names: dict[str, str]) -> None:
    assert rows(page, heading) == names


def test_public_names_are_those_of_the_package() -> None:
    text = (ROOT / "docs/reference/api/index.md").read_text(encoding="utf-8")
    part = text[: text.index("## Packages")]
    first = re.findall(r"^\| ([^|]+) \|", part, re.MULTILINE)
    assert {name for cell in first for name in re.findall(r"`(\w+)`", cell)} == set(segue.__all__)


def test_every_command_is_in_the_reference() -> None:
    text = (ROOT / "docs/reference/commands.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^## segue (\w+)$", text, re.MULTILINE)) == {name for name in app if name[0] != "-"}


def test_every_metric_is_defined() -> None:
    assert set(rows("docs/concepts/metrics-and-tests.md", "Metrics")) >= {*METRICS, *RATING_METRICS}


@pytest.mark.parametrize(("name", "container"), [("architecture", "segue"), ("service", "segue.service")])
def test_layers_are_those_of_the_contract(name: str, container: str) -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next("\n".join(one["layers"]) for one in contracts if one.get("containers") == [container])
    page = ROOT / f"docs/concepts/{name}.md"
    drawn = ["\n".join(re.split(r" {2,}", line)[0] for line in text.splitlines()) for _, text in blocks(page, "text")]
    assert layers in drawn, f"docs/concepts/{name}.md must draw the layers of pyproject.toml:\n{layers}"


@pytest.mark.parametrize("name", ["architecture", "service"])
def test_classes_are_where_the_page_says(name: str) -> None:
    text = (ROOT / f"docs/concepts/{name}.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `(\w+)` \|.*\| `([\w/]+\.py)` \|$", text, re.MULTILINE)
    assert named
    for noun, path in named:
        code = (ROOT / "src/segue" / path).read_text(encoding="utf-8")
        assert re.search(rf"^(class|def|async def) {noun}\b", code, re.MULTILINE), f"no {noun} in {path}"


def test_work_beside_the_requests_is_that_of_the_service() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src/segue/service").rglob("*.py"))
    named = set(re.findall(r'\bPeriodic\(\s*"([^"]+)"', code))
    assert set(rows("docs/concepts/service.md", "What services share")) == named


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.parent == ROOT / "docs" / "models" and page.stem != "index"],
    ids=lambda page: page.stem,
)
def test_settings_that_pages_name_with_a_value_exist(page: Path) -> None:
    known = {name for kind in MODELS.values() for name in kind.Config.model_fields}
    spans = re.findall(r"`((?:\w+=[^\s`]+\s*)+)`", prose(page))
    named = {name for span in spans for name in re.findall(r"(\w+)=", span)}
    assert named <= known, f"{page.name}: no such setting: {named - known}"
