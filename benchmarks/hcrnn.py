"""HCRNN-3 with two channels on CiteULike: segue compared with a plain implementation, as in the authors' program.

    python -m benchmarks.hcrnn [--data citeulike] [--batches 8] [--rounds 2]

    plain      each target is a sample of its own, padded to the longest of its batch of 512; all samples take one step
               at a time under autograd
    exact      `hcrnn`: the same loss of the same batches
    running    `hcrnn-running`: theta is computed anew at each step of one pass through a sequence

Each variant is a process of its own with one thread; the variants run in turn. The time of a part of an epoch is scaled
by the number of steps of its histories: 825,868 in an epoch of CiteULike.
"""

from __future__ import annotations

import argparse
import json
import sys
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks import jobs
from benchmarks.measurement import Clock

if TYPE_CHECKING:
    from torch import Tensor

    from segue.batches.batch import SequenceBatch
    from segue.models.sequential.hcrnn.model import HCRNN

VARIANTS = {"plain": "hcrnn", "exact": "hcrnn", "running": "hcrnn-running"}


def plain_loss(model: HCRNN, batch: SequenceBatch) -> Tensor:
    """The loss of `model` for rows with one query, at the last column: HCRNN-3, two channels, one step at a time."""
    import torch
    from torch.nn.functional import cross_entropy, dropout, elu

    config, history, training = model.config, batch.history, model.training
    batch_size, length, hidden, dim = len(history), history.shape[1], config.hidden_dim, config.embedding_dim
    assert (config.variant, config.attention, config.sigma_parametrization) == (3, "bi", "log")
    assert model.drift_bias is not None
    vectors, valid = model.item_embedding[history], (history > 0).unsqueeze(2)
    items = torch.zeros(batch_size, len(model.item_embedding)).to(vectors).scatter(1, history, 1.0)
    items[:, 0] = 0.0
    bag = dropout(items @ model.item_embedding, config.dropout, training)
    code = elu(model.topic_posterior.code(bag))
    mean, log = model.topic_posterior.mean(code), model.topic_posterior.deviation(code)
    noise = config.posterior_noise * torch.randn_like(mean) if training else torch.zeros_like(mean)
    theta = torch.softmax(mean + log.exp() * noise, 1)
    divergence = ((mean.square() + (2 * log).exp() - 1) / 2 - log).sum()
    shares = (theta.unsqueeze(2) * model.global_contexts) @ model.theta_weight  # B K H
    inputs = dropout(vectors, config.dropout, training)
    state, local = vectors.new_zeros(batch_size, hidden), vectors.new_zeros(batch_size, dim)
    states, locals_ = [], []
    for position in range(length):
        x = inputs[:, position]
        gates = x @ model.input_weight + model.input_bias
        projected = state @ model.state_weight
        attention_hidden = torch.sigmoid(projected[:, None, :hidden] + shares)
        candidate = torch.softmax(attention_hidden @ model.context_attention, 1) @ model.global_contexts
        by_gate, by_update, by_reset = (gates[:, : dim + 2 * hidden] + projected[:, hidden:]).split(
            [dim, hidden, hidden], 1
        )
        gate = torch.sigmoid(by_gate + local @ model.local_weight)
        new_local = (1 - gate) * local + gate * candidate
        update = torch.sigmoid(by_update + new_local @ model.update_weight)
        drift = torch.sigmoid((x * new_local) @ model.reset_weight + model.drift_bias)
        reset_state = torch.sigmoid(by_reset) * drift * state
        new = torch.tanh(reset_state @ model.new_weight + gates[:, dim + 2 * hidden :])
        state = torch.where(valid[:, position], (1 - update) * state + update * new, state)
        local = torch.where(valid[:, position], new_local, local)
        states.append(state)
        locals_.append(local)
    each, scale_dim = torch.stack(states, 1), hidden if config.attention_scale == "hidden_dim" else dim
    local_scores = torch.stack(locals_, 1) @ model.local_key @ (local @ model.local_query).unsqueeze(2) / scale_dim**0.5
    attention_hidden = torch.sigmoid((state @ model.attention_query).unsqueeze(1) + each @ model.attention_key)
    contexts = []
    for scores in (local_scores, (attention_hidden @ model.attention_vector).unsqueeze(2)):
        contexts.append((torch.softmax(scores.masked_fill(~valid, -torch.inf), 1) * each).sum(1))
    query = dropout(torch.cat([state, *contexts], 1), config.hidden_dropout, training) @ model.decoder
    loss: Tensor = cross_entropy(query @ model.item_embedding[1:].T, batch.target[:, -1] - 1, reduction="sum")
    return loss + config.kl_weight * divergence


def measure(variant: str, data: str, batches: int) -> dict[str, Any]:
    """CPU seconds of `batches` batches, or of a whole epoch, scaled to an epoch."""
    import numpy as np
    import torch

    from segue.data.datasets.catalog import load_log
    from segue.data.splits import given_split
    from segue.models.base.model import Sizes
    from segue.models.registry import find
    from segue.nn.memory import keep_freed_memory

    torch.set_num_threads(1)
    keep_freed_memory()
    log = load_log(data)
    train, model_class = given_split(log).train, find(VARIANTS[variant])
    torch.manual_seed(1)
    model: Any = model_class(model_class.configure(), Sizes(log.num_users, log.num_items)).train()
    optimizer, steps, loss, num_targets = model.optimizer(), 0, 0.0, 0
    clock = Clock()
    for number, batch in enumerate(model.batches(train, np.random.default_rng(1))):
        if number == batches:
            break
        optimizer.zero_grad()
        targets = int((batch.targets > 0).sum())
        steps += int(((batch.history > 0).cumsum(1) * (batch.targets > 0).any(2)).sum())
        parts = [batch] if variant == "plain" else batch.slices(model.micro_batch_size)
        for part in parts:
            part_loss = plain_loss(model, part.trimmed()) if variant == "plain" else model(part)
            (part_loss / targets).backward()
            loss += float(part_loss.detach())
        optimizer.step()
        num_targets += targets
    seconds = clock.seconds()["cpu_s"]
    steps_of_epoch = int((train.lengths * (train.lengths - 1) // 2).sum())
    return {
        "cpu_s": seconds * steps_of_epoch / steps,
        "of_epoch": steps / steps_of_epoch,
        "loss": loss / num_targets,
    }


def main() -> None:
    """Measure in turns, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="citeulike", help="a named data set, or a folder that holds a log")
    parser.add_argument("--batches", type=int, default=8, help="batches of a run; `running` always runs a whole epoch")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--variant", choices=VARIANTS, help="measure this variant in this process and print JSON")
    args = parser.parse_args()
    if args.variant:
        print(json.dumps(measure(args.variant, args.data, args.batches if args.variant != "running" else -1)))
        return
    results: dict[str, list[dict[str, Any]]] = {variant: [] for variant in VARIANTS}
    for _ in range(args.rounds):
        for variant, runs in results.items():
            options = ["--data", args.data, "--batches", str(args.batches), "--variant", variant]
            done = jobs.measure([sys.executable, "-m", "benchmarks.hcrnn", *options])
            runs.append({**done["output"], "peak_mb": done["peak_mb"]})
    for variant, runs in results.items():
        medians = {key: median(run[key] for run in runs) for key in runs[0]}
        print(
            f"{variant:8} {medians['cpu_s']:7.1f} CPU s per epoch (from {medians['of_epoch']:.0%} of it), "
            f"{medians['peak_mb']:6.0f} MB, loss {medians['loss']:.3f}"
        )


if __name__ == "__main__":
    main()
