"""No name and no figure is ever cut, whatever the width; numbers have the digits of their meaning."""

from __future__ import annotations

import io
import re
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from segue.reporting import numbers
from segue.reporting.numbers import cell_text, number_text, percent_text, seconds_text, setting_text
from segue.reporting.tables import Column, FittedTable

WIDTHS = (60, 80, 120)

letters = st.characters(codec="utf-8", categories=("L", "N", "P", "S"))
wide = st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5)
names = st.text(letters | wide | st.just(" "), min_size=1, max_size=40).map(
    lambda text: " ".join(unicodedata.normalize("NFC", text).split()) or "x"
)


def printed(table: FittedTable, width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(table)
    return out.getvalue()


@settings(max_examples=40, deadline=None)
@given(
    models=st.lists(names, min_size=1, max_size=4, unique=True),
    cut_offs=st.lists(st.sampled_from([1, 5, 10, 20, 50, 100]), min_size=1, max_size=4, unique=True),
    seed=st.integers(0, 9999),
)
@example(models=["a model with a long name, item-knn", "b"], cut_offs=[5, 10, 20], seed=1)
@example(models=["推" * 40, "荐 " * 15 + "x"], cut_offs=[1, 5, 10, 20], seed=1)
def test_every_name_and_figure_appears_whole_at_every_width(models: list[str], cut_offs: list[int], seed: int) -> None:
    metrics = [f"{name}@{k}" for k in cut_offs for name in ("recall", "ndcg", "mrr")]
    columns = [Column(name="model"), *(Column(name=metric, group=numbers.cut_off(metric)) for metric in metrics)]
    columns.append(Column(name="train\ns", right=True))
    figures = [
        [f".{(seed + 7919 * (row * len(metrics) + column)) % 10000:04d} ▾▾▾" for column in range(len(metrics))]
        for row in range(len(models))
    ]
    rows = [
        [model, *(f"{f}\n{f[:5]}–{f[:5]}" for f in line), "12,345"] for model, line in zip(models, figures, strict=True)
    ]
    for width in WIDTHS:
        text = printed(FittedTable(columns, rows), width)
        assert max(map(cell_len, text.splitlines())) <= width
        for model in models:
            whole = text if cell_len(model) <= width else re.sub(r"\s", "", text)
            assert (model if cell_len(model) <= width else re.sub(r"\s", "", model)) in whole
        for figure in (figure for line in figures for figure in line):
            assert figure in text
            assert f"{figure[:5]}–{figure[:5]}" in text
        for metric in metrics:
            assert metric in text
        assert text.count("12,345") == len(models)


def test_a_table_is_split_by_cut_off_then_turned() -> None:
    columns = [Column(name="model")]
    columns += [Column(name=f"{name}@{k}", group=f"@{k}") for k in (5, 10) for name in ("recall", "ndcg", "mrr")]
    rows = [["a-model", *(f".{k}{n}00 ***\n.{k}{n}00–.{k}{n}00" for k in (1, 2) for n in (1, 2, 3))]]
    heads = [line.split() for line in printed(FittedTable(columns, rows), 60).splitlines() if "model" in line]
    assert heads[0] == ["model", "recall@5", "ndcg@5", "mrr@5"]
    assert [head for head in heads if head[0] == "model"][1] == ["model", "recall@10", "ndcg@10", "mrr@10"]
    turned = printed(FittedTable(columns, rows), 20)
    assert "a-model\n  recall@5\n    .1100 ***\n    .1100–.1100\n" in turned
    assert "a-model\n  recall@5   .1100 ***  .1100–.1100\n" in printed(
        FittedTable(columns, [["a-model" * 6, *rows[0][1:]]]), 50
    )


def test_text_goes_on_between_words_only() -> None:
    columns = [Column(name="model"), Column(name="settings", wraps=True)]
    words = [f"setting_number_{number}=0.00123" for number in range(9)]
    for width in WIDTHS:
        text = printed(FittedTable(columns, [["hgn", " ".join(words)]]), width)
        assert max(map(cell_len, text.splitlines())) <= width
        assert all(word in text for word in words)


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("recall@10", 0.04584, ".0458"),
        ("validation rmse", 1.06253, "1.0625"),
        ("auc", 0.5, ".5000"),
        ("seconds", 2.11, "2.1"),
        ("train CPU s", 0.003, "<0.1"),
        ("train CPU s", 0.0, "0.0"),
        ("tuning s", 1024.4, "1,024"),
        ("importance", 0.6149, "61.5%"),
        ("instances", 100000, "100,000"),
        ("lr", 0.001234567, "0.00123"),
        ("score", 12345.678, "12,346"),
        ("score", -1.23456, "-1.23"),
        ("score", 3.2e-7, "3.2e-07"),
        ("best", None, "–"),
        ("flag", True, "True"),
    ],
)
def test_digits_follow_the_meaning(column: str, value: object, text: str) -> None:
    assert cell_text(column, value) == text


def test_numbers_alone() -> None:
    assert [seconds_text(value) for value in (None, 9.94, 9.96, 59.6)] == ["–", "9.9", "10", "60"]
    assert percent_text(0.3124) == "31.2%"
    assert number_text(float("inf")) == "inf"
    assert [setting_text(value) for value in ((0.00123456, 2), 64, True, None, 1e-05)] == [
        "0.00123,2",
        "64",
        "true",
        "none",
        "1e-05",
    ]
