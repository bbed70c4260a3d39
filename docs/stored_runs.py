"""Run the commands of a table of figures and store what they measure: `python docs/stored_runs.py neumf-ml-100k`.

results/runs/neumf-ml-100k.json
    {"metrics": ["recall@10", "ndcg@10"],
     "rows": [{"name": "POP", "command": "segue run pop ml-100k --refit"}, ...]}

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
from importlib.metadata import version
from pathlib import Path
from typing import Any

from segue.io import write_json

RUNS = Path(__file__).parents[1] / "results" / "runs"
FIGURES = ("mean", "low", "high", "runs")


def measure(command: str, metrics: list[str]) -> dict[str, Any]:
    """The figures of the model that a `segue run` command trains, and what they depend on."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.json"
        places = ["--json", str(found), "--out", str(Path(folder) / "model")]
        words = [*shlex.split(command)[1:], "--no-baselines", *places]
        one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}  # with two, sums round otherwise, and trainings drift apart
        subprocess.run([sys.executable, "-m", "segue", *words], check=True, env=one_thread)
        content = json.loads(found.read_text(encoding="utf-8"))
    model = content["models"][-1]
    cells = {metric: model["metrics"][metric] or {} for metric in metrics}
    return {
        "version": version("segue"),
        "log": content["log"],
        "instances": content["instances"],
        "experiment": content["experiment"],
        "training": content["training"],
        "seeds": [run["seed"] for run in content.get("seeds", [content["experiment"]])],
        "cpu_seconds": model["cpu_seconds"],
        "figures": {metric: {k: cell[k] for k in FIGURES if k in cell} for metric, cell in cells.items() if cell},
    }


def main() -> None:
    names = [name for name in sys.argv[1:] if name != "--again"]
    for name in names or sorted(path.stem for path in RUNS.glob("*.json")):
        path = RUNS / f"{name}.json"
        stored = json.loads(path.read_text(encoding="utf-8"))
        for row in stored["rows"]:
            if "figures" not in row or "--again" in sys.argv:
                row.update(measure(row["command"], stored["metrics"]))
                write_json(path, stored)  # after each row, so that an interrupted call continues


if __name__ == "__main__":
    main()
