"""The public names: they exist, have types and docstrings, and are imported only at their first use."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import segue


def test_every_public_name_exists_and_is_documented() -> None:
    assert segue.__all__ == sorted(segue.__all__, key=lambda name: (not name.isupper(), name))
    for name in segue.__all__:
        value = getattr(segue, name)
        assert value.__doc__, f"segue.{name} has no docstring"


def test_type_checkers_and_the_interpreter_find_the_same_objects() -> None:
    source = Path(segue.__file__).read_text()
    typed: dict[str, str] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("segue"):
            typed |= {alias.asname or alias.name: f"{node.module}:{alias.name}" for alias in node.names}
    assert typed == segue._LOCATIONS
    assert set(typed) == set(segue.__all__) <= set(dir(segue))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'segue' has no attribute 'nothing'"):
        _ = segue.nothing
    with pytest.raises(ImportError, match="nothing"):
        from segue import nothing  # noqa: F401


@pytest.mark.parametrize("names", ["", "Log, load_log, read_log, EvalInstances, SegueError"])
def test_reading_a_log_needs_no_torch(names: str) -> None:
    line = f"import sys, segue; from segue import {names}" if names else "import sys, segue"
    done = subprocess.run(
        [sys.executable, "-c", f"{line}; print('torch' in sys.modules)"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
