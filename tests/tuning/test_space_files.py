"""Search spaces: RecBole's lines as RecBole reads them, TOML, and what is wrong with a file."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from segue.errors import ConfigError
from segue.models.base.search_space import Choice, Domain, LogUniform, Uniform, as_dict, nearest, points, size
from segue.tuning.space_files import read

PAGE = """\
learning_rate choice [0.01,0.001]
embedding_size choice [64]
pooling_type choice ["average","max"]
reg_weight choice ['[0.00,0.00]','[0.001,0.00001]']
"""
HGN = ("lr", "dim", "pooling", "reg_weight", "batch_size", "window", "dropout")


def space(tmp_path: Path, text: str, name: str = "hyper.test") -> dict[str, Domain]:
    (tmp_path / name).write_text(text)
    return read(tmp_path / name, HGN)


def test_the_lines_of_recboles_page_are_read_in_our_words(tmp_path: Path) -> None:
    assert space(tmp_path, PAGE) == {
        "lr": Choice(0.01, 0.001),
        "dim": Choice(64),
        "pooling": Choice("avg", "max"),
        "reg_weight": Choice("[0.00,0.00]", "[0.001,0.00001]"),
    }


def test_ranges_are_those_of_hyperopt(tmp_path: Path) -> None:
    found = space(
        tmp_path, "# comment\n\nlearning_rate loguniform -8,0 # natural logs\nlr2 uniform 0, 1\nb quniform 104,297,10\n"
    )
    lr = found["lr"]
    assert isinstance(lr, LogUniform)
    assert (lr.low, lr.high) == pytest.approx((math.exp(-8), 1.0))
    assert found["lr2"] == Uniform(0, 1)
    assert found["b"] == Uniform(100, 300, 10)


def test_a_name_that_the_model_has_is_not_translated(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("k choice [5, 10]\nhidden_size choice [3]\n")
    assert set(read(tmp_path / "x", ["k", "neighbours", "dim"])) == {"k", "dim"}
    assert set(read(tmp_path / "x", ["neighbours", "hidden", "dim"])) == {"neighbours", "hidden"}


def test_toml(tmp_path: Path) -> None:
    text = """
        lr = { loguniform = [1e-4, 1e-2] }
        dim = [32, 64]
        dropout = { uniform = [0.0, 0.5, 0.1] }
        embedding = 7
        pooling_type = { choice = ["average"] }
        reg_weight = [[0.0, 0.0], [0.001, 0.00001]]
    """
    assert space(tmp_path, text, "space.toml") == {
        "lr": LogUniform(1e-4, 1e-2),
        "dim": Choice(32, 64),
        "dropout": Uniform(0.0, 0.5, 0.1),
        "embedding": Choice(7),
        "pooling": Choice("avg"),
        "reg_weight": Choice((0.0, 0.0), (0.001, 0.00001)),
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", r"hyper\.test: no setting in it; a line says name, kind and values"),
        ("lr choice", r"hyper\.test, line 1: 'lr choice' is no setting with values"),
        ("# x\nlr choice [0.1", r"hyper\.test, line 2: cannot read the values '\[0\.1'"),
        ("lr choice __import__('os')", r"line 1: cannot read the values"),
        ("lr chioce [0.1]", r"line 1: unknown kind 'chioce'; known: choice, uniform, loguniform, quniform"),
        ("lr choice 0.1", r"line 1: choice needs several values, not 0\.1 alone"),
        ("lr choice []", r"line 1: choice: needs at least one value"),
        ("lr choice [{1: 2}]", r"line 1: \{1: 2\} cannot be a setting"),
        ("lr uniform 0.1", r"line 1: uniform needs several values"),
        ("lr uniform [1]", r"line 1: \(1,\) is no range; give its two ends"),
        ("lr uniform 'a','b'", r"line 1: uniform needs numbers"),
        ("lr uniform 2,1", r"line 1: uniform: low=2 must be below high=1"),
        ("lr loguniform 1,9999", r"line 1: exp of \(1, 9999\) is no number; give natural logarithms"),
        ("lr quniform 1,9,0", r"line 1: quniform: step=0 must be above 0"),
        ("lr choice [1]\nlearning_rate choice [2]", r"line 2: lr is there twice"),
    ],
)
def test_what_is_wrong_with_a_line_is_said(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        space(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lr = [", r"space\.toml: not TOML"),
        ("lr = { uniform = [0.0, 1.0], choice = [1] }", r"space\.toml, lr: needs one kind of values"),
        ("lr = { loguniform = [0.0, 1.0] }", r"space\.toml, lr: loguniform: low=0\.0 must be above 0"),
        ("lr = { quniform = [0, 1, 1] }", r"unknown kind 'quniform'; known: choice, loguniform, uniform"),
    ],
)
def test_what_is_wrong_with_toml_is_said(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        space(tmp_path, text, "space.toml")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nosuch: cannot be read as a search space: No such file"):
        read(tmp_path / "nosuch", HGN)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read(tmp_path / "bytes", HGN)


@pytest.mark.parametrize(
    ("domain", "values"),
    [
        (Choice(1, "a"), (1, "a")),
        (Uniform(1, 4), (1, 2, 3, 4)),
        (Uniform(1, 6, 2), (1, 3, 5)),
        (Uniform(0.0, 0.3, 0.1), (0.0, 0.1, 0.2, 0.3)),
        (LogUniform(2, 4), (2, 3, 4)),
        (Uniform(0.0, 1.0), None),
        (LogUniform(0.1, 1.0), None),
    ],
)
def test_the_points_of_a_domain(domain: Domain, values: tuple[object, ...] | None) -> None:
    assert points(domain) == values
    for value in values or ():
        assert nearest(domain, value) == value
    assert nearest(domain, "b") is None


def test_size_and_plain_values() -> None:
    both = {"dim": Choice(8, (1.0, 2.0)), "n": Uniform(1, 5, 2)}
    assert size(both) == 6
    assert size({}) == 1
    assert size({**both, "lr": LogUniform(0.1, 1.0)}) is None
    assert as_dict(both) == {"dim": [8, [1.0, 2.0]], "n": {"uniform": [1, 5, 2]}}


def test_the_nearest_value_stands_in_for_a_default_outside() -> None:
    assert nearest(LogUniform(0.1, 1.0), 0.5) == 0.5
    assert nearest(Uniform(0.1, 1.0), 3) == 1.0
    assert nearest(Choice(32, 64, None), 50) == 64
    assert nearest(Choice("a", True), 1.5) is None
    assert nearest(Uniform(2, 8, 3), 6) == 5
