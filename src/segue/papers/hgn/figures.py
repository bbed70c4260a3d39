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
from segue.papers.reproduction import COSTS, Picture, Reproduction
from segue.papers.run_cache import RunCache

EMBEDDING_DIMS = (10, 20, 30, 40, 50, 60, 70, 80)
VARIANTS = tuple(variant(f"HGN d={dim}", {"embedding_dim": dim}) for dim in EMBEDDING_DIMS)
METHODS = (*hgn_table3.METHODS, *VARIANTS)
METRICS = tuple(f"{name}@{k}" for name in ("recall", "ndcg") for k in PROTOCOL.cut_offs)


def reproduce(*, runs: RunCache, quick: bool = False) -> Reproduction:
    """The runs of Table 3, and HGN with every embedding dimension."""
    results = run_all(METHODS, runs, quick=quick)
    methods, variants = results[: len(hgn_table3.METHODS)], results[len(hgn_table3.METHODS) :]
    notes = (
        "The first two pictures are Figure 5. Its methods are those of Table 3, averaged over seeds.",
        "The paper shows Figure 8 for GoodReads-Children and Comics; here it is Amazon-CDs.",
        TRAINING_NOTE,
    )
    pictures = (
        by_method("recall", "hgn-figure5-recall", methods, LOG_TITLE),
        by_method("ndcg", "hgn-figure5-ndcg", methods, LOG_TITLE),
        _by_embedding_dim(variants),
    )
    title = "HGN (KDD 2019), Figures 5 and 8, Amazon-CDs"
    table = make_table(title, results, METRICS, quick=quick, notes=notes, pictures=pictures)
    details = {key: value for key, value in table.details.items() if key not in COSTS}
    return replace(
        table, rows=tuple(replace(row, measured=(row.mean,), published=None) for row in table.rows), details=details
    )


def by_method(metric: str, name: str, results: Sequence[MethodResult], log: str) -> Picture:
    """A metric of each method by its cut-off k.

    Args:
        metric: "recall" or "ndcg".
        name: of the picture's file.
        results: of the methods.
        log: the title of the log.
    """
    measure = f"{metric}@k"
    rows = [
        {"k": k, measure: result.row(f"{metric}@{k}").mean, "method": result.method.name}
        for result in results
        for k in PROTOCOL.cut_offs
    ]
    title = f"{'Recall' if metric == 'recall' else 'NDCG'}@k on {log}"
    return _picture(name, rows, {"x": "k", "y": measure, "by": "method", "title": title})


def _by_embedding_dim(results: Sequence[MethodResult]) -> Picture:
    rows = [
        {"d": dim, "recall@k": result.row(f"recall@{k}").mean, "cut-off": f"Recall@{k}"}
        for k in reversed(PROTOCOL.cut_offs)
        for dim, result in zip(EMBEDDING_DIMS, results, strict=True)
    ]
    return _picture(
        "hgn-figure8",
        rows,
        {"x": "d", "y": "recall@k", "by": "cut-off", "title": "HGN on Amazon-CDs by its embedding dimension d"},
    )


def _picture(name: str, rows: list[dict[str, Any]], encoding: dict[str, str]) -> Picture:
    return Picture(name=name, kind="line", rows=tuple(rows), encoding=encoding)
