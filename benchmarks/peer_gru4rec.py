"""Time GRU4Rec's author's PyTorch program on ml-1m, one thread, and print one JSON line.

The program is not on the package index: `gru4rec_setup.sh` fetches it. It needs NumPy, pandas and torch, which the
environments of the other peers have. From this project's root:

    .bench/rectools/venv/bin/python -m benchmarks.peer_gru4rec --program .bench/gru4rec --events .bench/ml-1m.npz

Sessions are users' train rows, 64 side by side, one step of back-propagation, 2,048 shared negatives drawn with
count^alpha: an epoch would show each of the 982,089 (prefix, next item) pairs once. What is timed is its training
loop over the first mini-batches, each of 64 events; the seconds are scaled to the epoch. Drawing the store of ten
million negatives, 4,882 mini-batches' worth, stands before it and is left out. `fit` runs unchanged: the loader ends
early and tells when.
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

from benchmarks.peer_common import Clock, Events, clock, count_pairs, print_result


def shortened(loader: type[Any], batches: int) -> list[Clock]:
    """End each epoch of the program's loader after so many mini-batches; returns when each began."""
    whole = loader.__iter__
    marks: list[Clock] = []

    def head(self: Any) -> Iterator[Any]:
        marks.append(clock())
        left = batches
        for step in whole(self):
            yield step
            left -= len(step) == 2  # items and what follows them; three values tell which sessions have ended
            if not left:
                return

    loader.__iter__ = head  # type: ignore[method-assign]
    return marks


def measure(events: Events, args: argparse.Namespace) -> dict[str, Any]:
    """Run the program's `fit`, one epoch after the other."""
    import pandas as pd
    import torch

    sys.path.insert(0, str(args.program.resolve()))
    import gru4rec_pytorch as program  # type: ignore[import-not-found]

    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    marks = shortened(program.SessionDataIterator, args.batches)
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
    done = args.batches * args.batch
    scale = count_pairs(events) / done
    spent = [
        {"wall_s": round((b[0] - a[0]) * scale, 3), "cpu_s": round((b[1] - a[1]) * scale, 3), "events": done}
        for a, b in itertools.pairwise(marks)
    ]
    return {"examples": count_pairs(events), "warm_up": spent[: args.warm_up], "epochs": spent[args.warm_up :]}


def parse(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--program", type=Path, required=True, help="the folder of gru4rec_pytorch.py")
    parser.add_argument("--events", type=Path, required=True, help="what segue_side.py export wrote")
    parser.add_argument("--loss", choices=["cross-entropy", "bpr-max"], default="cross-entropy")
    parser.add_argument("--dim", type=int, default=100)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--negatives", type=int, default=2048)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batches", type=int, default=400, help="mini-batches of an epoch that are run")
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
