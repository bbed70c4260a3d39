"""HGN of segue: with RecBole's settings on MovieLens, and with the paper's on Amazon CDs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from benchmarks.measurement import timed
from benchmarks.segue_side.data_sets import AMAZON_CDS, load
from benchmarks.segue_side.results import epochs, quality

if TYPE_CHECKING:
    from segue.data.log import Log
    from segue.evaluation.protocol import Protocol
    from segue.models.sequential.hgn import HGN

# Fields of the experiment of `whole`, besides model and protocol. Chosen on validation, never on the test set.
WHOLE: dict[str, Any] = {
    "preset": "recbole",
    "settings": {"window": 5, "windows_per_row": 4, "lr": 3e-3},
    "patience": 5,
}
# The settings of `epoch` and `eval`, the same as those of the peer.
SMALL: dict[str, dict[str, Any]] = {
    "CE": {"loss": "ce", "window": 50, "embedding_dim": 64, "batch_size": 2048},
    "BPR": {"loss": "bpr", "window": 5, "embedding_dim": 64, "batch_size": 2048},
}
CDS: dict[str, Any] = {"embedding_dim": 50, "window": 5, "num_targets": 3, "batch_size": 4096, "loss": "bpr"}


def whole(args: argparse.Namespace) -> dict[str, Any]:
    """Load the log, split, train with early stopping, test."""
    from segue.evaluation.protocol import Protocol
    from segue.experiments.experiment import Experiment

    shorter = {"epochs": args.repeat} if args.quick else {}
    plan = {**WHOLE, "settings": {**WHOLE["settings"], **shorter}}
    experiment = Experiment(model="hgn", protocol=Protocol.named("recbole"), seed=args.seed, **plan)
    outcome = experiment.run(load(args.data))
    return {
        "epochs": len(outcome.training.epochs),
        "best": outcome.training.best,
        "train_cpu_s": outcome.training.cpu_seconds,
        "experiment": experiment.as_dict(),
        "test": quality(outcome.result.predictions),
    }


def epoch(args: argparse.Namespace) -> dict[str, Any]:
    """Train on the same examples as RecBole: every prefix of the leave-one-out training part. Then test."""
    from segue.evaluation.protocol import Protocol

    log, protocol = load(args.data), Protocol.named("recbole")
    model, split = untrained(log, SMALL[args.loss], args, preset="recbole"), protocol.split(log)
    trained = _epochs(model, split.train, args)
    return {**trained, "test": quality(protocol.rank(model, split, "test"))}


def evaluate(args: argparse.Namespace) -> dict[str, Any]:
    """Rank the test part with an untrained model: the time does not depend on the weights."""
    from segue.evaluation.protocol import Protocol

    log = load(args.data)
    return _rankings(untrained(log, SMALL[args.loss], args, preset="recbole"), log, Protocol.named("recbole"), args)


def cds(args: argparse.Namespace) -> dict[str, Any]:
    """Train on train and validation, then rank the test part."""
    from segue.evaluation.protocol import Protocol

    log, protocol = load(AMAZON_CDS), Protocol.named("hgn")
    model, split = untrained(log, CDS, args, preset="paper"), protocol.split(log)
    trained = _epochs(model, split.train_valid, args)
    tested = quality(protocol.rank(model, split, "test"))
    return {**trained, **_rankings(model, log, protocol, args), "test": tested}


def untrained(log: Log, settings: dict[str, Any], args: argparse.Namespace, preset: str | None = None) -> HGN:
    """The model that is trained for all epochs of the measurement."""
    import torch

    from segue.models.base.model import Sizes
    from segue.models.sequential.hgn import HGN

    torch.manual_seed(args.seed)
    measured = {"windows_per_row": args.windows_per_row, "epochs": args.warm_up + args.repeat}
    config = HGN.configure({**settings, **measured}, preset)
    return HGN(config, Sizes(log.num_users, log.num_items))


def _epochs(model: HGN, log: Log, args: argparse.Namespace) -> dict[str, Any]:
    import numpy as np

    from segue.training.loop import fit

    batches = model.batches(log, np.random.default_rng(args.seed))
    examples = sum(int(batch.target_mask.sum()) for batch in batches)
    return {"examples": examples, **epochs(fit(model, log, seed=args.seed), args)}


def _rankings(model: HGN, log: Log, protocol: Protocol, args: argparse.Namespace) -> dict[str, Any]:
    split = protocol.split(log)
    rankings = [
        timed(lambda: quality(protocol.rank(model, split, "test")))[0] for _ in range(args.warm_up + args.repeat)
    ]
    return {
        "users": log.num_users,
        "items": log.num_items,
        "depth": protocol.depth,
        "rankings": rankings[args.warm_up :],
    }
