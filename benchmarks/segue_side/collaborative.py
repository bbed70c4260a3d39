"""item-KNN and BPR of segue on ml-1m (leave-one-out), as implicit has them: the counterpart of `peers/implicit.py`.

item-knn  the cosine of items, 100 neighbours, the whole history with equal weights: what implicit computes
bprmf     64 dimensions and an item bias; the learning rate and the penalty are segue's own, of its defaults or a preset
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.measurement import timed
from benchmarks.segue_side.data_sets import load
from benchmarks.segue_side.results import epochs, quality

if TYPE_CHECKING:
    from segue.data.splits import Split
    from segue.evaluation.ranks import Ranks
    from segue.models.base.model import Model

KNN = {"similarity": "cosine", "shrinkage": 0.0, "num_neighbours": 100, "window": None, "position_decay": 1.0}


def item_knn(args: argparse.Namespace) -> dict[str, Any]:
    """Fits and rankings after the first ones, which load what is compiled."""
    from segue.training.loop import fit

    split, new_model, rank = _prepared("item-knn", KNN, None, args.seed)
    fits, rankings = [], []
    for _ in range(args.warm_up + args.repeat):
        model = new_model()
        fits.append(timed(partial(fit, model, split.train))[0])
        seconds, ranks = timed(partial(rank, model))
        rankings.append(seconds)
    return {"fits": fits[args.warm_up :], "rankings": rankings[args.warm_up :], "test": quality(ranks)}


def bprmf(args: argparse.Namespace) -> dict[str, Any]:
    """Passes over the training rows, then one ranking."""
    from segue.training.loop import fit

    split, new_model, rank = _prepared("bprmf", {"epochs": args.warm_up + args.repeat}, args.preset, args.seed)
    model = new_model()
    trained = fit(model, split.train, seed=args.seed)
    seconds, ranks = timed(partial(rank, model))
    return {
        "examples": len(split.train),
        **epochs(trained, args),
        "rankings": [seconds],
        "test": quality(ranks),
    }


def _prepared(
    name: str, settings: dict[str, Any], preset: str | None, seed: int
) -> tuple[Split, Callable[[], Model], Callable[[Model], Ranks]]:
    """The split of ml-1m, a function that makes an untrained model, and one that ranks the test part."""
    import torch

    from segue.evaluation.protocol import Protocol
    from segue.models.base.model import Sizes
    from segue.models.registry import find

    log = load("ml-1m")
    protocol = Protocol.named("leave-one-out")
    split = protocol.split(log)
    kind = find(name)

    def new_model() -> Model:
        torch.manual_seed(seed)
        return kind(kind.configure(settings, preset), Sizes(log.num_users, log.num_items))

    return split, new_model, lambda model: protocol.rank(model, split, "test")
