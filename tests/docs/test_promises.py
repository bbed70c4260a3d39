"""Each promise of the page on robustness names a test that exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/concepts/robustness.md"
ROW = re.compile(r"^\| (?P<promise>[A-Z].+\.) \| (?P<tests>.+) \|$", re.MULTILINE)
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_promise_has_a_test() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = list(ROW.finditer(text))
    assert len(rows) == sum(line.startswith("| ") for line in text.splitlines()) - text.count("| promise | test |")
    for row in rows:
        named = TEST.findall(row["tests"])
        assert named, row["promise"]
        for path, test in named:
            assert (ROOT / path).is_file(), path
            assert test in functions(ROOT / path), f"{path} has no {test}"
