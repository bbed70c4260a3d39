"""Sequence models of segue with the settings of the peers, trained on MovieLens (leave-one-out).

    SETTINGS["sasrec-bce"]     as RecTools' SASRec: the last 100 items of each user, one negative per target
    SETTINGS["gru4rec-50"]     as RecBole's GRU4Rec: every (prefix, next item) pair once, up to 50 items per prefix

Dimensions, blocks, heads, dropout, loss, learning rate and the pairs of an epoch are those of the peer. Where the peer
has a batch of 2,048 pairs, segue has 41 windows of 50 items, whose pairs share one causal pass.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmarks.segue_side.data_sets import load
from benchmarks.segue_side.results import epochs, quality

if TYPE_CHECKING:
    import numpy as np

    from segue.batches.batch import SequenceBatch
    from segue.data.log import Log
    from segue.models.base.model import GradientModel

TRANSFORMER = {
    "embedding_dim": 64,
    "window": 100,
    "num_blocks": 2,
    "num_heads": 1,
    "dropout": 0.2,
    "batch_size": 128,
    "loss": "ce",
    "lr": 1e-3,
}
RECTOOLS = {**TRANSFORMER, "coverage": "last"}
RECBOLE = {"embedding_dim": 64, "window": 50, "loss": "ce", "lr": 1e-3}
AUTHOR = {
    "bptt": "one",
    "window": None,
    "optimizer": "adagrad",
    "embedding_dim": 100,
    "batch_size": 64,
    "num_negatives": 2048,
    "sample_alpha": 0.5,
    "input_embedding": "tied",
    "lr": 0.05,
}
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "sasrec-bce": ("sasrec", {**RECTOOLS, "loss": "bce"}),
    "sasrec-ce": ("sasrec", RECTOOLS),
    "bert4rec-ce": ("bert4rec", {**TRANSFORMER, "num_heads": 2, "mask_prob": 0.15, "newest_prob": 0.0}),
    "esasrec-sampled": (
        "esasrec",
        {
            **TRANSFORMER,
            "coverage": "last",
            "loss": "sampled-ce",
            "negative_sampling": "per_target",
            "num_negatives": 256,
            "sample_alpha": 0.0,
            "logq_correction": False,
        },
    ),
    "hstu-ce": ("hstu", {**TRANSFORMER, "time": "request"}),
    "sasrec-50": (
        "sasrec",
        {**RECBOLE, "num_heads": 2, "ffn_dim": 256, "activation": "gelu", "dropout": 0.5, "batch_size": 41},
    ),
    "gru4rec-50": (
        "gru4rec",
        {
            **RECBOLE,
            "bptt": "full",
            "input_embedding": "separate",
            "activation": "linear",
            "item_bias": False,
            "dropout": 0.3,
            "optimizer": "adam",
            "batch_size": 41,
        },
    ),
    "nextitnet-50": (
        "nextitnet",
        {**RECBOLE, "dilations": (1, 4), "num_repeats": 5, "tied": True, "dropout": 0.0, "batch_size": 41},
    ),
    "narm-50": ("narm", {**RECBOLE, "hidden_dim": 128, "batch_size": 41}),
    "stamp-50": ("stamp", {**RECBOLE, "add_mean": True, "sigmoid_scores": False, "dropout": 0.0, "batch_size": 41}),
    "caser-50": (
        "caser",
        {
            **RECBOLE,
            "num_targets": 1,
            "training_windows": "every",
            "num_vertical_filters": 4,
            "num_horizontal_filters": 8,
            "dropout": 0.4,
            "weight_decay": 0.0,
            "batch_size": 2048,
        },
    ),
    "gru4rec-ce": ("gru4rec", {**AUTHOR, "loss": "sampled-ce", "logq_correction": False, "activation": "linear"}),
    "gru4rec-bprmax": ("gru4rec", {**AUTHOR, "loss": "bpr-max", "activation": "elu"}),
}
ON_ML_100K = "narm-50", "stamp-50"  # the others are on ml-1m
LAST_ROWS = "bert4rec-ce", "hstu-ce"  # trained on the last rows of each user, as the others are with coverage=last


def sequence(args: argparse.Namespace) -> dict[str, Any]:
    """Training epochs after warm-up epochs, or the first batches of epochs; a test if epochs are whole."""
    import torch

    from segue.evaluation.protocol import Protocol
    from segue.models.base.model import Sizes
    from segue.models.registry import find
    from segue.training.loop import fit

    name, settings = SETTINGS[args.setting]
    if name == "caser":
        settings = {**settings, "windows_per_row": args.windows_per_row}
    log = load("ml-100k" if args.setting in ON_ML_100K else "ml-1m")
    protocol = Protocol.named("leave-one-out")
    if settings.get("time") == "request":
        protocol = protocol.with_settings({"request_time": "known"})
    split = protocol.split(log)
    model_class = truncated(find(name), args.batches) if args.batches else find(name)
    train = last_rows(split.train, settings["window"] + 1) if args.setting in LAST_ROWS else split.train
    torch.manual_seed(args.seed)
    config = model_class.configure({**settings, "epochs": args.warm_up + args.repeat}, None)
    model = model_class(config, Sizes(log.num_users, log.num_items))
    num_all = count_pairs(train, settings)
    num_run = count_examples(model, train) if args.batches else num_all
    trained = fit(model, train, seed=args.seed)
    result = {"examples": num_all, "examples_run": num_run, **epochs(trained, args, scale=num_all / num_run)}
    if args.batches:
        return result
    return {**result, "test": quality(protocol.rank(model, split, "test"))}


def truncated(model_class: Any, batches: int) -> Any:
    """A subclass of the model whose epochs end after so many batches."""

    class Truncated(model_class):  # type: ignore[misc]
        def batches(self, log: Log, rng: np.random.Generator) -> Iterator[SequenceBatch]:
            return itertools.islice(super().batches(log, rng), batches)

    return Truncated


def last_rows(log: Log, count: int) -> Log:
    """The last `count` rows of each user."""
    import numpy as np

    return replace(log, start=np.maximum(log.start, log.stop - count))


def count_examples(model: GradientModel, log: Log) -> int:
    """The number of targets of the first epoch."""
    import numpy as np

    return sum(int(batch.num_targets) for batch in model.batches(log, np.random.default_rng((0, 1))))


def count_pairs(log: Log, settings: dict[str, Any]) -> int:
    """The number of (prefix, next item) pairs of a whole epoch."""
    pairs = (log.lengths - 1).clip(0)
    if settings.get("coverage") == "last":
        pairs = pairs.clip(None, settings["window"])
    return int(pairs.sum())
