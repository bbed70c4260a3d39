"""Measures segue in this process, with one thread, and prints one JSON line: the counterpart of peer_recbole.py.

python -m benchmarks.segue_side whole
python -m benchmarks.segue_side epoch --data ml-1m --loss BPR --per-row 4

whole     an experiment from the log to the test metrics, as in `segue run`
epoch     training epochs after a warm-up epoch
eval      full rankings of the test part, including metrics, after a warm-up
cds       both of these for HGN on Amazon CDs
floor     the speed of the machine, and the arithmetic and memory traffic of HGN on Amazon CDs
sequence  training epochs of other models with a peer's settings (sequence_models.py), and a test if epochs are whole
item-knn  fits and full rankings as implicit's (collaborative.py), and a test
bprmf     training epochs as implicit's (collaborative.py), and a test
export    ml-1m as the peers' scripts read it
ingest    reading 20 million rows; each reading is a process of its own
handwritten  every hand-written part against the plain way in torch (handwritten.py)
fetch     no measurement: only makes sure that the data sets are available
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.collaborative import bprmf, item_knn
from benchmarks.segue_common import quality, timed
from benchmarks.sequence_models import SETTINGS, export, sequence

if TYPE_CHECKING:
    from segue.batches.batch import SequenceBatch
    from segue.data.log import Log
    from segue.evaluation.protocol import Protocol
    from segue.models.sequential.hgn import HGN

# Fields of the experiment of `whole`, besides model and protocol. Chosen on validation, never on the test set.
WHOLE: dict[str, Any] = {
    "preset": "recbole",
    "settings": {"window": 5, "windows_per_row": 4, "lr": 3e-3},
    "patience": 5,
}
# The settings of HGN in `epoch` and `eval`, the same as those of the peer.
SMALL = {
    "CE": {"loss": "ce", "window": 50},
    "BPR": {"loss": "bpr", "window": 5},
}
CDS: dict[str, Any] = {"embedding_dim": 50, "window": 5, "num_targets": 3, "batch_size": 4096, "loss": "bpr"}
ADAM_BYTES = 28  # per float32 parameter: weight, gradient and two moments are read; all but the gradient are written


def whole(args: argparse.Namespace) -> dict[str, Any]:
    """Load the log, split, train with early stopping, test."""
    from segue.data.datasets import catalog
    from segue.evaluation.protocol import Protocol
    from segue.experiments.experiment import Experiment

    shorter = {"epochs": args.repeat} if args.quick else {}
    plan = {**WHOLE, "settings": {**WHOLE["settings"], **shorter}}
    experiment = Experiment(model="hgn", protocol=Protocol.named("recbole"), seed=args.seed, **plan)
    outcome = experiment.run(catalog.load_log(args.data))
    return {
        "epochs": len(outcome.training.epochs),
        "best": outcome.training.best,
        "train_cpu_s": outcome.training.cpu_seconds,
        "experiment": experiment.as_dict(),
        "test": quality(outcome.result.predictions),
    }


def epoch(args: argparse.Namespace) -> dict[str, Any]:
    """Train on the same examples as RecBole: every prefix of the leave-one-out training part. Then test."""
    from segue.evaluation.protocol import Protocol

    log, model = _small(args)
    protocol = Protocol.named("recbole")
    trained = _epochs(model, protocol.split(log).train, args)
    return {**trained, "test": quality(protocol.rank(model, protocol.split(log), "test"))}


def evaluate(args: argparse.Namespace) -> dict[str, Any]:
    """Rank the test part with an untrained model: the time does not depend on the weights."""
    from segue.evaluation.protocol import Protocol

    log, model = _small(args)
    return _rankings(model, log, Protocol.named("recbole"), args)


def cds(args: argparse.Namespace) -> dict[str, Any]:
    """Train on train and validation, then rank the test part."""
    from segue.evaluation.protocol import Protocol

    log, model = _cds(args)
    protocol = Protocol.named("hgn")
    split = protocol.split(log)
    trained = _epochs(model, split.train_valid, args)
    tested = quality(protocol.rank(model, split, "test"))
    return {**trained, **_rankings(model, log, protocol, args), "test": tested}


def floor(args: argparse.Namespace) -> dict[str, Any]:
    """Rates of this machine, and the minimal arithmetic and memory traffic of HGN on Amazon CDs.

    `epochs` and `rankings` are the seconds that these take, in the form of a measurement.
    """
    import numpy as np

    from segue.evaluation.protocol import Protocol

    log, model = _cds(args)
    split = Protocol.named("hgn").split(log)
    batches = list(model.batches(split.train_valid, np.random.default_rng(args.seed)))
    parameters = sum(weight.numel() for weight in model.parameters())
    num_instances = len(split.instances("test"))
    epoch_flops = sum(products(batch, model.config.embedding_dim) for batch in batches)
    eval_flops = 2 * num_instances * (log.num_items + 1) * model.config.embedding_dim
    epoch_bytes = ADAM_BYTES * parameters * len(batches)
    gemm, memory = _gemm_rate(), _memory_rate()
    epoch_s, ranking_s = epoch_flops / gemm + epoch_bytes / memory, eval_flops / gemm
    return {
        "gemm_flops_s": gemm,
        "memory_bytes_s": memory,
        "epoch_flops": epoch_flops,
        "epoch_bytes": epoch_bytes,
        "eval_flops": eval_flops,
        "steps": len(batches),
        "parameters": parameters,
        "epochs": [{"wall_s": epoch_s, "cpu_s": epoch_s}],
        "rankings": [{"wall_s": ranking_s, "cpu_s": ranking_s}],
    }


def products(batch: SequenceBatch, dim: int) -> int:
    """Multiplications and additions of HGN's matrix products in the forward and the backward pass (twice as many).

    Each position is multiplied by the matrix of the feature gate and the vector of the instance gate, and each row (the
    user) by the user matrices of both. Each query sums its window twice, with and without gates, and is multiplied by
    its targets and as many negatives.
    """
    positions, rows = batch.history.numel(), len(batch)
    window = batch.history.shape[1] - batch.target_mask.shape[1] + 1
    queries = int(batch.target_mask.sum())
    gates = positions * (dim * dim + dim) + rows * (dim * dim + dim * window)
    scores = queries * 2 * (window + CDS["num_targets"]) * dim
    return 3 * 2 * (gates + scores)


def _gemm_rate() -> float:
    """Operations per second: the best of 20 products of float32 matrices that fit into the cache."""
    import torch

    a, b = torch.rand(1024, 1024), torch.rand(1024, 1024)
    out = a @ b
    return 2 * 1024**3 / min(timed(lambda: torch.matmul(a, b, out=out))[0]["cpu_s"] for _ in range(20))


def _memory_rate() -> float:
    """Bytes read and written per second: the best of 10 additions of two arrays of 128 MiB."""
    import torch

    a, b, out = (torch.ones(1 << 25) for _ in range(3))
    return 3 * 4 * len(out) / min(timed(lambda: torch.add(a, b, out=out))[0]["cpu_s"] for _ in range(10))


def ingest(args: argparse.Namespace) -> dict[str, Any]:
    """Write the events once and read them several times."""
    import tempfile
    from multiprocessing import get_context

    from benchmarks.ingest import generate, measure

    rows = 200_000 if args.quick else 20_000_000
    readings = []
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "events.csv"), Path(folder, "log")
        # in a process of its own: the peak memory of a child starts at that of its parent
        shape = {"text": False, "shuffled": False}
        maker = get_context("spawn").Process(target=generate, args=(source, rows), kwargs=shape)
        maker.start()
        maker.join()
        if maker.exitcode:
            raise SystemExit("the events could not be written")
        for _ in range(args.repeat):
            wall = time.perf_counter()
            cpu, peak_gib = measure(source, target)
            wall = time.perf_counter() - wall
            readings.append({"wall_s": wall, "cpu_s": cpu, "peak_mb": peak_gib * 2**30 / 1e6})
    return {"rows": rows, "readings": readings}


def handwritten(args: argparse.Namespace) -> dict[str, Any]:
    """Measure every hand-written part and the plain way in torch."""
    from benchmarks.handwritten import PARTS, measure

    return {"parts": measure(list(PARTS), args.repeat, steps=not args.layers)}


def fetch(_args: argparse.Namespace) -> dict[str, Any]:
    """Download the data sets; returns those that are not available, with the reason."""
    from segue.data.datasets import catalog
    from segue.errors import DataError

    missing = {}
    for name in ("hgn-cds", "ml-100k", "ml-1m"):
        if name != "hgn-cds":
            os.environ.pop("SEGUE_DATA", None)  # the measurements read them from the cache
        try:
            catalog.load_log(name)
        except DataError as error:
            missing[name] = str(error)
    return {"missing": missing}


def _small(args: argparse.Namespace) -> tuple[Log, HGN]:
    from segue.data.datasets import catalog

    log = catalog.load_log(args.data)
    return log, _hgn(log, {**SMALL[args.loss], "embedding_dim": 64, "batch_size": 2048}, args, preset="recbole")


def _cds(args: argparse.Namespace) -> tuple[Log, HGN]:
    from segue.data.datasets import catalog

    log = catalog.load_log("hgn-cds")
    return log, _hgn(log, CDS, args)


def _hgn(log: Log, settings: dict[str, Any], args: argparse.Namespace, preset: str | None = None) -> HGN:
    import torch

    from segue.models.base.model import Sizes
    from segue.models.sequential.hgn import HGN

    torch.manual_seed(args.seed)
    epochs = 1 + args.repeat
    config = HGN.configure({**settings, "windows_per_row": args.windows_per_row, "epochs": epochs}, preset)
    return HGN(config, Sizes(log.num_users, log.num_items))


def _epochs(model: HGN, log: Log, args: argparse.Namespace) -> dict[str, Any]:
    import numpy as np

    from segue.training.loop import fit

    batches = model.batches(log, np.random.default_rng(args.seed))
    examples = sum(int(batch.target_mask.sum()) for batch in batches)
    warm_up, *epochs = (
        {"wall_s": done.seconds, "cpu_s": done.cpu_seconds, "loss": done.loss}
        for done in fit(model, log, seed=args.seed).epochs
    )
    return {"examples": examples, "warm_up": [warm_up], "epochs": epochs}


def _rankings(model: HGN, log: Log, protocol: Protocol, args: argparse.Namespace) -> dict[str, Any]:
    split = protocol.split(log)

    def once() -> dict[str, float]:
        return quality(protocol.rank(model, split, "test"))

    once()
    rankings = [timed(once)[0] for _ in range(args.repeat)]
    return {"users": log.num_users, "items": log.num_items, "depth": protocol.depth, "rankings": rankings}


MEASUREMENTS = {
    "whole": whole,
    "epoch": epoch,
    "eval": evaluate,
    "cds": cds,
    "floor": floor,
    "sequence": sequence,
    "item-knn": item_knn,
    "bprmf": bprmf,
    "export": export,
    "ingest": ingest,
    "handwritten": handwritten,
    "fetch": fetch,
}


def main(argv: list[str] | None = None) -> None:
    """Measure and print one JSON line on standard output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=MEASUREMENTS)
    parser.add_argument("--data", choices=["ml-100k", "ml-1m"], default="ml-100k")
    parser.add_argument("--loss", choices=["CE", "BPR"], default="CE")
    parser.add_argument(
        "--windows-per-row", type=int, default=1, help="consecutive windows of a user that share a batch row"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeat", type=int, default=5, help="measurements after the warm-up")
    parser.add_argument("--warm-up", type=int, default=1, help="sequence, item-knn, bprmf: epochs or fits not counted")
    parser.add_argument(
        "--setting", choices=SETTINGS, default="sasrec-bce", help="sequence: the model and its settings"
    )
    parser.add_argument(
        "--batches", type=int, help="sequence: number of batches of each epoch that are run; all by default"
    )
    parser.add_argument("--preset", help="bprmf: a preset of the model's settings")
    parser.add_argument("--layers", action="store_true", help="handwritten: the layers alone, without training steps")
    parser.add_argument("--events", type=Path, help="export: the file to write")
    parser.add_argument("--quick", action="store_true", help="whole: REPEAT epochs; ingest: 200,000 rows")
    args = parser.parse_args(argv)
    if args.what not in ("fetch", "ingest"):
        os.environ["OMP_NUM_THREADS"] = "1"
        import torch

        torch.set_num_threads(1)
    options = {key: value for key, value in vars(args).items() if key != "events"}
    print(json.dumps({**options, **MEASUREMENTS[args.what](args)}))


if __name__ == "__main__":
    main()
