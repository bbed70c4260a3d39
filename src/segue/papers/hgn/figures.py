"""HGN's Figures 5 and 8 on Amazon-CDs: Recall@k and NDCG@k by method and by embedding dimension.

The paper shows Figure 8 for GoodReads-Children and Comics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from segue.papers.hgn import table3 as hgn_table3
from segue.papers.hgn.common import LOG_TITLE, PROTOCOL, TRAINING_NOTE, make_table, run_all, variant
from segue.papers.methods import MethodResult
from segue.papers.reproduction import COSTS, Picture, Reproduction, Row
from segue.papers.run_cache import RunCache

EMBEDDING_DIMS = (10, 20, 30, 40, 50, 60, 70, 80)
VARIANTS = tuple(variant(f"HGN d={dim}", {"embedding_dim": dim}) for dim in EMBEDDING_DIMS)
METHODS = (*hgn_table3.METHODS, *VARIANTS)
METRICS = tuple(f"{name}@{k}" for name in ("recall", "ndcg") for k in PROTOCOL.cut_offs)
NOTES = (
    "The first two pictures are Figure 5. Its methods are those of Table 3, averaged over seeds.",
    "The paper shows Figure 8 for GoodReads-Children and Comics; here it is Amazon-CDs.",
)
_DIMS = {method.name: dim for method, dim in zip(VARIANTS, EMBEDDING_DIMS, strict=True)}


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """The runs of Table 3, and HGN with every embedding dimension."""
    results = run_all(METHODS, runs, quick=quick)
    rows = tuple(row for result in results for row in mean_rows(result))
    title = "HGN (KDD 2019), Figures 5 and 8, Amazon-CDs"
    table = make_table(title, results, (), quick=quick, notes=(*NOTES, TRAINING_NOTE))
    details = {key: value for key, value in table.details.items() if key not in COSTS}
    return replace(table, rows=rows, pictures=pictures(rows), details=details)


def mean_rows(result: MethodResult) -> list[Row]:
    """Every metric of a method, averaged over seeds; the paper draws the figures."""
    rows = (result.row(metric) for metric in METRICS)
    return [replace(row, measured=(row.mean,), published=None) for row in rows]


def pictures(rows: Sequence[Row]) -> tuple[Picture, ...]:
    """Figure 5, of the methods in the rows, and Figure 8, of the sizes of HGN in them."""
    of_methods = [row for row in rows if row.method not in _DIMS]
    return (
        by_method("recall", "hgn-figure5-recall", of_methods, LOG_TITLE),
        by_method("ndcg", "hgn-figure5-ndcg", of_methods, LOG_TITLE),
        _by_embedding_dim([row for row in rows if row.method in _DIMS]),
    )


def by_method(metric: str, name: str, rows: Sequence[Row], log: str) -> Picture:
    """A metric of each method by its cut-off k.

    Args:
        metric: "recall" or "ndcg".
        name: of the picture's file.
        rows: of the methods, with any metrics.
        log: the title of the log.
    """
    measure, cut_offs = f"{metric}@k", {f"{metric}@{k}": k for k in PROTOCOL.cut_offs}
    points = [
        {"k": cut_offs[row.metric], measure: row.mean, "method": row.method} for row in rows if row.metric in cut_offs
    ]
    title = f"{'Recall' if metric == 'recall' else 'NDCG'}@k on {log}"
    return _picture(name, points, {"x": "k", "y": measure, "by": "method", "title": title})


def _by_embedding_dim(rows: Sequence[Row]) -> Picture:
    points = [
        {"d": _DIMS[row.method], "recall@k": row.mean, "cut-off": f"Recall@{k}"}
        for k in reversed(PROTOCOL.cut_offs)
        for row in rows
        if row.metric == f"recall@{k}"
    ]
    return _picture(
        "hgn-figure8",
        points,
        {"x": "d", "y": "recall@k", "by": "cut-off", "title": "HGN on Amazon-CDs by its embedding dimension d"},
    )


def _picture(name: str, points: list[dict[str, Any]], encoding: dict[str, str]) -> Picture:
    return Picture(name=name, kind="line", rows=tuple(points), encoding=encoding)
