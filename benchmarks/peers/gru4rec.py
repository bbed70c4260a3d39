"""Measures the PyTorch program of GRU4Rec's author on ml-1m with one thread and prints one JSON line.

The program is not on the package index; `gru4rec_setup.sh` downloads it. It needs NumPy, pandas and torch, which the
environments of the other peers have.

    .bench/rectools/venv/bin/python -m benchmarks.peers.gru4rec --program .bench/gru4rec --events .bench/ml-1m.npz

Sessions are the users' training rows, 64 in parallel, with back-propagation over one step and 2,048 shared negatives
sampled with count^alpha. An epoch uses each of the 982,089 (prefix, next item) pairs once, in mini-batches of 64. With
`--batches`, the program's loader ends early, and the time is scaled to the epoch; otherwise the model is tested after
the last epoch. `fit` runs unchanged. It samples ten million negatives in advance, enough for 4,882 mini-batches, before
the first epoch; this is not counted.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measurement import Clock, Seconds, command_line, run, scaled, training
from benchmarks.peers.events import Events, Ids, K, add_events

BATCH = 64


def time_epochs(loader: type[Any], batches: int | None) -> list[Clock]:
    """Make the program's loader start a clock for each epoch, and end it after so many mini-batches if that is given.

    Returns the clocks.
    """
    whole = loader.__iter__
    clocks: list[Clock] = []

    def head(self: Any) -> Iterator[Any]:
        clocks.append(Clock())
        left = batches or 0
        for step in whole(self):
            yield step
            left -= len(step) == 2  # inputs and targets; three values mean that sessions have ended
            if batches and not left:
                return

    loader.__iter__ = head  # type: ignore[method-assign]
    return clocks


def between(start: Clock, end: Clock) -> Seconds:
    """The seconds from one clock's start to another's."""
    return {"wall_s": end.wall - start.wall, "cpu_s": end.cpu - start.cpu}


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Run the program's `fit` for all epochs."""
    import pandas as pd
    import torch

    sys.path.insert(0, str(args.program.resolve()))
    import gru4rec_pytorch as program  # type: ignore[import-not-found]

    torch.manual_seed(args.seed)
    clocks = time_epochs(program.SessionDataIterator, args.batches)
    user, item, position = args.events.without_last(2)
    # both programs take the sessions in the order of their start
    time = args.events.times[args.events.offsets[user - 1]] + position
    net = program.GRU4Rec(
        layers=[100],
        loss=args.loss,
        batch_size=BATCH,
        n_sample=2048,
        sample_alpha=0.5,
        constrained_embedding=True,
        learning_rate=0.05,
        n_epochs=args.warm_up + args.repeat,
        device=torch.device("cpu"),
    )
    net.fit(pd.DataFrame({"SessionId": user, "ItemId": item, "Time": time}))
    clocks.append(Clock())
    num_pairs = args.events.count_pairs()
    num_run = args.batches * BATCH if args.batches else num_pairs
    epochs = [scaled(between(*pair), num_pairs / num_run) for pair in itertools.pairwise(clocks)]
    result = {"examples": num_pairs, "examples_run": num_run, **training(epochs, args)}
    return result if args.batches else {**result, "test": args.events.metrics(recommended(net, args.events))}


def recommended(net: Any, events: Events) -> Ids:
    """(users, 10) the unseen items with the highest scores after all rows of a user except the last one.

    The program's model reads one item of every user at a time, the longest histories first. Items without training
    rows are unknown to it and left out.
    """
    import torch

    items, index = net.data_iterator.itemidmap.index.to_numpy(), net.data_iterator.itemidmap.to_numpy()
    known = np.full(events.num_items + 1, -1)
    known[items] = index
    start, length = events.offsets[:-1], np.diff(events.offsets) - 1
    order = np.argsort(-length)
    state = torch.zeros(len(order), net.layers[0])
    with torch.no_grad():
        for step in range(length.max()):
            rows = np.flatnonzero(length[order] > step)
            item = known[events.items[start[order[rows]] + step]]
            row = torch.from_numpy(rows[item >= 0])
            hidden = [state[row]]
            vector, *_ = net.model.embed(torch.from_numpy(item[item >= 0]), hidden, None, training=False)
            state[row] = net.model.hidden_step(vector, hidden, training=False)
        scores = torch.full((len(order), len(known)), -torch.inf)
        scores[torch.from_numpy(order)[:, None], torch.from_numpy(items)] = (
            state @ net.model.Wy.weight.T + net.model.By.weight.T
        )[:, torch.from_numpy(index)]
    user, item, _ = events.without_last(1)
    scores[torch.from_numpy(user - 1), torch.from_numpy(item)] = -torch.inf
    return scores.topk(K).indices.numpy()


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = command_line(__doc__, repeat=3)
    parser.add_argument("--program", type=Path, required=True, help="the folder of gru4rec_pytorch.py")
    parser.add_argument("--loss", choices=["cross-entropy", "bpr-max"], default="cross-entropy")
    add_events(parser)
    return parser


if __name__ == "__main__":
    run(options(), measure)
