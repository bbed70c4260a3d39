"""Charts as SVG, PNG or HTML files, which need no network.

Altair describes a chart in Vega-Lite, and vl-convert renders it. vl-convert runs JavaScript: where the memory does not
suffice (`ulimit -v`), its engine ends the whole process, and no Python code can prevent that. So it runs in a process
of its own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from base64 import b64decode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from segue.errors import ConfigError, DataError
from segue.io import reason, write_bytes
from segue.reporting.charts import STYLE, import_altair

if TYPE_CHECKING:
    from segue.reporting.charts import Chart

ChartFormat = Literal["svg", "png", "html"]
PNG_SCALE = 2  # pixels per unit of length
_RENDERER = (sys.executable, "-P", "-m", "segue.reporting.chart_renderer")  # the command of the process


def check_chart_file(path: Path) -> ChartFormat:
    """The format that the ending of a file's name asks for; also checks that charts can be drawn here.

    Raises:
        ConfigError: another ending, or altair is not installed.
    """
    formats: dict[str, ChartFormat] = {".svg": "svg", ".png": "png", ".html": "html"}
    if path.suffix.lower() not in formats:
        raise ConfigError(f"{path}: a chart is written as .svg, .png or .html; choose one of these endings")
    import_altair()
    return formats[path.suffix.lower()]


def save_chart(chart: Chart, path: str | Path) -> Path:
    """Write a chart to a file, atomically; the ending of its name decides whether it is SVG, PNG or HTML.

    Raises:
        ConfigError: another ending, or altair is not installed.
        DataError: the chart cannot be drawn, or the file cannot be written.
    """
    path = Path(path)
    save_charts({path: chart})
    return path


def save_charts(charts: Mapping[Path, Chart]) -> None:
    """Write several charts as `save_chart` does; nothing is written before all of them are drawn."""
    paths: dict[ChartFormat, list[Path]] = {}
    for path in charts:
        paths.setdefault(check_chart_file(path), []).append(path)
    files = {
        path: file
        for file_format, group in paths.items()
        for path, file in zip(group, render([charts[path] for path in group], file_format), strict=True)
    }
    for path, file in files.items():
        try:
            write_bytes(path, file)
        except OSError as error:
            raise DataError(f"{path}: cannot be written: {reason(error)}") from error


def render(charts: Sequence[Chart], file_format: ChartFormat) -> list[bytes]:
    """The contents of a file of each chart, in the common style.

    Args:
        charts: the charts.
        file_format: "svg", "png" or "html".

    Raises:
        ConfigError: altair is not installed.
        DataError: the charts cannot be rendered, for example because the memory does not suffice.
    """
    if not charts:
        return []
    alt = import_altair()
    specifications = []
    with alt.data_transformers.disable_max_rows():
        for chart in charts:
            styled: Any = chart.copy()
            styled["config"] = STYLE
            specifications.append(styled.to_dict())
    return _render(specifications, file_format, alt.SCHEMA_VERSION)


def _render(specifications: Sequence[Mapping[str, Any]], file_format: ChartFormat, version: str) -> list[bytes]:
    """The contents of a file of each specification in Vega-Lite of a version, such as "v5.20.1"."""
    options: dict[str, dict[str, Any]] = {"png": {"scale": PNG_SCALE}, "html": {"bundle": True}}
    work = {
        "specifications": [{**one, "usermeta": {"embedOptions": {"actions": False}}} for one in specifications],
        "format": file_format,
        "version": ".".join(version.split(".")[:2]),
        "options": options.get(file_format, {}),
    }
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # finds what is found here
    done = subprocess.run(
        _RENDERER,
        input=json.dumps(work),
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=environment,
        check=False,
    )
    if done.returncode:
        raise DataError(f"charts cannot be drawn: vl-convert {_why(done.returncode, done.stderr)}")
    return [b64decode(file) for file in json.loads(done.stdout)]


def _why(code: int, said: str) -> str:
    """How the process ended, in words."""
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}, often for lack of memory (see ulimit -v)"
    lines = said.strip().splitlines()
    return f"failed ({lines[-1] if lines else f'exit code {code}'})"
