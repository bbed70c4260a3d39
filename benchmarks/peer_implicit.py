"""Measures implicit's item-KNN and BPR on ml-1m with one thread and prints one JSON line.

Runs in the environment that `implicit_setup.sh` sets up, from the root folder of the project:

    .bench/implicit/venv/bin/python -m benchmarks.peer_implicit item-knn --events .bench/ml-1m.npz
    .bench/implicit/venv/bin/python -m benchmarks.peer_implicit bprmf --events .bench/ml-1m.npz

`item-knn` fits the cosine of items with 100 neighbours, and recommends ten unseen items to each user from the whole
history. `bprmf` trains 64 factors and an item bias; an epoch is one pass over the training rows, 988,129 of ml-1m.
Learning rate and regularisation are implicit's defaults. Both models are fitted on the leave-one-out training rows and
evaluated as segue's are.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import warnings
from pathlib import Path
from typing import Any

from benchmarks.peer_common import Clock, Events, Ids, clock, print_result, ranking_metrics, since

K = 10


def matrix(events: Events, held_out: int) -> Any:
    """(users, items) all rows except the last `held_out` of each user; users and items are numbered from 0."""
    import numpy as np
    from scipy.sparse import csr_matrix

    user, item, _ = events.without_last(held_out)
    shape = len(events.offsets) - 1, int(events.items.max())
    return csr_matrix((np.ones(len(user), np.float32), (user - 1, item - 1)), shape=shape)


def ranking(model: Any, events: Events) -> tuple[dict[str, float], Ids]:
    """The seconds of recommending ten items to each user from all rows except the last one, and the items."""
    import numpy as np

    history = matrix(events, held_out=1)
    start = clock()
    items, _ = model.recommend(np.arange(history.shape[0]), history, N=K, filter_already_liked_items=True)
    return since(start), items + 1


def item_knn(events: Events, args: argparse.Namespace) -> dict[str, Any]:
    """Fits and rankings."""
    from implicit.nearest_neighbours import CosineRecommender

    train = matrix(events, held_out=2)
    fits, rankings = [], []
    for _ in range(args.warm_up + args.repeat):
        model = CosineRecommender(K=100, num_threads=1)
        start = clock()
        model.fit(train, show_progress=False)
        fits.append(since(start))
        seconds, lists = ranking(model, events)
        rankings.append(seconds)
    return {
        "fits": fits[args.warm_up :],
        "rankings": rankings[args.warm_up :],
        "test": ranking_metrics(lists, events.last),
    }


def bprmf(events: Events, args: argparse.Namespace) -> dict[str, Any]:
    """Passes over the training rows, then one ranking."""
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    passes: list[dict[str, float]] = []
    start: Clock = (0.0, 0.0)

    def timed(*_: Any) -> None:
        nonlocal start
        passes.append(since(start))
        start = clock()

    train = matrix(events, held_out=2)
    iterations = args.warm_up + args.repeat
    model = BayesianPersonalizedRanking(factors=64, iterations=iterations, num_threads=1, random_state=args.seed)
    start = clock()
    model.fit(train, show_progress=False, callback=timed)
    seconds, lists = ranking(model, events)
    return {
        "examples": train.nnz,
        "warm_up": passes[: args.warm_up],
        "epochs": passes[args.warm_up :],
        "rankings": [seconds],
        "test": ranking_metrics(lists, events.last),
    }


def parse(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=["item-knn", "bprmf"])
    parser.add_argument("--events", type=Path, required=True, help="the file that segue_side.py export wrote")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--warm-up", type=int, default=1, help="fits or epochs not counted")
    parser.add_argument("--repeat", type=int, default=3, help="fits or epochs after them")
    return parser.parse_args(argv)


def main() -> None:
    """Measure and print one JSON line on standard output."""
    args = parse(sys.argv[1:])
    warnings.simplefilter("ignore")
    with contextlib.redirect_stdout(sys.stderr):
        measure = {"item-knn": item_knn, "bprmf": bprmf}[args.what]
        result = measure(Events.read(args.events), args)
    print_result({key: value for key, value in vars(args).items() if key != "events"}, result)


if __name__ == "__main__":
    main()
