"""Each promise of the page on robustness names a test that exists, and says where and when it is run."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/concepts/robustness.md"
ROW = re.compile(r"^\| (?P<promise>[A-Z].+\.) \| (?P<tests>.+) \|$", re.MULTILINE)
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`(?: \(([\w, ]+)\))?")
MARKS = {"slow": "mark.slow", "Linux": "skipif(not POSSIBLE", "pipes": "mkfifo"}  # on the page -> in the file


def marks(path: Path) -> dict[str, list[str]]:
    """The marks of every test in a file, with those of the whole file, as the page words them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    whole = [ast.unparse(one) for one in tree.body if isinstance(one, ast.Assign) and "pytestmark" in ast.unparse(one)]
    found = {}
    for one in tree.body:
        if isinstance(one, ast.FunctionDef):
            decorators = [ast.unparse(decorator) for decorator in one.decorator_list]
            cases = [text for text in decorators if "parametrize" in text]
            text = " ".join([*whole, *(text for text in decorators if text not in cases)])
            found[one.name] = [word for word, mark in MARKS.items() if mark in text]
            found[one.name] += [
                f"{word} in part" for word, mark in MARKS.items() if any(mark in case for case in cases)
            ]
            assert ("skip" in text) <= bool({"Linux", "pipes"} & {*found[one.name]}), f"{one.name}: no word for a skip"
    return found


def test_every_promise_has_a_test() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = list(ROW.finditer(text))
    assert len(rows) == sum(line.startswith("| ") for line in text.splitlines()) - text.count("| promise | test |")
    for row in rows:
        named = TEST.findall(row["tests"])
        assert named, row["promise"]
        for path, test, said in named:
            assert (ROOT / path).is_file(), path
            known = marks(ROOT / path)
            assert test in known, f"{path} has no {test}"
            assert said == ", ".join(known[test]), (
                f"{test}: the page says ({said}), the test ({', '.join(known[test])})"
            )
