"""Measures WarpRec's SASRec and GRU4Rec on ml-1m with one thread and prints one JSON line.

    .bench/warprec/venv/bin/python -m benchmarks.peers.warprec --model SASRec --events .bench/ml-1m.npz

An epoch of WarpRec uses every (prefix, next item) pair of the training rows once, 982,089 with ml-1m. Each pair is a
row of its own with the last 50 items of its prefix, padded on the right. The first BATCHES batches are run and their
time is scaled to the epoch. Sizes, dropout, loss (cross-entropy over all items) and batches are those that RecBole has
in the same comparison. The data loader, model and optimiser are WarpRec's, trained by Lightning's trainer as WarpRec
does it, but without Ray around it; only a clock is added.
"""

from __future__ import annotations

import argparse
from typing import Any

from benchmarks.measurement import command_line, run, scaled, training
from benchmarks.peers.events import Events, add_events
from benchmarks.peers.lightning_trainer import lightning_trainer

MODELS: dict[str, dict[str, Any]] = {
    "SASRec": {"n_layers": 2, "n_heads": 2, "inner_size": 256, "dropout_prob": 0.5, "attn_dropout_prob": 0.5},
    "GRU4Rec": {"hidden_size": 128, "num_layers": 1, "dropout_prob": 0.3},
}
SETTINGS = {
    "embedding_size": 64,
    "max_seq_len": 50,
    "batch_size": 2048,
    "learning_rate": 0.001,
    "neg_samples": 0,
    "reg_weight": 0.0,
    "weight_decay": 0.0,
}


def sessions(events: Events) -> Any:
    """WarpRec's Sessions of the training rows."""
    import narwhals as nw
    import polars as pl
    from warprec.data.entities import Sessions

    user, item, position = events.without_last(2)
    rows = pl.DataFrame({"user_id": user - 1, "item_id": item - 1, "timestamp": position})
    users, items = ({number: number for number in range(count)} for count in (events.num_users, events.num_items))
    return Sessions(nw.from_native(rows), users, items, events.matrix(held_out=2))


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Train; the seconds of each epoch are those of the batches that were run, scaled to all."""
    from lightning import pytorch
    from warprec.recommenders import sequential_recommender

    events = args.events
    model = getattr(sequential_recommender, args.model)(
        {**MODELS[args.model], **SETTINGS, "epochs": args.warm_up + args.repeat},
        {"n_users": events.num_users, "n_items": events.num_items},
        seed=args.seed,
    )
    loader = model.get_dataloader(interactions=None, sessions=sessions(events), seed=args.seed)
    trainer, epochs = lightning_trainer(pytorch, args)
    trainer.fit(model, train_dataloaders=loader)
    num_run = min(args.batches or len(loader), len(loader))
    return {
        "examples": events.count_pairs(),
        "batches_run": [num_run, len(loader)],
        **training([scaled(epoch, len(loader) / num_run) for epoch in epochs], args),
    }


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = command_line(__doc__, repeat=1)
    parser.add_argument("--model", choices=MODELS, default="SASRec")
    add_events(parser)
    return parser


if __name__ == "__main__":
    run(options(), measure)
