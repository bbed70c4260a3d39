"""`segue reproduce`: a paper's table again, ours beside the printed figures."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from segue.cli.options import JsonFile, check_json, show, write_json
from segue.errors import ConfigError
from segue.reporting.console import say

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]


def reproduce(
    table: str,
    *,
    quick: Flag = False,
    out: Annotated[Path | None, Parameter(alias="-o")] = None,
    runs: Path | None = None,
    fresh: Flag = False,
    device: str | None = None,
    json: JsonFile = None,
) -> None:
    """Recompute a published table and print ours beside it.

    Each training is kept: a table that was interrupted goes on with the same command, and tables share what they have
    in common.

    Parameters
    ----------
    table
        Of the HGN paper, on Amazon CDs, hgn-table3: seven methods, and the rivals left out; hgn-table4: ten
        architectures; hgn-table5: seconds an epoch; hgn-table6: how much is read and ranked; hgn-figures: Recall@k
        and NDCG@k by method, and the size of the embeddings. Of the HCRNN paper, hcrnn-table2: the sizes of its logs;
        hcrnn-table3: twelve methods and those left out, on CiteULike and MovieLens; hcrnn-figures: its contexts,
        gates and attention (needs the extra viz). Of Criteo's study, criteo-table2-params: how many weights its
        models have; criteo-table4: the next item, and the next five, on YooChoose 1/64; criteo-table5: by length of
        the session; criteo-figures; criteo-rivals: what it leaves out. Of the IARN paper, on Amazon Clothing,
        MovieLens 100K and 1M, iarn-table2: errors of ratings and the order of items, of eight methods and those left
        out; iarn-figure3: the backbones, by the length of histories; iarn-figure4: what features are worth;
        iarn-figure5: the gates of one rating.
    quick
        A small honest version: one seed and few epochs. It says so.
    out
        Write the pictures (SVG) and one HTML page to this folder; needs the extra viz.
    runs
        Keep trainings in this folder; the folder runs in SEGUE_CACHE when not given.
    fresh
        Train anew, whatever is kept.
    device
        Where to train: cpu, or cuda; hgn-table5 alone takes it.
    """
    from segue.papers import find
    from segue.papers.run_cache import RunCache

    recipe = find(table)
    if device is not None and "device" not in inspect.signature(recipe).parameters:
        raise ConfigError(f"--device {device}: {table} is made on the processor; only hgn-table5 takes a device")
    check_json(json)
    chosen = {} if device is None else {"device": device}
    found = recipe(runs=RunCache(runs, fresh=fresh), quick=quick, **chosen)
    show(found.table())
    write_json(json, found.as_dict())
    if out is not None:
        for path in found.write(out, table):
            say(f"written: {path}")
