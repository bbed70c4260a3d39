"""Every hand-written part of segue against the plain way: `python -m benchmarks.handwritten [PART ...]`.

A part is a layer, a loss, an optimiser or a loop whose code or gradient is written by hand although torch or scipy has
a plain way to compute the same. It stays hand-written only while a training step, or the loop, takes more than a
quarter longer the plain way, or while the reason named in its docstring holds. Each part is measured twice, in turns
with the plain way:

    layer   forward and backward pass alone, at a realistic size
    step    whole training steps of a model that uses it, with the part replaced inside segue by the plain way

Figures are medians of CPU seconds with one thread. A ratio above 1 says how many times longer the plain way takes.
"""

from __future__ import annotations

import argparse

import torch

from benchmarks.handwritten.comparison import compare_parts
from benchmarks.handwritten.parts import PARTS
from benchmarks.report import handwritten_table


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.handwritten",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--repeat", type=int, default=15, help="measurements of each layer; a third of it for steps")
    args = parser.parse_args()
    for name in args.parts:
        if name not in PARTS:
            parser.error(f"no part {name!r}; there are: {', '.join(PARTS)}")
    torch.set_num_threads(1)
    chosen = {name: PARTS[name] for name in args.parts or PARTS}
    print(handwritten_table(compare_parts(chosen, args.repeat)))


if __name__ == "__main__":
    main()
