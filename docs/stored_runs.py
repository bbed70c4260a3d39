"""Run the commands of a table of figures and store what they measure: `python docs/stored_runs.py neumf-ml-100k`.

results/runs/neumf-ml-100k.json
    {"metrics": ["recall@10", "ndcg@10"],
     "rows": [{"name": "POP", "command": "segue run pop ml-100k --refit"}, ...]}

A command is `segue run ...`, or `python -m benchmarks.NAME ...` of a trial that writes its figures with --json, such
as `benchmarks.validation` for figures on the validation part. A row
with "group": "clean" has the figures of that group of a command with --by. The metric "validation ndcg@10" is that of
the chosen epoch on the validation part, and "CPU s" is the processor time of the training.

Two more keys keep the trained models for a while, in the folder `kept_model`:

    "tested_on": "ml-100k"
        a log with the options of `segue evaluate`: the models of all rows are tested on it, and their paired
        differences from the best one are stored in "differences"
    "models": {"models/hybrid": "hybrid-citeulike/hybrid, gru"}
        a folder that commands name -> the file and the row whose kept model stands for it; its commands run first

Each row gets the figures of its command with all that they depend on: version, log, protocol, settings, seeds. A row
that has figures stays as it is; `--again` runs all commands. `docs/generate.py` writes the table where a page has a
block `<!-- runs: neumf-ml-100k -->`.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from stored_figures import VALIDATION

from segue.data.cache_folder import cache_folder
from segue.io import write_json
from segue.reporting.numbers import validation_figure

RUNS = Path(__file__).parents[1] / "results" / "runs"
FIGURES = ("mean", "low", "high", "runs")


def measure(command: str, metrics: list[str], group: str | None, kept: Path | None) -> dict[str, Any]:
    """The figures of the model that a command trains, and what they depend on.

    Args:
        command: of a row.
        metrics: whose figures.
        group: the group of instances; None for all.
        kept: the folder that the model is saved to; None if it is not kept.
    """
    content = _run(command, kept)
    model = content["models"][-1]
    if group is None:
        instances, cells = content["instances"], dict(model["metrics"])
    else:
        of_group = [row for name in content if name.startswith("by ") for row in content[name] if row["group"] == group]
        instances, cells = of_group[0]["instances"], {row["metric"]: row for row in of_group}
    for metric, value in content["training"].get("validation", {}).items():
        cells[VALIDATION + metric] = {"mean": validation_figure(value)}
    cells["CPU s"] = {"mean": model["cpu_seconds"]}
    return {
        "version": version("segue"),
        "log": content["log"],
        "part": content.get("part", "test"),
        "instances": instances,
        "experiment": content["experiment"],
        "training": content["training"],
        "seeds": [run["seed"] for run in content.get("seeds", [content["experiment"]])],
        "cpu_seconds": model["cpu_seconds"],
        "figures": {m: {k: cells[m][k] for k in FIGURES if k in cells[m]} for m in metrics if cells.get(m)},
    }


def kept_model(name: str) -> Path:
    """The folder of the model of a row, such as hybrid-ml-100k/ease."""
    return cache_folder() / "stored-runs" / name.replace(" ", "-")


def differences(rows: list[dict[str, Any]], kept: Mapping[str, Path], tested_on: str) -> dict[str, Any]:
    """The difference of each kept model from the best one of each metric, as `segue evaluate` tests it.

    Args:
        rows: whose models.
        kept: the folder of each model, by the name of its row; one that is not there is left out.
        tested_on: the log, with further options.
    """
    folders = {str(folder): name for name, folder in kept.items() if folder.exists()}
    content = _json_of("-m", "segue", "evaluate", *folders, "--data", *shlex.split(tested_on))
    found: dict[str, Any] = {row["name"]: {} for row in rows if row["name"] in folders.values()}
    for model in content["models"]:
        for metric, figure in model["metrics"].items():
            if "against" in figure:
                against = {**figure["against"], "model": folders[figure["against"]["model"]]}
                found[folders[model["model"]]][metric] = against
    return {"test": content["test"], "comparisons": content["comparisons"], "rows": found}


@cache
def _run(command: str, kept: Path | None) -> dict[str, Any]:
    """What the command writes with --json. The rows of several groups have one command, which runs once."""
    program, *words = shlex.split(command)
    with tempfile.TemporaryDirectory() as folder:
        if program == "segue":
            words = ["-m", "segue", *words, "--no-baselines", "--out", str(kept or Path(folder) / "model")]
        elif kept:
            words += ["--out", str(kept)]
        return _json_of(*words)


def _json_of(*words: str) -> dict[str, Any]:
    """What a call of Python with these words writes with --json."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.json"
        one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}  # with two, sums round otherwise, and trainings drift apart
        subprocess.run([sys.executable, *words, "--json", str(found)], check=True, env=one_thread)
        content: dict[str, Any] = json.loads(found.read_text(encoding="utf-8"))
        return content


def main() -> None:
    """Fill in the files that are named, or all of them."""
    names = [name for name in sys.argv[1:] if name != "--again"]
    for name in names or sorted(path.stem for path in RUNS.glob("*.json")):
        path = RUNS / f"{name}.json"
        stored = json.loads(path.read_text(encoding="utf-8"))
        rows, tested_on = stored["rows"], stored.get("tested_on")
        kept = {row["name"]: kept_model(f"{name}/{row['name']}") for row in rows if tested_on}
        for row in rows:
            if "figures" not in row or "--again" in sys.argv:
                command = row["command"]
                for folder, model in stored.get("models", {}).items():
                    command = command.replace(folder, shlex.quote(str(kept_model(model))))
                row.update(measure(command, stored["metrics"], row.get("group"), kept.get(row["name"])))
                write_json(path, stored)  # after each row, so that an interrupted call continues
        if tested_on and ("differences" not in stored or "--again" in sys.argv):
            stored["differences"] = differences(rows, kept, tested_on)
            write_json(path, stored)


if __name__ == "__main__":
    main()
