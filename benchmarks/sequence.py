"""segue's side beside the peers of sequence models: what is trained on MovieLens, leave-one-out, and how.

    SETTINGS["sasrec-bce"]     SASRec as RecTools sets it: the last 100 items of each user, one negative a target
    SETTINGS["gru4rec-50"]     GRU4Rec as RecBole sets it: every (prefix, next item) pair once, 50 items a prefix

Sizes, blocks, heads, dropout, loss, learning rate and the pairs of an epoch are the peer's. Where the peer makes a
batch of 2,048 pairs, segue makes one of 41 stretches of 50 items, whose pairs share one causal pass.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from segue.batches.batch import Batch
    from segue.data.log import Log
    from segue.models.base.model import GradientModel

RECTOOLS = {
    "embedding_dim": 64,
    "window": 100,
    "blocks": 2,
    "heads": 1,
    "dropout": 0.2,
    "cover": "last",
    "batch_size": 128,
}
RECBOLE = {"embedding_dim": 64, "window": 50, "loss": "ce", "lr": 1e-3}
AUTHOR = {
    "embedding_dim": 100,
    "batch_size": 64,
    "num_negatives": 2048,
    "sample_alpha": 0.5,
    "reads": "tied",
    "lr": 0.05,
}
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "sasrec-bce": ("sasrec", {**RECTOOLS, "loss": "bce", "lr": 1e-3}),
    "sasrec-ce": ("sasrec", {**RECTOOLS, "loss": "ce", "lr": 1e-3}),
    "sasrec-50": (
        "sasrec",
        {**RECBOLE, "heads": 2, "inner": 256, "activation": "gelu", "dropout": 0.5, "batch_size": 41},
    ),
    "gru4rec-50": (
        "gru4rec",
        {
            **RECBOLE,
            "bptt": "full",
            "reads": "own",
            "activation": "linear",
            "item_bias": False,
            "dropout": 0.3,
            "optimizer": "adam",
            "batch_size": 41,
        },
    ),
    "nextitnet-50": ("nextitnet", {**RECBOLE, "dilations": (1, 4), "repeats": 5, "tied": True, "batch_size": 41}),
    "narm-50": ("narm", {**RECBOLE, "units": 128, "batch_size": 41}),
    "stamp-50": ("stamp", {**RECBOLE, "mean": True, "squash": False, "batch_size": 41}),
    "caser-50": (
        "caser",
        {
            **RECBOLE,
            "targets": 1,
            "asked": "every",
            "vertical": 4,
            "horizontal": 8,
            "dropout": 0.4,
            "weight_decay": 0.0,
            "batch_size": 2048,
        },
    ),
    "gru4rec-ce": ("gru4rec", {**AUTHOR, "loss": "sampled-ce", "logq_correction": False, "activation": "linear"}),
    "gru4rec-bprmax": ("gru4rec", {**AUTHOR, "loss": "bpr-max", "activation": "elu"}),
}
SMALL = "narm-50", "stamp-50"  # on ml-100k; all others on ml-1m


def sequence(args: argparse.Namespace) -> dict[str, Any]:
    """Training epochs after some that are not counted, or the first batches of such; a test where epochs are whole."""
    import numpy as np
    import torch

    from segue.data.datasets import catalog
    from segue.evaluation.metrics import measure
    from segue.evaluation.protocol import Protocol
    from segue.models.base.model import Sizes
    from segue.models.registry import find
    from segue.training.loop import fit

    name, settings = SETTINGS[args.setting]
    if name == "caser":
        settings = {**settings, "per_row": args.per_row}
    log = catalog.load("ml-100k" if args.setting in SMALL else "ml-1m")
    protocol = Protocol.named("leave-one-out")
    split = protocol.split(log)
    kind = headed(find(name), args.batches) if args.batches else find(name)
    torch.manual_seed(args.seed)
    config = kind.configure({**settings, "epochs": args.warm_up + args.repeat}, None)
    model = kind(config, Sizes(log.num_users, log.num_items))
    shown = examples(model, split.train)
    whole = questions(split.train, settings)
    epochs = [
        {"wall_s": done.seconds * whole / shown, "cpu_s": done.cpu_seconds * whole / shown, "loss": done.loss}
        for done in fit(model, split.train, seed=args.seed).epochs
    ]
    told = {"examples": whole, "shown": shown, "warm_up": epochs[: args.warm_up], "epochs": epochs[args.warm_up :]}
    if args.batches:
        return told
    ranks = protocol.rank(model, split, "test")
    metrics = ("recall@10", "ndcg@10", "mrr@10")
    return {**told, "test": {metric: float(np.mean(measure(ranks, metric))) for metric in metrics}}


def headed(kind: Any, batches: int) -> Any:
    """The model, whose epoch ends after so many batches."""

    class Head(kind):  # type: ignore[misc]
        def batches(self, log: Log, rng: np.random.Generator) -> Iterator[Batch]:
            return itertools.islice(super().batches(log, rng), batches)

    return Head


def examples(model: GradientModel, log: Log) -> int:
    """Targets of the first epoch."""
    import numpy as np

    return sum(int((batch.targets > 0).sum()) for batch in model.batches(log, np.random.default_rng((0, 1))))


def questions(log: Log, settings: dict[str, Any]) -> int:
    """(prefix, next item) pairs of a whole epoch."""
    asked = (log.lengths - 1).clip(0)
    if settings.get("cover") == "last":
        asked = asked.clip(None, settings["window"])
    return int(asked.sum())


def export(args: argparse.Namespace) -> dict[str, Any]:
    """Write ml-1m as the peers read it: see `peers.py`."""
    import numpy as np

    from segue.data.datasets import catalog

    log = catalog.load("ml-1m")
    user, item = log.events()
    offsets = np.searchsorted(user, np.arange(1, log.num_users + 2))
    args.events.parent.mkdir(parents=True, exist_ok=True)
    np.savez(args.events, items=item.astype(np.int64), offsets=offsets.astype(np.int64))
    return {"events": str(args.events), "rows": len(log)}
