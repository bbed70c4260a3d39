"""Measures approximate search in a catalogue of a million items beside the exact one: time, recall, and time to build.

    python -m benchmarks.ann                                  1,000,000 items of 64 dimensions
    python -m benchmarks.ann --items 200000 --json ann.json

Unstructured vectors are the hardest case: independent normal numbers. Clustered ones lie around a thousand centres, as
those of trained models do. Every query leaves out the seen items of its user. A filter of one half hides items at
random. All is one thread; times are medians of CPU time, which depends little on other work on the machine.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch

from benchmarks.measurement import timed
from segue.data.log import Log
from segue.data.synthetic import from_sequences
from segue.models.base.model import Sizes
from segue.models.factorization.bprmf import BPRMF
from segue.serving.approximate_finder import ApproximateFinder
from segue.serving.query import Query
from segue.serving.score_rules import ScoreRules
from segue.serving.top_items import TopItemFinder, TopItems

USERS, DIM, K, CENTRES = 1_000, 64, 10, 1_000


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        vectors: unstructured or clustered.
        half: whether half of the items are hidden.
        exact: milliseconds of an answer that scores all items.
        indexed: milliseconds of an answer with the index.
        recall: mean share of the exact first ten that the index finds.
        index: what was measured when it was built.
    """

    vectors: str
    half: bool
    exact: float
    indexed: float
    recall: float
    index: str


def make(kind: str, num_items: int) -> tuple[BPRMF, Log]:
    """A model with such vectors of users and items, and a log in which every user has 20 items."""
    rng = np.random.default_rng(0)
    model = BPRMF(BPRMF.configure({"embedding_dim": DIM, "item_bias": False}), Sizes(USERS, num_items)).eval()
    centres = rng.standard_normal((CENTRES, DIM), dtype=np.float32)
    for table in (model.item_embedding, model.user_embedding):
        vectors = rng.standard_normal((len(table), DIM), dtype=np.float32)
        if kind == "clustered":
            vectors = centres[rng.integers(CENTRES, size=len(table))] + 0.3 * vectors
        vectors[0] = 0
        table.data = torch.from_numpy(vectors)
    histories = rng.integers(1, num_items + 1, (USERS, 20)).tolist()
    return model, from_sequences(histories, num_items=num_items)


def ask(find: Callable[[list[Query]], TopItems], queries: list[Query]) -> tuple[float, list[set[int]]]:
    """The median CPU milliseconds of an answer, and the items of each."""
    times, answers = [], []
    for query in queries:
        seconds, top = timed(partial(find, [query]))
        times.append(seconds["cpu_s"])
        answers.append(set(top.items[0].tolist()))
    return 1e3 * median(times), answers


def measure(kind: str, num_items: int, num_queries: int) -> list[Row]:
    """The rows of one kind of vectors."""
    model, log = make(kind, num_items)
    exact, indexed = TopItemFinder(model, log, k=K), ApproximateFinder(model, log, k=K)
    hidden = torch.from_numpy(np.random.default_rng(1).random(num_items + 1) < 0.5)
    rows = []
    for half in (False, True):
        rules = ScoreRules(hidden) if half else None
        users = np.random.default_rng(2).integers(1, USERS + 1, num_queries).tolist()
        queries = [replace(Query(user, log.history(user).astype(np.int64)), rules=rules) for user in users]
        exact_ms, truth = ask(exact.find, queries)
        indexed_ms, found = ask(indexed.find, queries)
        recall = sum(len(one & other) for one, other in zip(found, truth, strict=True)) / (K * num_queries)
        rows.append(Row(kind, half, exact_ms, indexed_ms, recall, indexed.figures.sentence()))
    return rows


def table(rows: list[Row]) -> str:
    """The rows in Markdown."""
    lines = ["| vectors | filter | exact, ms | index, ms | recall@10 |", "|---|---|---:|---:|---:|"]
    for row in rows:
        half = "one half" if row.half else "none"
        lines.append(f"| {row.vectors} | {half} | {row.exact:.1f} | {row.indexed:.2f} | {row.recall:.3f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ann", description=__doc__.split("\n")[0])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for kind in ("unstructured", "clustered"):
        rows += measure(kind, args.items, args.queries)
        print(f"{kind}: {rows[-1].index}\n")
    print(table(rows))
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
