"""HGN's Figures 5 and 8, on CDs: Recall@k and NDCG@k by method, and what the size of the embeddings does.

The paper draws Figure 8 for GoodReads-Children and Comics; the log here is CDs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from segue.papers.hgn import table3 as hgn_table3
from segue.papers.hgn.common import ALIKE, PROTOCOL, run, table, variant
from segue.papers.methods import Line
from segue.papers.reproduction import Picture, Reproduction
from segue.papers.run_cache import RunCache

DIMS = (10, 20, 30, 40, 50, 60, 70, 80)
SIZES = tuple(variant(f"HGN d={dim}", {"embedding_dim": dim}) for dim in DIMS)
METHODS = (*hgn_table3.METHODS, *SIZES)
METRICS = tuple(f"{name}@{k}" for name in ("recall", "ndcg") for k in PROTOCOL.ks)


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """The runs of Table 3, and HGN once more with every size."""
    lines = run(METHODS, runs, quick=quick)
    methods, sizes = lines[: len(hgn_table3.METHODS)], lines[len(hgn_table3.METHODS) :]
    notes = (
        "Figure 5 is the first two pictures; its methods are those of Table 3, means over their seeds.",
        "The paper draws Figure 8 for GoodReads-Children and Comics; here it is Amazon-CDs.",
        ALIKE,
    )
    pictures = (
        _by_method("recall", "hgn-figure5-recall", methods),
        _by_method("ndcg", "hgn-figure5-ndcg", methods),
        _by_size(sizes),
    )
    title = "HGN (KDD 2019), Figures 5 and 8, Amazon-CDs"
    made = table(title, lines, METRICS, quick=quick, notes=notes, pictures=pictures)
    narrow = {key: value for key, value in made.details.items() if key != "cpu_seconds"}
    return replace(made, rows=tuple(replace(row, ours=(row.mean,), paper=None) for row in made.rows), details=narrow)


def _by_method(metric: str, name: str, lines: Sequence[Line]) -> Picture:
    measure = f"{metric}@k"
    rows = [
        {"k": k, measure: line.row(f"{metric}@{k}").mean, "method": line.method.name}
        for line in lines
        for k in PROTOCOL.ks
    ]
    title = f"{'Recall' if metric == 'recall' else 'NDCG'}@k on Amazon-CDs"
    return _picture(name, rows, {"x": "k", "y": measure, "by": "method", "title": title})


def _by_size(lines: Sequence[Line]) -> Picture:
    rows = [
        {"d": dim, "recall@k": line.row(f"recall@{k}").mean, "cut-off": f"Recall@{k}"}
        for k in reversed(PROTOCOL.ks)
        for dim, line in zip(DIMS, lines, strict=True)
    ]
    return _picture(
        "hgn-figure8",
        rows,
        {"x": "d", "y": "recall@k", "by": "cut-off", "title": "HGN on Amazon-CDs by the size d of its embeddings"},
    )


def _picture(name: str, rows: list[dict[str, Any]], encoding: dict[str, str]) -> Picture:
    return Picture(name=name, kind="line", rows=tuple(rows), encoding=encoding)
