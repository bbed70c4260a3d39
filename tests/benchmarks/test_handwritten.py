"""The benchmark of hand-written parts: it covers all of them, and both ways compute the same."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest
import torch
from benchmarks.handwritten.comparison import compare, replaced_by_plain
from benchmarks.handwritten.parts import PARTS
from benchmarks.handwritten.plain_layers import plain_cross_entropy
from benchmarks.report import handwritten_table

import segue
from segue.models.base import ranking

SOURCE = Path(segue.__file__).parent
RANDOM_OR_SLOW = ("dropout", "adam-import")


def modules_with_written_gradients() -> list[str]:
    """The modules that define a `torch.autograd.Function`."""
    modules = []
    for path in sorted(SOURCE.rglob("*.py")):
        classes = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ClassDef)]
        if any(ast.unparse(base).endswith("Function") for node in classes for base in node.bases):
            modules.append(".".join(("segue", *path.relative_to(SOURCE).with_suffix("").parts)))
    return modules


def test_every_written_gradient_has_a_benchmark() -> None:
    assert modules_with_written_gradients(), "the search finds them"
    assert set(modules_with_written_gradients()) <= {part.module for part in PARTS.values()}


@pytest.mark.parametrize("name", PARTS)
def test_the_source_of_a_part_names_its_benchmark(name: str) -> None:
    text = " ".join(Path(importlib.import_module(PARTS[name].module).__file__ or "").read_text("utf-8").split())
    assert "benchmark row `handwritten`" in text
    assert f"`{name}`" in text or ("sampled-loss" in name and "`sampled-loss-*`" in text)


@pytest.mark.parametrize("name", [name for name in PARTS if name not in RANDOM_OR_SLOW])
def test_both_ways_compute_the_same(name: str) -> None:
    torch.manual_seed(0)
    segue_way, plain_way = PARTS[name].layer()
    torch.testing.assert_close(segue_way(), plain_way(), rtol=1e-4, atol=1e-4)


def test_both_ways_are_measured_in_turns() -> None:
    calls: list[str] = []
    times = compare((lambda: calls.append("segue"), lambda: calls.append("plain")), 2)
    assert calls == ["segue", "plain"] * 3
    assert set(times) == {"segue_s", "plain_s", "ratio"}


def test_a_part_is_replaced_inside_the_block_only() -> None:
    before = ranking.all_items_cross_entropy
    with replaced_by_plain(PARTS["softmax-loss"]):
        assert ranking.all_items_cross_entropy is plain_cross_entropy
    assert ranking.all_items_cross_entropy is before


def test_the_table_has_a_line_for_each_part() -> None:
    times = {"segue_s": 0.002, "plain_s": 0.005, "ratio": 2.5}
    table = handwritten_table({"dropout": {"plain": "F.dropout", "layer": times}})
    assert table.splitlines()[-1] == "| `dropout` | F.dropout | 2.00 | 5.00 | 2.50 | – |"
