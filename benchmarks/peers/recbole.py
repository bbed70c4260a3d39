"""Measures RecBole's HGN and other sequence models with one thread and prints one JSON line.

    .bench/recbole/venv/bin/python -m benchmarks.peers.recbole whole
    .bench/recbole/venv/bin/python -m benchmarks.peers.recbole epoch --data ml-1m --loss BPR
    .bench/recbole/venv/bin/python -m benchmarks.peers.recbole epoch --data ml-1m --model SASRec --batches 3

`whole` is the command of RecBole's HGN page, from process start to the test metrics. `epoch` is one training epoch
after a warm-up epoch. If an epoch takes too long, the first BATCHES batches are run and their time is scaled to the
epoch; otherwise the model is tested after the last epoch. `eval` is full rankings of the test part. RecBole's data
preparation, trainer, model and metrics run unchanged.

RecBole 1.2.1 is older than NumPy 2 and torch 2.6, and requires ray. Therefore some names are added:

* `numpy.float_`, `complex_`, `unicode_`: removed from NumPy 2, used by `Config`.
* `torch.load`: `weights_only` became True in torch 2.6; a checkpoint contains a `Config`.
* `ray`: imported by `recbole.quick_start` for tuning only; replaced by an empty module.

One setting differs from the page: `train_neg_sample_args=None`, since RecBole 1.2.1 refuses a CE loss with its own
default of this setting.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import sys
import tempfile
import types
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measurement import command_line, run, scaled, timed

WINDOWS = {"CE": 50, "BPR": 5}


def apply_shims() -> None:
    """Add what RecBole 1.2.1 needs to run with NumPy 2 and torch 2.6 or newer; see above."""
    import numpy as np
    import torch

    for name, value in {"float_": np.float64, "complex_": np.complex128, "unicode_": np.str_}.items():
        if name not in np.__dict__:
            setattr(np, name, value)
    load = torch.load

    def load_objects(*args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("weights_only", False)
        return load(*args, **kwargs)

    torch.load = load_objects
    ray = types.ModuleType("ray")
    ray.tune = types.ModuleType("ray.tune")  # type: ignore[attr-defined]
    sys.modules.setdefault("ray", ray)


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """RecBole settings that differ from its defaults."""
    config: dict[str, Any] = {
        "seed": args.seed,
        "loss_type": args.loss,
        "embedding_size": 64,
        "MAX_ITEM_LIST_LENGTH": WINDOWS[args.loss],
        "train_batch_size": 2048,
        "data_path": str(args.root / "data"),
        "use_gpu": False,
        "gpu_id": "",
    }
    if args.loss == "CE":
        config["train_neg_sample_args"] = None
    if args.data != "ml-100k":  # RecBole ships the same choice for ml-100k
        config["load_col"] = {"inter": ["user_id", "item_id", "timestamp"]}
    return config


def whole(args: argparse.Namespace) -> dict[str, Any]:
    """Run `run_recbole` until its early stopping, and count its epochs; the process is timed from outside."""
    from recbole.quick_start import run_recbole
    from recbole.trainer import Trainer

    train_epoch, num_epochs = Trainer._train_epoch, 0

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal num_epochs
        num_epochs += 1
        return train_epoch(*args, **kwargs)

    Trainer._train_epoch = counted
    result = run_recbole(model="HGN", dataset=args.data, config_dict=settings(args))
    return {
        "epochs": num_epochs,
        "valid": {name: float(value) for name, value in result["best_valid_result"].items()},
        "test": {name: float(value) for name, value in result["test_result"].items()},
    }


class Head:
    """A data loader that ends after some batches; all other attributes are those of the loader."""

    def __init__(self, loader: Any, batches: int) -> None:
        self._loader = loader
        self._batches = min(batches, len(loader))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def __len__(self) -> int:
        return self._batches

    def __iter__(self) -> Iterator[Any]:
        return itertools.islice(iter(self._loader), self._batches)


def parts(args: argparse.Namespace) -> dict[str, Any]:
    """Time training epochs (`epoch`) or full rankings (`eval`)."""
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    config = Config(model=args.model, dataset=args.data, config_dict=settings(args))
    init_seed(config["seed"], config["reproducibility"])
    train, valid, test = data_preparation(config, create_dataset(config))
    init_seed(config["seed"], config["reproducibility"])
    model = get_model(args.model)(config, train._dataset)
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    trainer.eval_collector.data_collect(train)
    part = Head(train, args.batches) if args.batches else train

    def epoch(number: int) -> dict[str, float]:
        seconds, loss = timed(partial(trainer._train_epoch, part, number))
        loss = sum(loss) if isinstance(loss, tuple) else loss
        return {**scaled(seconds, len(train) / len(part)), "loss": float(loss) / len(part)}

    def evaluate(loader: Any) -> dict[str, float]:
        seconds, metrics = timed(partial(trainer.evaluate, loader, load_best_model=False))
        return {**seconds, **{name: float(value) for name, value in metrics.items()}}

    out: dict[str, Any] = {
        "examples": [len(loader._dataset) for loader in (train, valid, test)],
        "users": train._dataset.user_num - 1,  # number 0 is padding
        "items": train._dataset.item_num - 1,
        "batches_run": [len(part), len(train)],
    }
    if args.what == "eval":
        evaluate(valid)
        return {**out, "rankings": [evaluate(test) for _ in range(args.repeat)]}
    out["warm_up"] = [epoch(number) for number in range(args.warm_up)]
    out["epochs"] = [epoch(args.warm_up + number) for number in range(args.repeat)]
    return out if args.batches else {**out, "test": evaluate(test)}


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Measure in a temporary folder, since RecBole writes logs and checkpoints into the current one."""
    args.root = args.root.resolve()
    del sys.argv[1:]  # RecBole would read them as its own settings
    apply_shims()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        return whole(args) if args.what == "whole" else parts(args)


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = command_line(__doc__, repeat=1, seed=2020)
    parser.add_argument("what", choices=["whole", "epoch", "eval"])
    parser.add_argument("--data", choices=["ml-100k", "ml-1m"], default="ml-100k")
    models = ["HGN", "SASRec", "GRU4Rec", "Caser", "NextItNet", "NARM", "STAMP"]
    parser.add_argument("--model", choices=models, default="HGN")
    parser.add_argument("--loss", choices=list(WINDOWS), default="CE")
    parser.add_argument("--root", type=Path, default=Path(".bench/recbole"))
    return parser


if __name__ == "__main__":
    run(options(), measure)
