"""Measures RePlay's SASRec or BERT4Rec on ml-1m with one thread and prints one JSON line.

    .bench/replay/venv/bin/python -m benchmarks.peers.replay --events .bench/ml-1m.npz

An epoch of RePlay uses the last L + 1 training rows of each user, every position with its next item: at most L
(prefix, next item) pairs per user, 437,939 of the 982,089 with L = 100. Rows are padded to L on the left; padding is
computed and scored against all items, but not part of the loss. The model is `SasRec.from_params` with its
cross-entropy over all items and RePlay's learning rate, with RePlay's ParquetModule and Lightning's trainer; only a
clock is added. BERT4Rec masks 15% of the items of the last L training rows of each user instead, and is RePlay's older
`Bert4Rec` with the data sets of PyTorch. After the last epoch ten unseen items are recommended to each user and
evaluated as segue's are. With BATCHES the time is not scaled, so that it means nothing: a test that everything runs.
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


def schema(num_items: int, padding: int) -> Any:
    """RePlay's schema of a log with item ids from 0; rows are padded with the id `padding`."""
    from replay.data import FeatureHint, FeatureSource, FeatureType
    from replay.data.nn import TensorFeatureInfo, TensorFeatureSource, TensorSchema

    return TensorSchema(
        [
            TensorFeatureInfo(
                "item_id",
                is_seq=True,
                feature_type=FeatureType.CATEGORICAL,
                embedding_dim=DIM,
                padding_value=padding,
                cardinality=num_items,
                feature_hint=FeatureHint.ITEM_ID,
                feature_sources=[TensorFeatureSource(FeatureSource.INTERACTIONS, "item_id")],
            )
        ]
    )


def last_items(events: Events, *, held_out: int, length: int) -> list[Ids]:
    """The last `length` items of each user before the last `held_out`, numbered from 0."""
    ends = events.offsets[1:] - held_out
    starts = (ends - length).clip(events.offsets[:-1])
    return [events.items[start:end] - 1 for start, end in zip(starts, ends, strict=True)]


def parquet(events: Events, path: Path, *, held_out: int, length: int) -> str:
    """Write one row per user with its `last_items`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = last_items(events, held_out=held_out, length=length)
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


def best(scored: list[Any], events: Events) -> Ids:
    """(users, 10) the unseen items with the highest scores of each user."""
    import torch

    scores = torch.cat([batch["logits"] if isinstance(batch, dict) else batch for batch in scored])
    user, item, _ = events.without_last(1)
    scores[torch.from_numpy(user - 1), torch.from_numpy(item - 1)] = -torch.inf
    return (scores.topk(K).indices + 1).numpy()


def sasrec(events: Events, args: argparse.Namespace) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """The model, the data that it is trained with, and the data that it scores, as arguments of the trainer."""
    from replay.nn.lightning import LightningModule
    from replay.nn.lightning.optimizer import OptimizerFactory
    from replay.nn.sequential import SasRec

    features = schema(events.num_items, padding=events.num_items)
    model = SasRec.from_params(
        schema=features,
        embedding_dim=DIM,
        num_heads=args.num_heads,
        num_blocks=2,
        max_sequence_length=WINDOW,
        dropout=0.2,
    )
    data = module(events, args.folder, features)
    net = LightningModule(model, optimizer_factory=OptimizerFactory(learning_rate=0.001))
    return net, {"datamodule": data}, {"datamodule": data}


def bert4rec(events: Events, args: argparse.Namespace) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """The same of BERT4Rec."""
    from replay.models.nn.optimizer_utils import FatOptimizerFactory
    from replay.models.nn.sequential.bert4rec import Bert4Rec, Bert4RecPredictionDataset, Bert4RecTrainingDataset
    from torch.utils.data import DataLoader

    features = schema(events.num_items, padding=0)  # which its mask of the padding hides
    net = Bert4Rec(
        features,
        block_count=2,
        head_count=args.num_heads,
        hidden_size=DIM,
        max_seq_len=WINDOW,
        dropout_rate=0.2,
        enable_embedding_tying=True,
        optimizer_factory=FatOptimizerFactory(learning_rate=0.001),
    )
    train = Bert4RecTrainingDataset(sequences(events, features, held_out=2), WINDOW)
    asked = Bert4RecPredictionDataset(sequences(events, features, held_out=1), WINDOW)
    loaders = DataLoader(train, BATCH, shuffle=True), DataLoader(asked, BATCH)
    return net, {"train_dataloaders": loaders[0]}, {"dataloaders": loaders[1]}


def sequences(events: Events, features: Any, *, held_out: int) -> Any:
    """RePlay's SequentialDataset of the last rows before the last `held_out` of each user."""
    import pandas as pd
    from replay.data.nn import PandasSequentialDataset

    rows = last_items(events, held_out=held_out, length=WINDOW)
    table = pd.DataFrame({"user_id": range(1, len(rows) + 1), "item_id": rows})
    return PandasSequentialDataset(features, "user_id", "item_id", table)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Train, recommend and evaluate."""
    from lightning import pytorch

    pytorch.seed_everything(args.seed)
    trainer, epochs = lightning_trainer(pytorch, args, limit_val_batches=0)
    with tempfile.TemporaryDirectory() as folder:
        args.folder = Path(folder)
        make = sasrec if args.model == "SASRec" else bert4rec
        net, training_data, asked = make(args.events, args)
        trainer.fit(net, **training_data)
        seconds, scores = timed(partial(trainer.predict, net, **asked))
    return {
        "examples": args.events.count_pairs(WINDOW),
        **training(epochs, args),
        "recommend": seconds,
        "test": args.events.metrics(best(scores, args.events)),
    }


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = command_line(__doc__, repeat=2)
    parser.add_argument("--model", choices=["SASRec", "BERT4Rec"], default="SASRec")
    parser.add_argument("--num-heads", type=int, default=1)
    add_events(parser)
    return parser


if __name__ == "__main__":
    run(options(), measure)
