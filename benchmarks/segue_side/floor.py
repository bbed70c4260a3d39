"""The lower bound of HGN on Amazon CDs: its matrix products and its optimiser at the rates of this machine."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from benchmarks.measurement import cpu_seconds
from benchmarks.segue_side.data_sets import AMAZON_CDS, load
from benchmarks.segue_side.hgn import CDS, untrained

if TYPE_CHECKING:
    from segue.batches.batch import SequenceBatch

ADAM_BYTES = 28  # per float32 parameter: weight, gradient and two moments are read; all but the gradient are written


def floor(args: argparse.Namespace) -> dict[str, Any]:
    """Rates of this machine, and the minimal arithmetic and memory traffic of HGN on Amazon CDs.

    `epochs` and `rankings` are the seconds that these take, in the form of a measurement.
    """
    import numpy as np

    from segue.evaluation.protocol import Protocol

    log = load(AMAZON_CDS)
    model, split = untrained(log, CDS, args, preset="paper"), Protocol.named("hgn").split(log)
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
    return 2 * 1024**3 / min(cpu_seconds(lambda: torch.matmul(a, b, out=out)) for _ in range(20))


def _memory_rate() -> float:
    """Bytes read and written per second: the best of 10 additions of two arrays of 128 MiB."""
    import torch

    a, b, out = (torch.ones(1 << 25) for _ in range(3))
    return 3 * 4 * len(out) / min(cpu_seconds(lambda: torch.add(a, b, out=out)) for _ in range(10))
