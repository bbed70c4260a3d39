"""Measures RePlay's SASRec on ml-1m with one thread and prints one JSON line.

Runs in the environment that `replay_setup.sh` sets up, from the root folder of the project:

    .bench/replay/venv/bin/python -m benchmarks.peer_replay --events .bench/ml-1m.npz

An epoch of RePlay uses the last L + 1 training rows of each user, every position with its next item: at most L
(prefix, next item) pairs per user, 437,939 of the 982,089 with L = 100. Rows are padded to L on the left; padding is
computed and scored against all items, but not part of the loss. The model is `SasRec.from_params` with its cross-
entropy over all items, with RePlay's ParquetModule and Lightning's trainer; only a clock is added. After the last
epoch ten unseen items are recommended to each user and evaluated as segue's are."""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from benchmarks.peer_common import Events, Ids, clock, count_pairs, print_result, ranking_metrics, since, stopwatch

K = 10


def schema(items: int, dim: int) -> Any:
    """RePlay's schema of a log with item ids 0..items-1; the id `items` is padding."""
    from replay.data import FeatureHint, FeatureSource, FeatureType
    from replay.data.nn import TensorFeatureInfo, TensorFeatureSource, TensorSchema

    return TensorSchema(
        [
            TensorFeatureInfo(
                "item_id",
                is_seq=True,
                feature_type=FeatureType.CATEGORICAL,
                embedding_dim=dim,
                padding_value=items,
                cardinality=items,
                feature_hint=FeatureHint.ITEM_ID,
                feature_sources=[TensorFeatureSource(FeatureSource.INTERACTIONS, "item_id")],
            )
        ]
    )


def parquet(events: Events, path: Path, *, held_out: int, length: int) -> str:
    """Write one row per user: the last `length` items before the last `held_out`, numbered from 0."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    ends = events.offsets[1:] - held_out
    starts = (ends - length).clip(events.offsets[:-1])
    rows = [events.items[start:end] - 1 for start, end in zip(starts, ends, strict=True)]
    users = range(1, len(rows) + 1)
    pq.write_table(pa.table({"user_id": pa.array(users, pa.int64()), "item_id": pa.array(rows)}), path)
    return str(path)


def module(events: Events, folder: Path, args: argparse.Namespace, features: Any) -> Any:
    """RePlay's data module: training rows for training, all rows except the last one for recommending."""
    from replay.data.nn.parquet import ParquetModule
    from replay.nn.transform.template import make_default_sasrec_transforms

    padding = features.item_id_features.item().padding_value
    shapes = {
        stage: {"user_id": {}, "item_id": {"shape": args.window + more, "padding": padding}}
        for stage, more in (("train", 1), ("predict", 0))
    }
    return ParquetModule(
        batch_size=args.batch,
        metadata=shapes,
        transforms=make_default_sasrec_transforms(features),
        train_path=parquet(events, folder / "train.parquet", held_out=2, length=args.window + 1),
        predict_path=parquet(events, folder / "predict.parquet", held_out=1, length=args.window),
    )


def measure(events: Events, args: argparse.Namespace) -> dict[str, Any]:
    """Train, recommend and evaluate."""
    from lightning.pytorch import Callback, Trainer, seed_everything
    from replay.nn.lightning import LightningModule
    from replay.nn.lightning.optimizer import OptimizerFactory
    from replay.nn.sequential import SasRec

    seed_everything(args.seed)
    items = int(events.items.max())
    features = schema(items, args.dim)
    model = SasRec.from_params(
        schema=features,
        embedding_dim=args.dim,
        num_heads=args.heads,
        num_blocks=args.blocks,
        max_sequence_length=args.window,
        dropout=args.dropout,
    )
    net = LightningModule(model, optimizer_factory=OptimizerFactory(learning_rate=args.lr))
    watch = stopwatch(Callback)
    trainer = Trainer(
        max_epochs=args.warm_up + args.repeat,
        limit_train_batches=args.batches or 1.0,
        accelerator="cpu",
        devices=1,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[watch],
    )
    with tempfile.TemporaryDirectory() as folder:
        data = module(events, Path(folder), args, features)
        trainer.fit(net, datamodule=data)
        start = clock()
        scores = trainer.predict(net, datamodule=data)
        test = ranking_metrics(best(scores, events), events.last)
    return {
        "examples": count_pairs(events, args.window),
        "warm_up": watch.epochs[: args.warm_up],
        "epochs": watch.epochs[args.warm_up :],
        "recommend": since(start),
        "test": test,
    }


def best(scored: list[dict[str, Any]], events: Events) -> Ids:
    """(users, 10) the unseen items with the highest scores of each user."""
    import torch

    scores = torch.cat([batch["logits"] for batch in scored])
    user, item, _ = events.without_last(1)
    scores[torch.from_numpy(user - 1), torch.from_numpy(item - 1)] = -torch.inf
    return (scores.topk(K).indices + 1).numpy()


def parse(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--events", type=Path, required=True, help="the file that segue_side.py export wrote")
    parser.add_argument("--window", type=int, default=100)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--heads", type=int, default=1)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--batch", type=int, default=128, help="users")
    parser.add_argument("--lr", type=float, default=0.001, help="default: RePlay's")
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
    with contextlib.redirect_stdout(sys.stderr):
        result = measure(Events.read(args.events), args)
    print_result({key: value for key, value in vars(args).items() if key != "events"}, result)


if __name__ == "__main__":
    main()
