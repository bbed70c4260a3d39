"""Measures RePlay's SASRec on ml-1m with one thread and prints one JSON line.

    .bench/replay/venv/bin/python -m benchmarks.peers.replay --events .bench/ml-1m.npz

An epoch of RePlay uses the last L + 1 training rows of each user, every position with its next item: at most L
(prefix, next item) pairs per user, 437,939 of the 982,089 with L = 100. Rows are padded to L on the left; padding is
computed and scored against all items, but not part of the loss. The model is `SasRec.from_params` with its
cross-entropy over all items and RePlay's learning rate, with RePlay's ParquetModule and Lightning's trainer; only a
clock is added. After the last epoch ten unseen items are recommended to each user and evaluated as segue's are. With
BATCHES the time is not scaled, so that it means nothing: a test that everything runs.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measurement import command_line, run, timed, training
from benchmarks.peers.events import Events, Ids, K, add_events
from benchmarks.peers.lightning_trainer import lightning_trainer

WINDOW, DIM, BATCH = 100, 64, 128


def schema(num_items: int) -> Any:
    """RePlay's schema of a log with item ids from 0; the id `num_items` is padding."""
    from replay.data import FeatureHint, FeatureSource, FeatureType
    from replay.data.nn import TensorFeatureInfo, TensorFeatureSource, TensorSchema

    return TensorSchema(
        [
            TensorFeatureInfo(
                "item_id",
                is_seq=True,
                feature_type=FeatureType.CATEGORICAL,
                embedding_dim=DIM,
                padding_value=num_items,
                cardinality=num_items,
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


def module(events: Events, folder: Path, features: Any) -> Any:
    """RePlay's data module: training rows for training, all rows except the last one for recommending."""
    from replay.data.nn.parquet import ParquetModule
    from replay.nn.transform.template import make_default_sasrec_transforms

    padding = features.item_id_features.item().padding_value
    shapes = {
        stage: {"user_id": {}, "item_id": {"shape": length, "padding": padding}}
        for stage, length in (("train", WINDOW + 1), ("predict", WINDOW))
    }
    return ParquetModule(
        batch_size=BATCH,
        metadata=shapes,
        transforms=make_default_sasrec_transforms(features),
        train_path=parquet(events, folder / "train.parquet", held_out=2, length=WINDOW + 1),
        predict_path=parquet(events, folder / "predict.parquet", held_out=1, length=WINDOW),
    )


def best(scored: list[dict[str, Any]], events: Events) -> Ids:
    """(users, 10) the unseen items with the highest scores of each user."""
    import torch

    scores = torch.cat([batch["logits"] for batch in scored])
    user, item, _ = events.without_last(1)
    scores[torch.from_numpy(user - 1), torch.from_numpy(item - 1)] = -torch.inf
    return (scores.topk(K).indices + 1).numpy()


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Train, recommend and evaluate."""
    from lightning import pytorch
    from replay.nn.lightning import LightningModule
    from replay.nn.lightning.optimizer import OptimizerFactory
    from replay.nn.sequential import SasRec

    pytorch.seed_everything(args.seed)
    events, features = args.events, schema(args.events.num_items)
    model = SasRec.from_params(
        schema=features,
        embedding_dim=DIM,
        num_heads=1,
        num_blocks=2,
        max_sequence_length=WINDOW,
        dropout=0.2,
    )
    net = LightningModule(model, optimizer_factory=OptimizerFactory(learning_rate=0.001))
    trainer, epochs = lightning_trainer(pytorch, args, limit_val_batches=0)
    with tempfile.TemporaryDirectory() as folder:
        data = module(events, Path(folder), features)
        trainer.fit(net, datamodule=data)
        seconds, scores = timed(partial(trainer.predict, net, datamodule=data))
    return {
        "examples": events.count_pairs(WINDOW),
        **training(epochs, args),
        "recommend": seconds,
        "test": events.metrics(best(scores, events)),
    }


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = command_line(__doc__, repeat=2)
    add_events(parser)
    return parser


if __name__ == "__main__":
    run(options(), measure)
