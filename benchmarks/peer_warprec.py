"""Measures WarpRec's SASRec and GRU4Rec on ml-1m with one thread and prints one JSON line.

Runs in the environment that `warprec_setup.sh` sets up, from the root folder of the project:

    .bench/warprec/venv/bin/python -m benchmarks.peer_warprec --model SASRec --events .bench/ml-1m.npz

An epoch of WarpRec uses every (prefix, next item) pair of the training rows once, 982,089 with ml-1m. Each pair is a
row of its own with the last 50 items of its prefix, padded on the right. The first BATCHES batches are run and their
time is scaled to the epoch. Sizes, dropout, loss (cross-entropy over all items) and batches are those that RecBole has
in the same comparison. The data loader, model and optimiser are WarpRec's, trained by Lightning's trainer as WarpRec
does it, but without Ray around it; only a clock is added.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

from benchmarks.peer_common import Events, count_pairs, print_result, stopwatch

MODELS: dict[str, dict[str, Any]] = {
    "SASRec": {"n_layers": 2, "n_heads": 2, "inner_size": 256, "dropout_prob": 0.5, "attn_dropout_prob": 0.5},
    "GRU4Rec": {"hidden_size": 128, "num_layers": 1, "dropout_prob": 0.3},
}


def sessions(events: Events) -> Any:
    """WarpRec's Sessions of the training rows."""
    import narwhals as nw
    import numpy as np
    import polars as pl
    from scipy.sparse import csr_matrix
    from warprec.data.entities import Sessions

    user, item, position = events.without_last(2)
    users, items = len(events.offsets) - 1, int(events.items.max())
    rows = pl.DataFrame({"user_id": user - 1, "item_id": item - 1, "timestamp": position})
    seen = csr_matrix((np.ones(len(user), np.float32), (user - 1, item - 1)), shape=(users, items))
    return Sessions(nw.from_native(rows), {n: n for n in range(users)}, {n: n for n in range(items)}, seen)


def measure(events: Events, args: argparse.Namespace) -> dict[str, Any]:
    """Train; the seconds of each epoch are those of the batches that were run, scaled to all."""
    from lightning.pytorch import Callback, Trainer
    from warprec.recommenders import sequential_recommender

    common = {"embedding_size": args.dim, "max_seq_len": args.window, "batch_size": args.batch}
    training = {"learning_rate": args.lr, "epochs": args.warm_up + args.repeat, "neg_samples": 0}
    penalties = {"reg_weight": 0.0, "weight_decay": 0.0}
    model = getattr(sequential_recommender, args.model)(
        {**MODELS[args.model], **common, **training, **penalties},
        {"n_users": len(events.offsets) - 1, "n_items": int(events.items.max())},
        seed=args.seed,
    )
    loader = model.get_dataloader(interactions=None, sessions=sessions(events), seed=args.seed)
    batches = min(args.batches or len(loader), len(loader))
    watch = stopwatch(Callback)
    trainer = Trainer(
        max_epochs=args.warm_up + args.repeat,
        limit_train_batches=batches,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[watch],
    )
    trainer.fit(model, train_dataloaders=loader)
    scale = len(loader) / batches
    epochs = [
        {name: value if name == "loss" else round(value * scale, 3) for name, value in epoch.items()}
        for epoch in watch.epochs
    ]
    return {
        "examples": count_pairs(events),
        "batches_run": [batches, len(loader)],
        "warm_up": epochs[: args.warm_up],
        "epochs": epochs[args.warm_up :],
    }


def parse(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--events", type=Path, required=True, help="the file that segue_side.py export wrote")
    parser.add_argument("--model", choices=MODELS, default="SASRec")
    parser.add_argument("--window", type=int, default=50)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--batch", type=int, default=2048)
    parser.add_argument("--lr", type=float, default=0.001)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--warm-up", type=int, default=1, help="epochs not counted")
    parser.add_argument("--repeat", type=int, default=1, help="epochs after them")
    parser.add_argument("--batches", type=int, help="number of batches of each epoch that are run; all by default")
    return parser.parse_args(argv)


def main() -> None:
    """Measure and print one JSON line on standard output."""
    args = parse(sys.argv[1:])
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    import torch

    torch.set_num_threads(1)
    with contextlib.redirect_stdout(sys.stderr):
        result = measure(Events.read(args.events), args)
    print_result({key: value for key, value in vars(args).items() if key != "events"}, result)


if __name__ == "__main__":
    main()
