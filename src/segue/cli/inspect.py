"""`segue data`: what a log looks like before anything is learnt from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from segue.cli.options import JsonFile, ReadingOptions, check_json, show, write_json
from segue.reporting.console import say

DEFAULT = ReadingOptions()


def data(
    data: str,
    *,
    reading: ReadingOptions = DEFAULT,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    json: JsonFile = None,
) -> None:
    """Show a log: sizes, span, sparsity, ties, and whether its order carries signal.

    Parameters
    ----------
    data
        A named data set, a file or a folder.
    out
        Save the log to this folder, memory-mapped from then on; every command reads it.
    """
    from dataclasses import asdict

    from segue.data.diagnostics.summary import summarise
    from segue.data.store import save_log
    from segue.io import check_folder

    check_json(json, reads=data)
    if out is not None:
        check_folder(out, "log.json", "saved log")
    log = reading.load(data)
    summary = summarise(log)
    show(summary)
    steps = [asdict(step) for step in log.steps]
    write_json(json, {**summary.as_dict(), "steps": steps, "fingerprint": log.fingerprint})
    if out is not None:
        save_log(log, out)
        say(f"saved to {out}; use it in place of {data} from now on")
