"""Draw the pictures of the README: `python docs/pictures.py` (a minute; needs MovieLens 100K and the extra viz).

docs/images/terminal.svg   what `segue demo` prints
docs/images/growth.svg     the time of a fit or an epoch by size, from benchmarks/results/growth.json
docs/images/quality.svg    quality against training time, from results/comparisons/ml-100k.json
"""

from __future__ import annotations

import io
import json
import re
import tempfile
from pathlib import Path
from unittest.mock import patch

from rich.console import Console

from segue.cli import output as cli_output
from segue.cli.demo import demo
from segue.cli.output import OutputOptions
from segue.reporting import chart_files, charts

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
COMPARISON = ROOT / "results" / "comparisons" / "ml-100k.json"
GROWTH = ROOT / "benchmarks" / "results" / "growth.json"
WIDTH = 78


def terminal() -> str:
    """What `segue demo` prints, as SVG without fonts from the network."""
    console = Console(
        record=True, emoji=False, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    with tempfile.TemporaryDirectory() as folder, patch.object(cli_output, "stdout", lambda: console):
        demo(output=OutputOptions(out=Path(folder) / "models"))
    drawn = console.export_svg(title="segue demo", unique_id="segue")
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)
    return re.sub(r"[ \t]+$", "", drawn, flags=re.MULTILINE)


def quality() -> None:
    """NDCG@10 on the test part against the CPU seconds of the final training."""
    facts = json.loads(COMPARISON.read_text(encoding="utf-8"))
    rows = []
    for model in facts["models"]:
        seconds = facts["best_models"][model["model"]]["training"]["cpu_seconds"]
        ndcg = model["metrics"]["ndcg@10"]["mean"]
        rows.append({"training, CPU s": max(seconds, 0.001), "ndcg@10": ndcg, "model": model["model"]})
    title = "MovieLens 100K: quality against training time"
    chart = charts.scatter_chart(rows, x="training, CPU s", y="ndcg@10", label="model", title=title, log="x")
    chart_files.save_chart(chart, IMAGES / "quality.svg")


def growth() -> None:
    """The CPU seconds of a fit or an epoch on logs with more users and items, and as many events of each user."""
    stored = json.loads(GROWTH.read_text(encoding="utf-8"))["rows"]
    x, y = "size of the log: users, items and events", "fit or epoch, CPU s"
    rows = [{x: row["factor"], y: row["fit"], "model": row["model"]} for row in stored if row["sweep"] == "events"]
    chart = charts.line_chart(rows, x=x, y=y, by="model", title="Time of a fit or an epoch", log="xy")
    chart_files.save_chart(chart, IMAGES / "growth.svg")


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / "terminal.svg").write_text(terminal(), encoding="utf-8")
    quality()
    growth()
