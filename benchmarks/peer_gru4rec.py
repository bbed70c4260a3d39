"""Measures the PyTorch program of GRU4Rec's author on ml-1m with one thread and prints one JSON line.

The program is not on the package index; `gru4rec_setup.sh` downloads it. It needs NumPy, pandas and torch, which the
environments of the other peers have. From the root folder of the project:

    .bench/rectools/venv/bin/python -m benchmarks.peer_gru4rec --program .bench/gru4rec --events .bench/ml-1m.npz

Sessions are the users' training rows, 64 in parallel, with back-propagation over one step and 2,048 shared negatives
sampled with count^alpha. An epoch uses each of the 982,089 (prefix, next item) pairs once, in mini-batches of 64. With
`--batches`, the program's loader ends early, and the time is scaled to the epoch; otherwise the model is tested after
the last epoch. `fit` runs unchanged. It samples ten million negatives in advance, enough for 4,882 mini-batches, before
the first epoch; this is not counted.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peer_common import Clock, Events, Ids, clock, count_pairs, print_result, ranking_metrics

K = 10


def timed(loader: type[Any], batches: int | None) -> list[Clock]:
    """Add a clock to the program's loader, and make its epochs end after so many mini-batches, if there is a number.

    Returns the start of each epoch.
    """
    whole = loader.__iter__
    marks: list[Clock] = []

    def head(self: Any) -> Iterator[Any]:
        marks.append(clock())
        left = batches or 0
        for step in whole(self):
            yield step
            left -= len(step) == 2  # inputs and targets; three values mean that sessions have ended
            if not left:
                return

    loader.__iter__ = head  # type: ignore[method-assign]
    return marks


def measure(events: Events, args: argparse.Namespace) -> dict[str, Any]:
    """Run the program's `fit` for all epochs."""
    import pandas as pd
    import torch

    sys.path.insert(0, str(args.program.resolve()))
    import gru4rec_pytorch as program  # type: ignore[import-not-found]

    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    marks = timed(program.SessionDataIterator, args.batches)
    user, item, position = events.without_last(2)
    table = pd.DataFrame({"SessionId": user, "ItemId": item, "Time": position})
    net = program.GRU4Rec(
        layers=[args.dim],
        loss=args.loss,
        batch_size=args.batch,
        n_sample=args.negatives,
        sample_alpha=0.5,
        constrained_embedding=True,
        learning_rate=args.lr,
        n_epochs=args.warm_up + args.repeat,
        device=torch.device("cpu"),
    )
    net.fit(table)
    marks.append(clock())
    done = args.batches * args.batch if args.batches else count_pairs(events)
    scale = count_pairs(events) / done
    spent = [
        {"wall_s": round((b[0] - a[0]) * scale, 3), "cpu_s": round((b[1] - a[1]) * scale, 3), "events": done}
        for a, b in itertools.pairwise(marks)
    ]
    result = {"examples": count_pairs(events), "warm_up": spent[: args.warm_up], "epochs": spent[args.warm_up :]}
    if args.batches:
        return result
    return {**result, "test": ranking_metrics(recommended(net, events), events.last)}


def recommended(net: Any, events: Events) -> Ids:
    """(users, 10) the unseen items with the highest scores after all rows of a user except the last one.

    The program's model reads one item of every user at a time, the longest histories first. Items without training
    rows are unknown to it and left out.
    """
    import torch

    items, index = net.data_iterator.itemidmap.index.to_numpy(), net.data_iterator.itemidmap.to_numpy()
    known = np.full(events.items.max() + 1, -1)
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


def parse(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--program", type=Path, required=True, help="the folder of gru4rec_pytorch.py")
    parser.add_argument("--events", type=Path, required=True, help="the file that segue_side.py export wrote")
    parser.add_argument("--loss", choices=["cross-entropy", "bpr-max"], default="cross-entropy")
    parser.add_argument("--dim", type=int, default=100)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--negatives", type=int, default=2048)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batches", type=int, help="mini-batches of an epoch that are run; all by default")
    parser.add_argument("--warm-up", type=int, default=1, help="epochs not counted")
    parser.add_argument("--repeat", type=int, default=3, help="epochs after them")
    return parser.parse_args(argv)


def main() -> None:
    """Measure and print one JSON line on standard output."""
    args = parse(sys.argv[1:])
    warnings.simplefilter("ignore")
    with contextlib.redirect_stdout(sys.stderr):
        result = measure(Events.read(args.events), args)
    print_result({key: value for key, value in vars(args).items() if key not in ("events", "program")}, result)


if __name__ == "__main__":
    main()
