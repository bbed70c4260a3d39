"""Search spaces: files in RecBole's format and in TOML, and errors in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from segue.errors import ConfigError
from segue.models.base.search_space import (
    Choice,
    Domain,
    LogUniform,
    Uniform,
    domain_values,
    nearest_value,
    num_points,
    space_to_dict,
)
from segue.tuning.space_files import read_space

PAGE = """\
learning_rate choice [0.01,0.001]
embedding_size choice [64]
pooling_type choice ["average","max"]
reg_weight choice ['[0.00,0.00]','[0.001,0.00001]']
"""
HGN = ("lr", "embedding_dim", "pooling", "reg_weight", "batch_size", "window", "dropout")


def space(tmp_path: Path, text: str, name: str = "hyper.test") -> dict[str, Domain]:
    (tmp_path / name).write_text(text)
    return read_space(tmp_path / name, HGN)


def test_recboles_names_are_translated(tmp_path: Path) -> None:
    assert space(tmp_path, PAGE) == {
        "lr": Choice(0.01, 0.001),
        "embedding_dim": Choice(64),
        "pooling": Choice("gate_avg", "gate_max"),
        "reg_weight": Choice("[0.00,0.00]", "[0.001,0.00001]"),
    }


def test_values_are_translated_where_the_name_is_recboles_or_the_model_has_no_such_value(tmp_path: Path) -> None:
    assert space(tmp_path, "pooling choice ['avg', 'max', 'average', 'gate_avg']\ndropout choice ['max', 'CE']\n") == {
        "pooling": Choice("avg", "max", "gate_avg"),
        "dropout": Choice("max", "CE"),
    }


def test_ranges_are_read_as_hyperopt_reads_them(tmp_path: Path) -> None:
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
    assert set(read_space(tmp_path / "x", ["k", "num_neighbours", "embedding_dim"])) == {"k", "embedding_dim"}
    assert set(read_space(tmp_path / "x", ["num_neighbours", "hidden_dim", "embedding_dim"])) == {
        "num_neighbours",
        "hidden_dim",
    }


def test_toml(tmp_path: Path) -> None:
    text = """
        lr = { loguniform = [1e-4, 1e-2] }
        embedding_dim = [32, 64]
        dropout = { uniform = [0.0, 0.5, 0.1] }
        embedding = 7
        pooling_type = { choice = ["average"] }
        reg_weight = [[0.0, 0.0], [0.001, 0.00001]]
    """
    assert space(tmp_path, text, "space.toml") == {
        "lr": LogUniform(1e-4, 1e-2),
        "embedding_dim": Choice(32, 64),
        "dropout": Uniform(0.0, 0.5, 0.1),
        "embedding": Choice(7),
        "pooling": Choice("gate_avg"),
        "reg_weight": Choice((0.0, 0.0), (0.001, 0.00001)),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"hyper\.test: contains no setting; a line has a name, a kind and values"),
        ("lr choice", r"hyper\.test, line 1: 'lr choice' is not a setting with values"),
        ("# x\nlr choice [0.1", r"hyper\.test, line 2: cannot read the values '\[0\.1'"),
        ("lr choice __import__('os')", r"line 1: cannot read the values"),
        ("lr chioce [0.1]", r"line 1: unknown kind 'chioce'; known: choice, uniform, loguniform, quniform"),
        ("lr choice 0.1", r"line 1: choice needs several values, not 0\.1 alone"),
        ("lr choice []", r"line 1: choice: needs at least one value"),
        ("lr choice [{1: 2}]", r"line 1: \{1: 2\} cannot be a setting"),
        ("lr uniform 0.1", r"line 1: uniform needs several values"),
        ("lr uniform [1]", r"line 1: \(1,\) is not a range; give its two ends"),
        ("lr uniform 'a','b'", r"line 1: uniform needs numbers"),
        ("lr uniform 2,1", r"line 1: uniform: low=2 must be below high=1"),
        ("lr loguniform 1,9999", r"line 1: exp of \(1, 9999\) is not a number; give natural logarithms"),
        ("lr quniform 1,9,0", r"line 1: quniform: step=0 must be above 0"),
        ("lr choice [1]\nlearning_rate choice [2]", r"line 2: lr is there twice"),
    ],
)
def test_errors_name_the_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        space(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr = [", r"space\.toml: not TOML"),
        ("lr = { uniform = [0.0, 1.0], choice = [1] }", r"space\.toml, lr: needs one kind of values"),
        ("lr = { loguniform = [0.0, 1.0] }", r"space\.toml, lr: loguniform: low=0\.0 must be above 0"),
        ("lr = { quniform = [0, 1, 1] }", r"unknown kind 'quniform'; known: choice, loguniform, uniform"),
    ],
)
def test_errors_in_toml_name_the_setting(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        space(tmp_path, text, "space.toml")


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nosuch: cannot be read as a search space: No such file"):
        read_space(tmp_path / "nosuch", HGN)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_space(tmp_path / "bytes", HGN)


@pytest.mark.parametrize(
    ("domain", "values"),
    [
        (Choice(1, "a"), (1, "a")),
        (Uniform(1, 4), range(1, 5)),
        (Uniform(1, 6, 2), range(1, 6, 2)),
        (Uniform(0.0, 0.3, 0.1), (0.0, 0.1, 0.2, 0.3)),
        (LogUniform(2, 4), range(2, 5)),
        (Uniform(0.0, 1.0), None),
        (LogUniform(0.1, 1.0), None),
    ],
)
def test_the_values_of_a_domain(domain: Domain, values: Sequence[object] | None) -> None:
    assert domain_values(domain) == values
    for value in values or ():
        assert nearest_value(domain, value) == value
    assert nearest_value(domain, "b") is None


def test_number_of_points_and_plain_values() -> None:
    both = {"embedding_dim": Choice(8, (1.0, 2.0)), "n": Uniform(1, 5, 2)}
    assert num_points(both) == 6
    assert num_points({}) == 1
    assert num_points({**both, "lr": LogUniform(0.1, 1.0)}) is None
    assert space_to_dict(both) == {"embedding_dim": [8, [1.0, 2.0]], "n": {"uniform": [1, 5, 2]}}


def test_the_nearest_value() -> None:
    assert nearest_value(LogUniform(0.1, 1.0), 0.5) == 0.5
    assert nearest_value(Uniform(0.1, 1.0), 3) == 1.0
    assert nearest_value(Choice(32, 64, None), 50) == 64
    assert nearest_value(Choice("a", True), 1.5) is None
    assert nearest_value(Uniform(2, 8, 3), 6) == 5
