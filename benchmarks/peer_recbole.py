"""Measures RecBole's HGN and other sequence models with one thread and prints one JSON line.

Runs in the environment that `recbole_setup.sh` sets up:

    .bench/recbole/venv/bin/python benchmarks/peer_recbole.py whole
    .bench/recbole/venv/bin/python benchmarks/peer_recbole.py epoch --data ml-1m --loss BPR
    .bench/recbole/venv/bin/python benchmarks/peer_recbole.py epoch --data ml-1m --model SASRec --batches 3

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

import argparse
import contextlib
import itertools
import json
import os
import resource
import sys
import tempfile
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_START = time.perf_counter()
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

Clock = tuple[float, float]


def apply_shims() -> None:
    """Add what RecBole 1.2.1 needs to run with NumPy 2 and torch 2.6 or newer; see above."""
    import numpy as np
    import torch

    for name, value in {
        "float_": np.float64,
        "complex_": np.complex128,
        "unicode_": np.str_,
    }.items():
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
    torch.set_num_threads(1)


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """RecBole settings that differ from its defaults."""
    config: dict[str, Any] = {
        "seed": args.seed,
        "loss_type": args.loss,
        "embedding_size": args.dim,
        "MAX_ITEM_LIST_LENGTH": args.window,
        "train_batch_size": args.batch,
        "data_path": str(args.root.resolve() / "data"),
        "use_gpu": False,
        "gpu_id": "",
    }
    if args.loss == "CE":
        config["train_neg_sample_args"] = None
    if args.data != "ml-100k":  # RecBole ships the same choice for ml-100k
        config["load_col"] = {"inter": ["user_id", "item_id", "timestamp"]}
    return config


def clock() -> Clock:
    """Wall and CPU seconds of this process."""
    return time.perf_counter(), time.process_time()


def since(start: Clock) -> dict[str, float]:
    """Wall and CPU seconds since `start`."""
    wall, cpu = clock()
    return {"wall_s": round(wall - start[0], 3), "cpu_s": round(cpu - start[1], 3)}


def whole(args: argparse.Namespace) -> dict[str, Any]:
    """Run `run_recbole` until its early stopping; count its epochs and time its parts."""
    from recbole.quick_start import run_recbole
    from recbole.trainer import Trainer

    spent: dict[str, list[float]] = {"_train_epoch": [], "evaluate": []}

    def timed(name: str) -> None:
        method = getattr(Trainer, name)

        def wrapper(*a: Any, **k: Any) -> Any:
            start = time.process_time()
            result = method(*a, **k)
            spent[name].append(time.process_time() - start)
            return result

        setattr(Trainer, name, wrapper)

    for name in spent:
        timed(name)
    result = run_recbole(model="HGN", dataset=args.data, config_dict=settings(args))
    return {
        "wall_s": round(time.perf_counter() - _START, 3),
        "cpu_s": round(time.process_time(), 3),
        "epochs": len(spent["_train_epoch"]),
        "train_cpu_s": round(sum(spent["_train_epoch"]), 3),
        "evaluate_cpu_s": round(sum(spent["evaluate"]), 3),
        "valid": {k: float(v) for k, v in result["best_valid_result"].items()},
        "test": {k: float(v) for k, v in result["test_result"].items()},
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
    start = clock()
    train, valid, test = data_preparation(config, create_dataset(config))
    out: dict[str, Any] = {"prepare": since(start)}
    out["examples"] = [len(x._dataset) for x in (train, valid, test)]
    out["users"] = train._dataset.user_num - 1  # number 0 is padding
    out["items"] = train._dataset.item_num - 1
    init_seed(config["seed"], config["reproducibility"])
    model = get_model(args.model)(config, train._dataset)
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    trainer.eval_collector.data_collect(train)

    part = Head(train, args.batches) if args.batches else train
    scale = len(train) / len(part)
    out["batches"] = [len(part), len(train)]

    def epoch(number: int) -> dict[str, float]:
        start = clock()
        loss = trainer._train_epoch(part, number)
        loss = sum(loss) if isinstance(loss, tuple) else loss
        seconds = {name: round(seconds * scale, 3) for name, seconds in since(start).items()}
        return {**seconds, "loss": round(float(loss) / len(part), 5)}

    def evaluate(loader: Any) -> dict[str, Any]:
        start = clock()
        result = trainer.evaluate(loader, load_best_model=False)
        seconds = since(start)
        return {**seconds, **{k: float(v) for k, v in result.items()}}

    if args.what == "epoch":
        out["warm_up"] = [epoch(i) for i in range(args.warm_up)]
        out["epochs"] = [epoch(args.warm_up + i) for i in range(args.repeat)]
        if not args.batches:
            out["test"] = evaluate(test)
    else:
        evaluate(valid)
        out["rankings"] = [evaluate(test) for _ in range(args.repeat)]
    return out


def parse(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=["whole", "epoch", "eval"])
    parser.add_argument("--data", choices=["ml-100k", "ml-1m"], default="ml-100k")
    models = ["HGN", "SASRec", "GRU4Rec", "Caser", "NextItNet", "NARM", "STAMP"]
    parser.add_argument("--model", choices=models, default="HGN")
    parser.add_argument("--loss", choices=["CE", "BPR"], default="CE")
    parser.add_argument("--window", type=int, help="default: 50 for CE, 5 for BPR")
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--batch", type=int, default=2048)
    parser.add_argument("--seed", type=int, default=2020, help="default: RecBole's")
    parser.add_argument("--warm-up", type=int, default=1, help="epochs not counted")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--batches", type=int, help="number of batches of each epoch that are run; all by default")
    parser.add_argument("--root", type=Path, default=Path(".bench/recbole"))
    args = parser.parse_args(argv)
    if args.window is None:
        args.window = 50 if args.loss == "CE" else 5
    return args


def main() -> None:
    """Measure and print one JSON line on standard output; RecBole's logs go to standard error."""
    args = parse(sys.argv[1:])
    args.root = args.root.resolve()
    del sys.argv[1:]  # RecBole would read them as its own settings
    apply_shims()
    with (  # RecBole writes logs and checkpoints into the current folder
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        contextlib.redirect_stdout(sys.stderr),
    ):
        result = whole(args) if args.what == "whole" else parts(args)
    options = {k: v for k, v in vars(args).items() if k not in ("root", "warm_up", "repeat")}
    # Linux counts ru_maxrss in KiB.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({**options, **result, "peak_rss_mib": round(peak, 1)}))


if __name__ == "__main__":
    main()
