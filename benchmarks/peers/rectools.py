"""Measures a transformer of RecTools on ml-1m with one thread and prints one JSON line.

    .bench/rectools/venv/bin/python -m benchmarks.peers.rectools --loss BCE --events .bench/ml-1m.npz

An epoch of RecTools uses the last L + 1 training rows of each user once, every position with its next item: at most L
(prefix, next item) pairs per user, 437,939 of the 982,089 with L = 100. BERT4Rec masks 15% of the items instead. Rows
are padded to L on the left; padding is computed but not part of the loss. BCE samples negatives uniformly and rejects
none; `softmax` scores all items at all positions, including padding; `sampled_softmax` scores 256 items that are drawn
uniformly. Dropout, batches and learning rate are RecTools' defaults. The training is RecTools' own, with Lightning's
trainer; only a clock is added. HSTU reads the times of all rows, and the time of the target where it is tested. After
the last epoch ten unseen items are recommended to each user and evaluated as segue's are. With BATCHES the time is not
scaled, so that it means nothing: a test that everything runs.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

import numpy as np

from benchmarks.measurement import command_line, run, timed, training
from benchmarks.peers.events import Events, Ids, K, add_events
from benchmarks.peers.lightning_trainer import lightning_trainer

WINDOW, NUM_NEGATIVES = 100, 256
MODELS = "SASRec", "BERT4Rec", "eSASRec", "HSTU"


def dataset(events: Events, held_out: int) -> Any:
    """RecTools' Dataset of all rows except the last `held_out` of each user."""
    import pandas as pd
    from rectools import Columns
    from rectools.dataset import Dataset

    user, item, position = events.without_last(held_out)
    times = pd.to_datetime(events.times[events.offsets[user - 1] + position], unit="s")
    times += pd.to_timedelta(position, unit="ns")  # keeps the order of rows of the same second
    rows = {Columns.User: user, Columns.Item: item, Columns.Weight: 1.0, Columns.Datetime: times}
    return Dataset.construct(pd.DataFrame(rows))


def recommended(model: Any, events: Events) -> Ids:
    """(users, 10) the recommended items of each user, from all rows except the last one."""
    import pandas as pd
    from rectools import Columns

    users = np.arange(1, events.num_users + 1)
    requests = pd.to_datetime(events.times[events.offsets[1:] - 1], unit="s")
    context = pd.DataFrame({Columns.User: users, Columns.Datetime: requests})
    reads_it = {"context": context} if model.require_recommend_context else {}
    table = model.recommend(users=users, dataset=dataset(events, held_out=1), k=K, filter_viewed=True, **reads_it)
    lists = np.zeros((len(users), K), np.int64)
    lists[table["user_id"] - 1, table["rank"] - 1] = table["item_id"]
    return lists


def model_class(name: str) -> tuple[Any, dict[str, Any]]:
    """The class of a model of `MODELS`, and the settings that it has beside those of all; eSASRec is made of parts."""
    from rectools import models

    if name == "eSASRec":
        from rectools.models.nn.transformers.ligr import LiGRLayers

        return models.SASRecModel, {"transformer_layers_type": LiGRLayers}
    return getattr(models, f"{name}Model"), {}


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Train, recommend and evaluate."""
    import pytorch_lightning

    pytorch_lightning.seed_everything(args.seed)
    trainer, epochs = lightning_trainer(pytorch_lightning, args)
    chosen, more = model_class(args.model)
    model = chosen(
        n_blocks=2,
        n_heads=args.num_heads,
        n_factors=64,
        dropout_rate=0.2,
        session_max_len=WINDOW,
        loss=args.loss,
        n_negatives=NUM_NEGATIVES if args.loss == "sampled_softmax" else 1,
        lr=0.001,
        batch_size=128,
        get_trainer_func=lambda: trainer,
        recommend_torch_device="cpu",
        **more,
    )
    model.fit(dataset(args.events, held_out=2))
    seconds, lists = timed(partial(recommended, model, args.events))
    return {
        "examples": args.events.count_pairs(WINDOW),
        **training(epochs, args),
        "recommend": seconds,
        "test": args.events.metrics(lists),
    }


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = command_line(__doc__, repeat=2)
    parser.add_argument("--model", choices=MODELS, default="SASRec")
    parser.add_argument("--num-heads", type=int, default=1)
    parser.add_argument("--loss", choices=["BCE", "softmax", "sampled_softmax"], default="BCE")
    add_events(parser)
    return parser


if __name__ == "__main__":
    run(options(), measure)
