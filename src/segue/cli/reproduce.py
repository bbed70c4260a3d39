"""`segue reproduce`: recompute a table or figure of a paper, and show it beside the published numbers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from segue.cli.check_outputs import check_folder_of_files, check_outputs
from segue.cli.output import OUTPUT_DEFAULTS, OutputOptions, grid, show, write_json_output
from segue.errors import ConfigError
from segue.reporting.console import say

if TYPE_CHECKING:
    from segue.papers.reproduction import Reproduction

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]


def reproduce(
    table: str | None = None,
    *,
    methods: Annotated[list[str] | None, Parameter(consume_multiple=True, negative=(), metavar="NAME")] = None,
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
        methods: Run these methods of the table only, such as HGN SASRec. A file of --json that holds other methods of
            the same table keeps them. Tables such as hgn-table3-paper accept it.
        quick: Run a small version with one seed and few epochs; its table says so.
        runs: Folder of the cached trainings. The default is the folder runs in SEGUE_CACHE.
        fresh: Train again and ignore cached trainings.
        device: Device to train on: cpu or cuda. Only hgn-table5 accepts it.
    """
    from segue.papers import find_table
    from segue.papers.growing_result import merge, read_growing
    from segue.papers.run_cache import RunCache
    from segue.reporting.charts import import_altair

    if table is None:
        given = {
            "--methods": methods,
            "--quick": quick,
            "--runs": runs,
            "--fresh": fresh,
            "--device": device,
            "--out": output.out,
        }
        _list_tables([option for option, value in given.items() if value], output)
        return
    make = find_table(table)
    options = _own_options(table, make, device=device, methods=methods)
    check_outputs({"--json": output.json})
    if methods and output.json is not None:
        read_growing(output.json, table, quick=quick)  # refused now, not after hours of training
    if output.out is not None:
        check_folder_of_files(f"--out {output.out}", output.out)
    cache = RunCache(runs, overwrite=fresh)
    check_folder_of_files(f"--runs {runs}" if runs else f"SEGUE_CACHE: {cache.folder}", cache.folder)
    if output.out is not None:
        import_altair()
    reproduction = make(runs=cache, quick=quick, **options)
    show(reproduction.table())
    command = f"segue reproduce {table}{' --quick' if quick else ''}"
    content = {"command": command, "version": version("segue"), **reproduction.as_dict()}
    if methods and output.json is not None:
        content = merge(read_growing(output.json, table, quick=quick), content, table, reproduction.draw)
    write_json_output(output.json, content)
    if output.out is not None:
        for path in reproduction.write(output.out, table):
            say(f"written: {path}")


def _own_options(
    table: str, make: Callable[..., Reproduction], *, device: str | None, methods: list[str] | None
) -> dict[str, Any]:
    """The given options that only some tables take.

    Raises:
        ConfigError: this table does not take one of them.
    """
    from segue.papers import TABLES

    taken = inspect.signature(make).parameters
    if device is not None and "device" not in taken:
        raise ConfigError(f"--device {device}: {table} is computed on the CPU; only hgn-table5 takes a device")
    if methods and "methods" not in taken:
        able = ", ".join(name for name, one in TABLES.items() if "methods" in inspect.signature(one).parameters)
        raise ConfigError(
            f"--methods: {table} compares its methods with each other, so it runs all of them; these tables take it: "
            f"{able}"
        )
    return {name: value for name, value in (("device", device), ("methods", methods)) if value}


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
