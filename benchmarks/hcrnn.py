"""HCRNN-3 with two channels on CiteULike: segue beside a plain version, which does what the authors' program does.

    python -m benchmarks.hcrnn [--data citeulike] [--batches 8] [--rounds 2]

    plain      each question is a sample of its own, padded to the longest of its batch of 512; one step at a time for
               all of them, and autograd keeps what each step made
    exact      `hcrnn`: the same loss of the same batches
    running    `hcrnn-running`: theta taken anew at each step of one walk through a sequence

Each side is a process of its own, in turns, on one thread. A part of an epoch is scaled by the steps of its questions'
histories: 825,868 in an epoch of CiteULike.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from segue.batches.batch import Batch
    from segue.models.sequential.hcrnn.model import HCRNN

SIDES = {"plain": "hcrnn", "exact": "hcrnn", "running": "hcrnn-running"}


def plain_loss(model: HCRNN, batch: Batch) -> Tensor:
    """The loss of `model` for rows that ask once, at their last column: HCRNN-3, two channels, one step at a time."""
    import torch
    from torch.nn.functional import cross_entropy, dropout, elu

    config, history, training = model.config, batch.history, model.training
    count, places, hidden, dim = len(history), history.shape[1], config.hidden_dim, config.embedding_dim
    assert (config.variant, config.attention, config.sigma_parametrization) == (3, "bi", "log")
    assert model.drift_bias is not None
    vectors, real = model.item[history], (history > 0).unsqueeze(2)
    items = torch.zeros(count, len(model.item)).to(vectors).scatter(1, history, 1.0)
    items[:, 0] = 0.0
    bag = dropout(items @ model.item, config.dropout, training)
    code = elu(model.shares.code(bag))
    mean, log = model.shares.mean(code), model.shares.deviation(code)
    noise = config.posterior_noise * torch.randn_like(mean) if training else torch.zeros_like(mean)
    theta = torch.softmax(mean + log.exp() * noise, 1)
    divergence = ((mean.square() + (2 * log).exp() - 1) / 2 - log).sum()
    shares = (theta.unsqueeze(2) * model.memory) @ model.memory_weight  # B K H
    read = dropout(vectors, config.dropout, training)
    state, local = vectors.new_zeros(count, hidden), vectors.new_zeros(count, dim)
    states, locals_ = [], []
    for place in range(places):
        x = read[:, place]
        gates = x @ model.read_weight + model.read_bias
        ours = state @ model.state_weight
        inside = torch.sigmoid(ours[:, None, :hidden] + shares)
        candidate = torch.softmax(inside @ model.memory_attention, 1) @ model.memory
        by_gate, by_update, by_reset = (gates[:, : dim + 2 * hidden] + ours[:, hidden:]).split([dim, hidden, hidden], 1)
        gate = torch.sigmoid(by_gate + local @ model.local_weight)
        now = (1 - gate) * local + gate * candidate
        update = torch.sigmoid(by_update + now @ model.update_weight)
        drift = torch.sigmoid((x * now) @ model.reset_weight + model.drift_bias)
        kept = torch.sigmoid(by_reset) * drift * state
        new = torch.tanh(kept @ model.new_weight + gates[:, dim + 2 * hidden :])
        state = torch.where(real[:, place], (1 - update) * state + update * new, state)
        local = torch.where(real[:, place], now, local)
        states.append(state)
        locals_.append(local)
    each, wide = torch.stack(states, 1), hidden if config.attention_scale == "hidden_dim" else dim
    alike = (
        torch.stack(locals_, 1) @ model.local_each_weight @ (local @ model.local_last_weight).unsqueeze(2) / wide**0.5
    )
    inside = torch.sigmoid((state @ model.last_weight).unsqueeze(1) + each @ model.each_weight)
    seen = []
    for scores in (alike, (inside @ model.attention).unsqueeze(2)):
        seen.append((torch.softmax(scores.masked_fill(~real, -torch.inf), 1) * each).sum(1))
    query = dropout(torch.cat([state, *seen], 1), config.hidden_dropout, training) @ model.decoder
    loss: Tensor = cross_entropy(query @ model.item[1:].T, batch.target[:, -1] - 1, reduction="sum")
    return loss + config.kl_weight * divergence


def measure(side: str, data: str, batches: int) -> dict[str, Any]:
    """CPU seconds of `batches` batches, or of an epoch, scaled to an epoch; and the most memory ever held."""
    import numpy as np
    import torch

    from segue.data.datasets.catalog import load_log
    from segue.data.splits import given_split
    from segue.models.base.model import Sizes
    from segue.models.registry import find

    torch.set_num_threads(1)
    torch.empty(31 << 18)
    log = load_log(data)
    train, kind = given_split(log).train, find(SIDES[side])
    torch.manual_seed(1)
    model: Any = kind(kind.configure(), Sizes(log.num_users, log.num_items)).train()
    optimizer, steps, loss, questions = model.optimizer(), 0, 0.0, 0
    begin = time.process_time()
    for number, batch in enumerate(model.batches(train, np.random.default_rng(1))):
        if number == batches:
            break
        optimizer.zero_grad()
        targets = int((batch.targets > 0).sum())
        steps += int(((batch.history > 0).cumsum(1) * (batch.targets > 0).any(2)).sum())
        parts = [batch] if side == "plain" else batch.slices(model.rows_at_once)
        for part in parts:
            part_loss = plain_loss(model, part.trimmed()) if side == "plain" else model(part)
            (part_loss / targets).backward()
            loss += float(part_loss.detach())
        optimizer.step()
        questions += targets
    spent = time.process_time() - begin
    whole = int((train.lengths * (train.lengths - 1) // 2).sum())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cpu_s": spent * whole / steps, "of_epoch": steps / whole, "peak_mb": peak, "loss": loss / questions}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="citeulike", help="a named data set, or a folder that holds a log")
    parser.add_argument("--batches", type=int, default=8, help="batches of a run; a running one always does an epoch")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--side", choices=SIDES, help="measure this side here, and print JSON")
    asked = parser.parse_args()
    if asked.side:
        print(json.dumps(measure(asked.side, asked.data, asked.batches if asked.side != "running" else -1)))
        return
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for _ in range(asked.rounds):
        for side, runs in found.items():
            options = ["--data", asked.data, "--batches", str(asked.batches), "--side", side]
            command = [sys.executable, "-m", "benchmarks.hcrnn", *options]
            runs.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    for side, runs in found.items():
        middle = {key: median(run[key] for run in runs) for key in runs[0]}
        print(
            f"{side:8} {middle['cpu_s']:7.1f} CPU s an epoch (from {middle['of_epoch']:.0%} of it), "
            f"{middle['peak_mb']:6.0f} MB, loss {middle['loss']:.3f}"
        )


if __name__ == "__main__":
    main()
