"""Measures `recommend()` in Python for one user, and the query and the product with the item vectors alone.

    python -m benchmarks.one_answer
    python -m benchmarks.one_answer --data ml-1m

Milliseconds of processor time with one thread, the median over users, measured in turns. The models are untrained: the
time does not depend on the weights.
"""

from __future__ import annotations

import argparse
from statistics import median
from typing import Any

import torch

from benchmarks.measurement import cpu_seconds
from segue.data.datasets import catalog
from segue.data.log import Log
from segue.models.base.model import DotProductModel, Sizes
from segue.models.base.score_buffer import evaluation_mode
from segue.models.registry import find
from segue.serving.query import make_query
from segue.serving.recommend import recommend
from segue.serving.top_items import TopItemFinder

MODELS: dict[str, dict[str, Any]] = {"hgn": {"embedding_dim": 50}, "sasrec": {}}
WARM_UP = 50  # users who are not counted


def answer_and_floor(model: DotProductModel, log: Log, users: int) -> tuple[float, float]:
    """Milliseconds of an answer, and of its query vector and its product with the item vectors."""
    finder, vectors = TopItemFinder(model, log, k=10), model.item_vectors().detach()
    scores = torch.empty(1, len(vectors))
    names = log.users.tokens
    answers, floors = [], []

    def floor(user: Any) -> None:
        query = make_query(log, user)
        with evaluation_mode(model), torch.inference_mode():
            torch.matmul(finder.query_vectors([query]), vectors.T, out=scores)

    for number in range(users + WARM_UP):
        user = names[number * 37 % len(names)]
        answers.append(cpu_seconds(lambda user=user: recommend(model, log, user=user)))
        floors.append(cpu_seconds(lambda user=user: floor(user)))
    return median(answers[WARM_UP:]) * 1e3, median(floors[WARM_UP:]) * 1e3


def main(argv: list[str] | None = None) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", default="hgn-cds", help="the log")
    parser.add_argument("--users", type=int, default=500, help="users who are asked for")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    log = catalog.load_log(args.data)
    print("| model | recommend(), ms | query and product, ms |\n|---|---:|---:|")
    for name, settings in MODELS.items():
        torch.manual_seed(0)
        kind = find(name)
        model = kind(kind.configure(settings), Sizes(log.num_users, log.num_items))
        assert isinstance(model, DotProductModel)
        answer, floor = answer_and_floor(model, log, args.users)
        print(f"| {name} | {answer:.2f} | {floor:.2f} |")


if __name__ == "__main__":
    main()
