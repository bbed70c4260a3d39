"""`segue data`: what a log looks like before a model is trained on it."""

from __future__ import annotations

from dataclasses import asdict, replace

from segue.cli.check_outputs import check_outputs
from segue.cli.options.reading import READING_DEFAULTS, ReadingOptions
from segue.cli.output import OUTPUT_DEFAULTS, OutputOptions, show, write_json_output
from segue.reporting.console import say


def data(data: str, *, reading: ReadingOptions = READING_DEFAULTS, output: OutputOptions = OUTPUT_DEFAULTS) -> None:
    """Show a log: its size, time span and sparsity, ties of times, and whether the order of events carries information.

    With --out, save the log to a folder, from which every command then reads it without parsing.

    Args:
        data: A named data set (ml-100k, ml-1m, ...), a file (CSV, TSV, Parquet, .inter) or a folder.
    """
    from segue.data.diagnostics.summary import summarise
    from segue.data.store import FILES, save_log
    from segue.folders import check_folder

    if output.out is not None:
        check_folder(output.out, "saved log", FILES)
    check_outputs({"--json": output.json}, output.out, inputs=reading.paths(data))
    log = reading.load(data)
    report = summarise(log)
    show(replace(report, warnings=report.warnings[len(log.warnings) :]))  # without those of the reader, printed above
    steps = [asdict(step) for step in log.steps]
    write_json_output(output.json, {**report.as_dict(), "steps": steps, "fingerprint": log.fingerprint})
    if output.out is not None:
        save_log(log, output.out)
        say(f"saved to {output.out}; use it in place of {data} from now on")
