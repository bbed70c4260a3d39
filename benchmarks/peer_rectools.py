"""Measures RecTools' SASRec on ml-1m with one thread and prints one JSON line.

Runs in the environment that `rectools_setup.sh` sets up, from the root folder of the project:

    .bench/rectools/venv/bin/python -m benchmarks.peer_rectools --loss BCE --events .bench/ml-1m.npz

An epoch of RecTools uses the last L + 1 training rows of each user once, every position with its next item: at most L
(prefix, next item) pairs per user, 437,939 of the 982,089 with L = 100. Rows are padded to L on the left; padding is
computed but not part of the loss. BCE samples negatives uniformly and rejects none; `softmax` scores all items at all
positions, including padding. The training is RecTools' own, with Lightning's trainer; only a clock is added. After the
last epoch ten unseen items are recommended to each user and evaluated as segue's are.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

from benchmarks.peer_common import Events, Ids, clock, count_pairs, print_result, ranking_metrics, since, stopwatch

K = 10


def dataset(events: Events, held_out: int) -> Any:
    """RecTools' Dataset of all rows except the last `held_out` of each user; positions are encoded as days."""
    import pandas as pd
    from rectools import Columns
    from rectools.dataset import Dataset

    user, item, position = events.without_last(held_out)
    days = pd.Timestamp("2000-01-01") + pd.to_timedelta(position, unit="D")
    rows = {Columns.User: user, Columns.Item: item, Columns.Weight: 1.0, Columns.Datetime: days}
    return Dataset.construct(pd.DataFrame(rows))


def fit(events: Events, args: argparse.Namespace) -> tuple[Any, list[dict[str, float]]]:
    """The trained model, and the seconds of each epoch."""
    from pytorch_lightning import Callback, Trainer, seed_everything
    from rectools.models import SASRecModel

    seed_everything(args.seed)

    def trainer() -> Any:
        return Trainer(
            max_epochs=args.warm_up + args.repeat,
            limit_train_batches=args.batches or 1.0,
            accelerator="cpu",
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[stopwatch(Callback)],
        )

    model = SASRecModel(
        n_blocks=args.blocks,
        n_heads=args.heads,
        n_factors=args.dim,
        dropout_rate=args.dropout,
        session_max_len=args.window,
        loss=args.loss,
        n_negatives=args.negatives,
        lr=args.lr,
        batch_size=args.batch,
        get_trainer_func=trainer,
        recommend_torch_device="cpu",
    )
    model.fit(dataset(events, held_out=2))
    (watch,) = [c for c in model.fit_trainer.callbacks if hasattr(c, "epochs")]
    return model, watch.epochs


def recommended(model: Any, events: Events) -> Ids:
    """(users, 10) the recommended items of each user, from all rows except the last one."""
    import numpy as np

    users = np.arange(1, len(events.offsets))
    table = model.recommend(users=users, dataset=dataset(events, held_out=1), k=K, filter_viewed=True)
    lists = np.zeros((len(users), K), np.int64)
    lists[table["user_id"] - 1, table["rank"] - 1] = table["item_id"]
    return lists


def parse(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--loss", choices=["BCE", "softmax"], default="BCE")
    parser.add_argument("--events", type=Path, required=True, help="the file that segue_side.py export wrote")
    parser.add_argument("--window", type=int, default=100)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--heads", type=int, default=1)
    parser.add_argument("--dropout", type=float, default=0.2, help="default: RecTools'")
    parser.add_argument("--batch", type=int, default=128, help="users; default: RecTools'")
    parser.add_argument("--lr", type=float, default=0.001, help="default: RecTools'")
    parser.add_argument("--negatives", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--warm-up", type=int, default=1, help="epochs not counted")
    parser.add_argument("--repeat", type=int, default=2, help="epochs after them")
    parser.add_argument("--batches", type=int, help="a test with few batches; times are not scaled")
    return parser.parse_args(argv)


def main() -> None:
    """Measure and print one JSON line on standard output."""
    args = parse(sys.argv[1:])
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    import torch

    torch.set_num_threads(1)
    events = Events.read(args.events)
    with contextlib.redirect_stdout(sys.stderr):
        model, epochs = fit(events, args)
        start = clock()
        test = ranking_metrics(recommended(model, events), events.last)
        seconds = since(start)
    options = {key: value for key, value in vars(args).items() if key != "events"}
    print_result(
        options,
        {
            "examples": count_pairs(events, args.window),
            "warm_up": epochs[: args.warm_up],
            "epochs": epochs[args.warm_up :],
            "recommend": seconds,
            "test": test,
        },
    )


if __name__ == "__main__":
    main()
