"""Updates a page of results: `python -m segue.papers.report docs/results/hgn.md results`.

    <!-- results/hgn-table6.json -->
    the table, notes and pictures of this result file, which `segue reproduce` or `segue compare` wrote
    <!-- end -->

Only the text between such comments is replaced.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segue.errors import DataError
from segue.io import write_text
from segue.papers.reproduction import COSTS, Picture, departure_table, markdown_table, to_markdown
from segue.reporting.chart_files import save_charts
from segue.reporting.numbers import metric_text

_METRICS = ("recall@10", "ndcg@10")
COST_COLUMNS = ("epochs", "trials", *COSTS.values())
_BLOCK = re.compile(r"(<!-- (\S+\.json) -->\n).*?(<!-- end -->)", re.DOTALL)


def update_page(page: Path, results: Path) -> str:
    """The text of `page`, with every block rewritten from the file in the folder `results` that it names.

    Raises:
        DataError: a named file does not exist or is not a result.
    """
    folder = Path(os.path.relpath(results.resolve(), page.resolve().parent))

    def block(match: re.Match[str]) -> str:
        result = read_result(results / Path(match[2]).name)
        text = _comparison_block(result) if "comparison" in result else _reproduction_block(result, folder)
        return f"{match[1]}{text}{match[3]}"

    return _BLOCK.sub(block, page.read_text(encoding="utf-8"))


def read_result(path: Path) -> dict[str, Any]:
    """The content of a result file of `segue reproduce --json` or `segue compare --json`.

    Raises:
        DataError: the file cannot be read or is not JSON.
    """
    try:
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not a result of segue reproduce --json ({error})") from error
    return result


def write_pictures(result: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the pictures of a result as SVG to `folder`; a comparison has none."""
    pictures = [Picture(**{**picture, "rows": tuple(picture["rows"])}) for picture in result.get("pictures", [])]
    charts = {folder / f"{picture.name}.svg": picture.chart() for picture in pictures}
    save_charts(charts)
    return list(charts)


def _reproduction_block(result: Mapping[str, Any], folder: Path) -> str:
    pictures = [
        f"![{picture['encoding']['title']}]({(folder / picture['name']).as_posix()}.svg)"
        for picture in result["pictures"]
    ]
    notes = "\n".join(f"* {note}" for note in result["notes"])
    departs = departure_table(result)
    tables = [markdown_table(departs, figures=False).rstrip()] if departs else []
    return "\n" + "\n\n".join([to_markdown(result).rstrip(), notes, *tables, *pictures]) + "\n\n"


def _comparison_block(result: Mapping[str, Any]) -> str:
    """The setup of a comparison, and a table with a row for each model, without empty columns."""
    protocol = result["protocol"]
    header = ["model", *(name for metric in _METRICS for name in (metric, "95% interval")), *COST_COLUMNS]
    rows = [_comparison_row(model, result["best_models"][model["model"]]) for model in result["models"]]
    columns = [column for column in zip(header, *rows, strict=True) if any(column[1:])]
    setup = f"{result['instances']:,} evaluation instances, protocol {protocol['name']} ({protocol['fingerprint']})"
    left_out = [f"{name} is left out: {reason}" for name, reason in result["left_out_models"].items()]
    lines = [
        f"{setup}. Best on validation: {result['serve']}.",
        markdown_table(list(zip(*columns, strict=True))).rstrip(),
        *left_out,
    ]
    return "\n" + "\n\n".join(lines) + "\n\n"


def _comparison_row(model: Mapping[str, Any], best: Mapping[str, Any]) -> list[str]:
    """The cells of a model: metrics with intervals and significance marks, epochs, trials, cost."""
    cells = [model["model"]]
    for metric in _METRICS:
        value = model["metrics"][metric]
        marks = value.get("against", {"stars": ""})["stars"].replace("*", "▾")
        mean, low, high = (metric_text(value[name]) for name in ("mean", "low", "high"))
        cells += [mean, f"{low}–{high} {marks}".rstrip()]
    search = best["search"]
    epochs = str(search["trial"]["best_epoch"] or "")
    training, test = (_seconds(cost) for cost in (best["training"]["cpu_seconds"], model.get("test_cpu_seconds")))
    return [*cells, epochs, str(search["trials"]), training, test, f"{best['cost']['peak_mb']:.0f}"]


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


if __name__ == "__main__":
    page, results = map(Path, sys.argv[1:3])
    text = update_page(page, results)
    for _, name, _ in re.findall(_BLOCK, text):
        write_pictures(read_result(results / Path(name).name), results)
    write_text(page, text)
