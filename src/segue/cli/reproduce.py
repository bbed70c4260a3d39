"""`segue reproduce`: recompute a table or figure of a paper, and show it beside the published numbers."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from segue.cli.check_outputs import check_folder_of_files, check_outputs
from segue.cli.output import OUTPUT_DEFAULTS, OutputOptions, show, write_json_output
from segue.errors import ConfigError
from segue.reporting.console import say

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]


def reproduce(
    table: str,
    *,
    quick: Flag = False,
    runs: Path | None = None,
    fresh: Flag = False,
    device: str | None = None,
    output: OutputOptions = OUTPUT_DEFAULTS,
) -> None:
    """Recompute a published table and print it beside the published numbers.

    Every training is cached: the same command resumes an interrupted table, and tables share trainings. With --out,
    write the figures (SVG) and one HTML page to a folder; this needs the extra viz.

    Args:
        table: HGN paper, on Amazon CDs: hgn-table2 (sizes of the logs), hgn-table3 (seven methods and further
            baselines), hgn-table4 (ten architectures), hgn-table5 (seconds per epoch), hgn-table6 (how much is read and
            ranked), hgn-figures (Recall@k and NDCG@k by method, and the embedding size); on logs that you bring:
            hgn-figure3 (MovieLens 20M), hgn-figure4 (Amazon Books), hgn-figure6 (Goodreads Children), hgn-figure7
            (Goodreads Comics). HCRNN paper, on CiteULike and MovieLens: hcrnn-table2 (sizes of the logs), hcrnn-table3
            (twelve methods and further baselines), hcrnn-figures (contexts, gates and attention; needs the extra viz).
            Criteo's study, on YooChoose 1/64: criteo-table1 (sizes of the logs), criteo-table2-params (numbers of
            weights), criteo-table4 (the next item and the next five), criteo-table5 (by session length),
            criteo-figures, criteo-baselines (further baselines). IARN paper, on Amazon Clothing, MovieLens 100K and 1M:
            iarn-table2 (rating errors and the order of items, eight methods and further baselines), iarn-figure3
            (backbones by history length), iarn-figure4 (effect of features), iarn-figure5 (gates of one rating).
        quick: Run a small version with one seed and few epochs; its table says so.
        runs: Folder of the cached trainings. The default is the folder runs in SEGUE_CACHE.
        fresh: Train again and ignore cached trainings.
        device: Device to train on: cpu or cuda. Only hgn-table5 accepts it.
    """
    from segue.papers import find_table
    from segue.papers.run_cache import RunCache
    from segue.reporting.charts import import_altair

    make = find_table(table)
    if device is not None and "device" not in inspect.signature(make).parameters:
        raise ConfigError(f"--device {device}: {table} is computed on the CPU; only hgn-table5 takes a device")
    check_outputs({"--json": output.json})
    if output.out is not None:
        check_folder_of_files(f"--out {output.out}", output.out)
    cache = RunCache(runs, overwrite=fresh)
    check_folder_of_files(f"--runs {runs}" if runs else f"SEGUE_CACHE: {cache.folder}", cache.folder)
    if output.out is not None:
        import_altair()
    options = {} if device is None else {"device": device}
    reproduction = make(runs=cache, quick=quick, **options)
    show(reproduction.table())
    write_json_output(output.json, reproduction.as_dict())
    if output.out is not None:
        for path in reproduction.write(output.out, table):
            say(f"written: {path}")
