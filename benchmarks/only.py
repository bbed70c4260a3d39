"""`add_only`: the option --only, a comma-separated list of what is measured."""

from __future__ import annotations

import argparse
from collections.abc import Iterable


def add_only(parser: argparse.ArgumentParser, known: Iterable[str], what: str) -> None:
    """Add the option; its value is a list in the order of `known`, which is the default."""
    known = list(known)

    def names(text: str) -> list[str]:
        chosen = text.split(",")
        for name in chosen:
            if name not in known:
                raise argparse.ArgumentTypeError(f"no {what} {name!r}; there are: {', '.join(known)}")
        return [name for name in known if name in chosen]

    parser.add_argument("--only", type=names, default=known, metavar="NAME,...", help=f"of {', '.join(known)}")
