"""`segue reproduce`: recompute a table or figure of a paper, and show it beside the published numbers."""

from __future__ import annotations

import inspect
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from segue.cli.check_outputs import check_folder_of_files, check_outputs
from segue.cli.output import OUTPUT_DEFAULTS, OutputOptions, grid, show, write_json_output
from segue.errors import ConfigError
from segue.reporting.console import say

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]


def reproduce(
    table: str | None = None,
    *,
    quick: Flag = False,
    runs: Path | None = None,
    fresh: Flag = False,
    device: str | None = None,
    output: OutputOptions = OUTPUT_DEFAULTS,
) -> None:
    """Recompute a published table and print it beside the published numbers; without a name, list all tables.

    Every training is cached: the same command resumes an interrupted table, and tables share trainings. With --out,
    write the figures (SVG) and one HTML page to a folder; this needs the extra viz.

    Args:
        table: Name of a table or figure. Without a name, all of them are listed.
        quick: Run a small version with one seed and few epochs; its table says so.
        runs: Folder of the cached trainings. The default is the folder runs in SEGUE_CACHE.
        fresh: Train again and ignore cached trainings.
        device: Device to train on: cpu or cuda. Only hgn-table5 accepts it.
    """
    from segue.papers import find_table
    from segue.papers.run_cache import RunCache
    from segue.reporting.charts import import_altair

    if table is None:
        given = {"--quick": quick, "--runs": runs, "--fresh": fresh, "--device": device, "--out": output.out}
        _list_tables([option for option, value in given.items() if value], output)
        return
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
    command = f"segue reproduce {table}{' --quick' if quick else ''}"
    write_json_output(output.json, {"command": command, "version": version("segue"), **reproduction.as_dict()})
    if output.out is not None:
        for path in reproduction.write(output.out, table):
            say(f"written: {path}")


def _list_tables(options: list[str], output: OutputOptions) -> None:
    """All tables; `options` are those that need one.

    Raises:
        ConfigError: there are such options.
    """
    from segue.papers.contents import list_tables

    if options:
        raise ConfigError(f"{options[0]} needs the name of a table; `segue reproduce` without options lists them")
    check_outputs({"--json": output.json})
    rows = list_tables()
    show(grid(rows, "Tables and figures of papers; `segue reproduce TABLE` recomputes one"))
    write_json_output(output.json, {"tables": rows})
