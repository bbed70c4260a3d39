"""Estimates beside what the same runs really took: `python -m benchmarks.estimates [--only hgn,pop] [--repeats 3]`.

For each run, `segue run ... --estimate` and then the run itself, in turns, each a process of its own with one thread. A
network is trained for a few epochs and all of them are validated, so that their number is known. Figures are medians of
the repeats. They are stored in benchmarks/results/estimates.json with the number of repeats, the date and the machine,
and the table of the page about estimates is made from them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

from benchmarks.jobs import write
from benchmarks.only import add_only
from benchmarks.process import Cost, run
from benchmarks.results_file import RESULTS, provenance

STORED = RESULTS / "estimates.json"
EPOCHS = {"sasrec": 2, "gru4rec": 2, "hgn": 5, "bprmf": 5}
PRESETS = {"gru4rec": "paper", "hgn": "paper"}
MODELS = ("pop", "item-knn", "seq-knn", "bprmf", "hgn", "sasrec", "gru4rec")
RUNS = [(model, log) for log in ("ml-100k", "ml-1m") for model in MODELS] + [("hgn", "hgn_cds"), ("seq-knn", "hgn_cds")]


def measure(words: list[str], folder: Path) -> tuple[dict[str, Any], Cost]:
    """The JSON that a run writes, and what its process took."""
    command = [sys.executable, "-m", "segue", "run", *words, "--no-baselines", "--json", "result.json", "-o", "model"]
    cost = run(command, folder, stdout=DEVNULL, stderr=DEVNULL)
    return json.loads((folder / "result.json").read_text(encoding="utf-8")), cost


def compare(model: str, log: str) -> dict[str, dict[str, float]]:
    """One estimate and one run: of an epoch (a fit), the test, the whole process and its memory."""
    data = log if log.startswith("ml-") else f"{os.environ['SEGUE_DATA']}/{log}.parquet"
    epochs = EPOCHS.get(model, 1)
    settings = ["--set", f"epochs={epochs}", "--patience", str(epochs)] if model in EPOCHS else []
    settings += ["--preset", PRESETS[model]] if model in PRESETS else []
    with tempfile.TemporaryDirectory() as name:
        guess, _ = measure([model, data, *settings, "--estimate"], Path(name))
        real, cost = measure([model, data, *settings], Path(name))
    parts = {part["part"]: part["cpu_seconds"] for part in guess["parts"]}
    row, training = real["models"][0], real["training"]
    once = parts.get("epoch", parts.get("fit", 0.0))
    return {
        "epoch or fit": {"estimate": once, "real": training["cpu_seconds"] / epochs},
        "test": {"estimate": parts["test"], "real": row["test_cpu_seconds"]},
        "whole run": {"estimate": guess["most"]["cpu_seconds"], "real": cost.cpu_s},
        "peak MB": {"estimate": guess["peak_mb"], "real": cost.peak_mb},
    }


def medians(repeats: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """The median of each figure."""
    return {
        what: {side: float(f"{statistics.median(one[what][side] for one in repeats):.3g}") for side in pair}
        for what, pair in repeats[0].items()
    }


def main() -> None:
    """Measure, and store the figures after each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_only(parser, MODELS, "model")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    stored = json.loads(STORED.read_text(encoding="utf-8")) if STORED.exists() else {"measured": {}, "rows": {}}
    about = {"repeats": args.repeats, **provenance()}
    for model, log in RUNS:
        if model in args.only:
            name = f"{model}, {log}"
            stored["rows"][name] = medians([compare(model, log) for _ in range(args.repeats)])
            stored["measured"][name] = about
            content = {**stored, "command": "python -m benchmarks.estimates"}
            write(STORED, json.dumps(content, indent=1) + "\n")
            print(name, stored["rows"][name], flush=True)


if __name__ == "__main__":
    main()
