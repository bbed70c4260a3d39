"""Measures implicit's item-KNN and BPR on ml-1m with one thread and prints one JSON line.

    .bench/implicit/venv/bin/python -m benchmarks.peers.implicit item-knn --events .bench/ml-1m.npz
    .bench/implicit/venv/bin/python -m benchmarks.peers.implicit bprmf --events .bench/ml-1m.npz

`item-knn` fits the cosine of items with 100 neighbours, and recommends ten unseen items to each user from the whole
history. `bprmf` trains 64 factors and an item bias; an epoch is one pass over the training rows, 988,129 of ml-1m.
Learning rate and regularisation are implicit's defaults. Both models are fitted on the leave-one-out training rows and
evaluated as segue's are.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

import numpy as np

from benchmarks.measurement import Clock, Seconds, command_line, run, timed, training
from benchmarks.peers.events import Events, Ids, K, add_events


def ranking(model: Any, events: Events) -> tuple[Seconds, Ids]:
    """The seconds of recommending ten items to each user from all rows except the last one, and the items."""
    history = events.matrix(held_out=1)
    recommend = partial(model.recommend, np.arange(events.num_users), history, N=K, filter_already_liked_items=True)
    seconds, (items, _) = timed(recommend)
    return seconds, items + 1


def item_knn(args: argparse.Namespace) -> dict[str, Any]:
    """Fits and rankings."""
    from implicit.nearest_neighbours import CosineRecommender

    train = args.events.matrix(held_out=2)
    fits, rankings = [], []
    for _ in range(args.warm_up + args.repeat):
        model = CosineRecommender(K=100, num_threads=1)
        fits.append(timed(partial(model.fit, train, show_progress=False))[0])
        seconds, lists = ranking(model, args.events)
        rankings.append(seconds)
    return {
        "fits": fits[args.warm_up :],
        "rankings": rankings[args.warm_up :],
        "test": args.events.metrics(lists),
    }


def bprmf(args: argparse.Namespace) -> dict[str, Any]:
    """Passes over the training rows, then one ranking."""
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    passes: list[Seconds] = []

    def after_pass(*_: Any) -> None:
        nonlocal clock
        passes.append(clock.seconds())
        clock = Clock()

    train = args.events.matrix(held_out=2)
    iterations = args.warm_up + args.repeat
    model = BayesianPersonalizedRanking(factors=64, iterations=iterations, num_threads=1, random_state=args.seed)
    clock = Clock()
    model.fit(train, show_progress=False, callback=after_pass)
    seconds, lists = ranking(model, args.events)
    return {
        "examples": train.nnz,
        **training(passes, args),
        "rankings": [seconds],
        "test": args.events.metrics(lists),
    }


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """One of the two models."""
    return {"item-knn": item_knn, "bprmf": bprmf}[args.what](args)


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = command_line(__doc__, repeat=3, batches=False)
    parser.add_argument("what", choices=["item-knn", "bprmf"])
    add_events(parser)
    return parser


if __name__ == "__main__":
    run(options(), measure)
