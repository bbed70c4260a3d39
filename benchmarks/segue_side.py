"""Measure segue in this process, one thread, and print one JSON line: the counterpart of peer_recbole.py.

python -m benchmarks.segue_side whole
python -m benchmarks.segue_side epoch --data ml-1m --loss BPR --per-row 4

whole    a recipe from the log to the test figures, as `segue run` does it
epoch    training epochs after one that is not counted
eval     full rankings of the test part, metrics included, after one that is not counted
cds      both of these for HGN on Amazon CDs
floor    what the machine can do, and what the CDs' shapes ask of it
sequence training epochs of other models, set as a peer sets them (sequence.py), and a test where epochs are whole
export   ml-1m as the peers' scripts read it
ingest   reading 20 million rows; each reading is a process of its own
fetch    nothing: it only makes sure that the data sets are here
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.sequence import SETTINGS, export, sequence

if TYPE_CHECKING:
    from segue.batches.batch import Batch
    from segue.data.log import Log
    from segue.evaluation.protocol import Protocol
    from segue.models.sequential.hgn import HGN

# What `whole` runs: fields of Recipe beside the model and the protocol. Chosen on validation, never on the test.
WHOLE: dict[str, Any] = {"preset": "recbole", "settings": {"window": 5, "per_row": 4, "lr": 3e-3}, "patience": 5}
# The models of the other measurements: what the peer is given too.
SMALL = {
    "CE": {"loss": "ce", "window": 50},
    "BPR": {"loss": "bpr", "window": 5},
}
CDS: dict[str, Any] = {"embedding_dim": 50, "window": 5, "targets": 3, "batch_size": 4096, "loss": "bpr"}
METRICS = ("recall@10", "mrr@10", "ndcg@10", "hit@10", "precision@10")
ADAM_BYTES = 28  # of a float32 parameter: weight, gradient and two moments are read; all but the gradient written


def timed(work: Callable[[], Any]) -> tuple[dict[str, float], Any]:
    """Wall and CPU seconds of `work`, and what it returned."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}, result


def whole(args: argparse.Namespace) -> dict[str, Any]:
    """Load, split, train with early stopping, test."""
    from segue.data.datasets import catalog
    from segue.evaluation.metrics import measure
    from segue.evaluation.protocol import Protocol
    from segue.experiments.experiment import Experiment

    shorter = {"epochs": args.repeat} if args.quick else {}
    plan = {**WHOLE, "settings": {**WHOLE["settings"], **shorter}}
    recipe = Experiment(model="hgn", protocol=Protocol.named("recbole"), seed=args.seed, **plan)
    outcome = recipe.run(catalog.load(args.data))
    return {
        "epochs": len(outcome.training.epochs),
        "best": outcome.training.best,
        "train_cpu_s": outcome.training.cpu_seconds,
        "recipe": recipe.as_dict(),
        "test": {metric: float(measure(outcome.result.ranks, metric).mean()) for metric in METRICS},
    }


def epoch(args: argparse.Namespace) -> dict[str, Any]:
    """Train on what RecBole trains on: every prefix of what leave-one-out leaves."""
    from segue.evaluation.protocol import Protocol

    log, model = _small(args)
    return _epochs(model, Protocol.named("recbole").split(log).train, args)


def evaluate(args: argparse.Namespace) -> dict[str, Any]:
    """Rank the test part of an untrained model: the work does not depend on the weights."""
    from segue.evaluation.protocol import Protocol

    log, model = _small(args)
    return _rankings(model, log, Protocol.named("recbole"), args)


def cds(args: argparse.Namespace) -> dict[str, Any]:
    """Train on train and validation, rank the test part."""
    from segue.evaluation.protocol import Protocol

    log, model = _cds(args)
    protocol = Protocol.named("hgn")
    trained = _epochs(model, protocol.split(log).train_valid, args)
    return {**trained, **_rankings(model, log, protocol, args)}


def floor(args: argparse.Namespace) -> dict[str, Any]:
    """Rates of this machine, and the arithmetic and traffic that no program for the CDs can go below."""
    import numpy as np

    from segue.evaluation.protocol import Protocol

    log, model = _cds(args)
    split = Protocol.named("hgn").split(log)
    batches = list(model.batches(split.train_valid, np.random.default_rng(args.seed)))
    parameters = sum(weight.numel() for weight in model.parameters())
    asked = len(split.instances("test"))
    return {
        "gemm_flops_s": _gemm_rate(),
        "memory_bytes_s": _memory_rate(),
        "epoch_flops": sum(products(batch, model.config.embedding_dim) for batch in batches),
        "epoch_bytes": ADAM_BYTES * parameters * len(batches),
        "eval_flops": 2 * asked * (log.num_items + 1) * model.config.embedding_dim,
        "steps": len(batches),
        "parameters": parameters,
    }


def products(batch: Batch, dim: int) -> int:
    """Multiplications and additions of HGN's products, forwards and backwards (twice as many).

    A position meets the matrix of the feature gate and the vector of the instance gate, a row (its user) the matrices
    of both; each question sums its window twice (gated and as it is), and meets its targets and as many negatives.
    """
    assert batch.asked is not None
    positions, rows = batch.history.numel(), len(batch)
    window = batch.history.shape[1] - batch.asked.shape[1] + 1
    questions = int(batch.asked.sum())
    gates = positions * (dim * dim + dim) + rows * (dim * dim + dim * window)
    scores = questions * 2 * (window + CDS["targets"]) * dim
    return 3 * 2 * (gates + scores)


def _gemm_rate() -> float:
    """Operations a second of the best of 20 products of float32 matrices that stay in the cache."""
    import torch

    a, b = torch.rand(1024, 1024), torch.rand(1024, 1024)
    out = a @ b
    return 2 * 1024**3 / min(timed(lambda: torch.matmul(a, b, out=out))[0]["cpu_s"] for _ in range(20))


def _memory_rate() -> float:
    """Bytes read and written a second, by the best of 10 additions of 128 MiB to 128 MiB."""
    import torch

    a, b, out = (torch.ones(1 << 25) for _ in range(3))
    return 3 * 4 * len(out) / min(timed(lambda: torch.add(a, b, out=out))[0]["cpu_s"] for _ in range(10))


def ingest(args: argparse.Namespace) -> dict[str, Any]:
    """Write the events once, read them several times."""
    import tempfile
    from multiprocessing import get_context

    from benchmarks.ingest import generate, measure

    rows = 200_000 if args.quick else 20_000_000
    readings = []
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "events.csv"), Path(folder, "log")
        # in a process of its own: a child's peak memory starts from its parent's
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


def fetch(_args: argparse.Namespace) -> dict[str, Any]:
    """Which data sets are here, or why not; their files are fetched and compiled code is written on the way."""
    from segue.data.datasets import catalog
    from segue.errors import DataError

    missing = {}
    for name in ("hgn-cds", "ml-100k", "ml-1m"):
        if name != "hgn-cds":
            os.environ.pop("SEGUE_DATA", None)  # so that they are in the cache, where the measurements read them
        try:
            catalog.load(name)
        except DataError as error:
            missing[name] = str(error)
    return {"missing": missing}


def _small(args: argparse.Namespace) -> tuple[Log, HGN]:
    from segue.data.datasets import catalog

    log = catalog.load(args.data)
    return log, _hgn(log, {**SMALL[args.loss], "embedding_dim": 64, "batch_size": 2048}, args, preset="recbole")


def _cds(args: argparse.Namespace) -> tuple[Log, HGN]:
    from segue.data.datasets import catalog

    log = catalog.load("hgn-cds")
    return log, _hgn(log, CDS, args)


def _hgn(log: Log, settings: dict[str, Any], args: argparse.Namespace, preset: str | None = None) -> HGN:
    import torch

    from segue.models.base.model import Sizes
    from segue.models.sequential.hgn import HGN

    torch.manual_seed(args.seed)
    epochs = 1 + args.repeat
    config = HGN.configure({**settings, "per_row": args.per_row, "epochs": epochs}, preset)
    return HGN(config, Sizes(log.num_users, log.num_items))


def _epochs(model: HGN, log: Log, args: argparse.Namespace) -> dict[str, Any]:
    import numpy as np

    from segue.training.loop import fit

    batches = model.batches(log, np.random.default_rng(args.seed))
    examples = sum(int(batch.asked.sum()) for batch in batches if batch.asked is not None)
    warm_up, *epochs = (
        {"wall_s": done.seconds, "cpu_s": done.cpu_seconds, "loss": done.loss}
        for done in fit(model, log, seed=args.seed).epochs
    )
    return {"examples": examples, "warm_up": warm_up, "epochs": epochs}


def _rankings(model: HGN, log: Log, protocol: Protocol, args: argparse.Namespace) -> dict[str, Any]:
    from segue.evaluation.metrics import measure

    split = protocol.split(log)

    def once() -> dict[str, float]:
        ranks = protocol.rank(model, split, "test")
        return {metric: float(measure(ranks, metric).mean()) for metric in METRICS}

    once()
    rankings = []
    for _ in range(args.repeat):
        seconds, values = timed(once)
        rankings.append({**seconds, **values})
    return {"users": log.num_users, "items": log.num_items, "depth": protocol.depth, "test": rankings}


KINDS = {
    "whole": whole,
    "epoch": epoch,
    "eval": evaluate,
    "cds": cds,
    "floor": floor,
    "sequence": sequence,
    "export": export,
    "ingest": ingest,
    "fetch": fetch,
}


def main(argv: list[str] | None = None) -> None:
    """Measure and print one JSON line on standard output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=KINDS)
    parser.add_argument("--data", choices=["ml-100k", "ml-1m"], default="ml-100k")
    parser.add_argument("--loss", choices=["CE", "BPR"], default="CE")
    parser.add_argument("--per-row", type=int, default=1, help="neighbouring windows that share a batch row")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeat", type=int, default=5, help="measurements after the one that is not counted")
    parser.add_argument("--warm-up", type=int, default=1, help="sequence: epochs that are not counted")
    parser.add_argument(
        "--setting", choices=SETTINGS, default="sasrec-bce", help="sequence: the model and its settings"
    )
    parser.add_argument("--batches", type=int, help="sequence: how many of an epoch's are run; by default all")
    parser.add_argument("--events", type=Path, help="export: the file to write")
    parser.add_argument("--quick", action="store_true", help="whole: REPEAT epochs; ingest: 200,000 rows")
    args = parser.parse_args(argv)
    if args.what not in ("fetch", "ingest"):
        os.environ["OMP_NUM_THREADS"] = "1"
        import torch

        torch.set_num_threads(1)
    asked = {key: value for key, value in vars(args).items() if key != "events"}
    print(json.dumps({**asked, **KINDS[args.what](args)}))


if __name__ == "__main__":
    main()
