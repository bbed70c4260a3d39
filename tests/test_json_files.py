"""A JSON file is a value of its schema, or one error that names the file, the key, what it must be and what to do."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from segue.errors import ArtefactError
from segue.json_files import Stored, parse_json, read_json


class Part(Stored):
    name: str
    rows: int = Field(ge=0)


class Whole(Stored):
    parts: tuple[Part, ...]
    share: float = 1.0


GOOD = '{"parts": [{"name": "a", "rows": 3}]}'


def test_a_file_that_fits_its_schema(tmp_path):
    (tmp_path / "x.json").write_text(GOOD)
    assert read_json(tmp_path / "x.json", Whole, repair="mend it") == Whole(parts=(Part(name="a", rows=3),))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"x\.json: damaged, not JSON \(Expecting value.*\); mend it"),
        ("[" * 100_000, r"x\.json: damaged \(lists in lists, too deep to read\); mend it"),
        ("[" * 500 + "]" * 500, r"x\.json: .*; mend it"),
        ('{"parts": [], "share": NaN}', r"x\.json: damaged, not JSON \(NaN is not a number of JSON\)"),
        ('{"parts": [], "parts": []}', r"x\.json: damaged, not JSON \(the key 'parts' is there twice\)"),
        ("9" * 5000, r"x\.json: damaged, not JSON \(Exceeds the limit"),
        ("[]", r"x\.json: must be an object; mend it"),
        ("{}", r"x\.json: parts is missing; mend it"),
        (GOOD.replace("3", '"3"'), r"x\.json: parts\.0\.rows: must be a valid integer, not '3'; mend it"),
        (GOOD.replace("3", "3.0"), r"parts\.0\.rows: must be a valid integer, not 3\.0"),
        (GOOD.replace("3", "true"), r"parts\.0\.rows: must be a valid integer, not True"),
        (GOOD.replace("3", "-1"), r"parts\.0\.rows: must be greater than or equal to 0, not -1"),
        (GOOD.replace("3", "1e999"), r"x\.json: damaged, not JSON \(the number 1e999 is too large\)"),
        (GOOD.replace("rows", "row s"), r"x\.json: parts\.0\.rows is missing"),
        (
            GOOD.replace("rows", "a\\nb").replace('"a\\nb": 3', '"rows": 3, "a\\nb": 3'),
            r"parts\.0\.'a\\nb' is not a known",
        ),
        ('{"parts": [], "share": 1e999}', r"x\.json: damaged, not JSON \(the number 1e999"),
        (GOOD.replace('"a"', '"\\ud800"'), r"x\.json: .*; mend it"),
    ],
)
def test_a_file_that_does_not_fit(tmp_path, text, message):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ArtefactError, match=message) as error:
        read_json(tmp_path / "x.json", Whole, repair="mend it")
    assert len(str(error.value).splitlines()) == 1


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(ArtefactError, match=r"x\.json: missing; mend it"):
        read_json(tmp_path / "x.json", Whole, repair="mend it")
    with pytest.raises(ArtefactError, match=r"cannot be read \(Is a directory\); mend it"):
        read_json(tmp_path, Whole, repair="mend it")
    (tmp_path / "x.json").write_bytes(b"\xff")
    with pytest.raises(ArtefactError, match=r"x.json: cannot be read \('utf-8' codec.*\); mend it"):
        read_json(tmp_path / "x.json", Whole, repair="mend it")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["parts", "name", "rows", "share"]) | st.text(), inner)
    ),
)


@given(VALUES | st.text())
def test_whatever_is_in_the_file(value):
    text = value if isinstance(value, str) else json.dumps(value)
    result = value_or_message(text)
    assert isinstance(result, Whole) or (result.startswith("x.json: ") and result.endswith("; mend it"))


def value_or_message(text: str) -> Whole | str:
    try:
        return parse_json(text, Whole, where="x.json", repair="mend it")
    except ArtefactError as error:
        return str(error)
