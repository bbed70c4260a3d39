"""Measures segue in this process, with one thread, and prints one JSON line.

    python -m benchmarks.segue_side whole
    python -m benchmarks.segue_side epoch --data ml-1m --loss BPR --windows-per-row 4

whole        an experiment from the log to the test metrics, as in `segue run`
epoch        training epochs of HGN after a warm-up epoch, and a test
eval         full rankings of the test part by HGN, including metrics, after a warm-up
cds          both of these for HGN on Amazon CDs
floor        the speed of the machine, and the arithmetic and memory traffic of HGN on Amazon CDs
sequence     training epochs of other models with a peer's settings, and a test if epochs are whole
item-knn     fits and full rankings as implicit's, and a test
bprmf        training epochs as implicit's, and a test
ingest       reading 20 million rows; each reading is a process of its own
handwritten  every hand-written part against the plain way in torch
fetch        no measurement: makes sure that the data sets are available
export       no measurement: writes ml-1m as the peers' scripts read it
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.measurement import command_line, run
from benchmarks.segue_side.collaborative import bprmf, item_knn
from benchmarks.segue_side.data_sets import MOVIELENS, export, fetch
from benchmarks.segue_side.floor import floor
from benchmarks.segue_side.hgn import SMALL, cds, epoch, evaluate, whole
from benchmarks.segue_side.sequence_models import SETTINGS, sequence


def ingest(args: argparse.Namespace) -> dict[str, Any]:
    """Write the events once and read them several times."""
    from benchmarks.ingest import ROWS, measure_readings

    rows = 200_000 if args.quick else ROWS
    return {"rows": rows, "readings": [asdict(cost) for cost in measure_readings(rows, args.repeat)]}


def handwritten(args: argparse.Namespace) -> dict[str, Any]:
    """Measure every hand-written part and the plain way in torch."""
    from benchmarks.handwritten.comparison import compare_parts
    from benchmarks.handwritten.parts import PARTS

    return {"parts": compare_parts(PARTS, args.repeat, steps=not args.layers)}


MEASUREMENTS = {
    "whole": whole,
    "epoch": epoch,
    "eval": evaluate,
    "cds": cds,
    "floor": floor,
    "sequence": sequence,
    "item-knn": item_knn,
    "bprmf": bprmf,
    "ingest": ingest,
    "handwritten": handwritten,
    "fetch": fetch,
    "export": export,
}


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = command_line(__doc__, repeat=5)
    parser.add_argument("what", choices=MEASUREMENTS)
    parser.add_argument("--data", choices=MOVIELENS, default="ml-100k", help="whole, epoch, eval: the log")
    parser.add_argument("--loss", choices=SMALL, default="CE", help="epoch, eval: the loss")
    parser.add_argument(
        "--windows-per-row", type=int, default=1, help="consecutive windows of a user that share a batch row"
    )
    parser.add_argument(
        "--setting", choices=SETTINGS, default="sasrec-bce", help="sequence: the model and its settings"
    )
    parser.add_argument("--preset", help="bprmf: a preset of the model's settings")
    parser.add_argument("--layers", action="store_true", help="handwritten: the layers alone, without training steps")
    parser.add_argument("--events", type=Path, help="export: the file to write")
    parser.add_argument("--quick", action="store_true", help="whole: REPEAT epochs; ingest: 200,000 rows")
    return parser


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """One of the measurements."""
    return MEASUREMENTS[args.what](args)


if __name__ == "__main__":
    run(options(), measure)
