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
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.results_file import RESULTS, machine, software

STORED = RESULTS / "estimates.json"
EPOCHS = {"sasrec": 2, "gru4rec": 2, "hgn": 5, "bprmf": 5}
MODELS = ("pop", "item-knn", "seq-knn", "bprmf", "hgn", "sasrec", "gru4rec")
RUNS = [(model, log) for log in ("ml-100k", "ml-1m") for model in MODELS] + [("hgn", "hgn_cds"), ("seq-knn", "hgn_cds")]


def measure(words: list[str], folder: Path) -> dict[str, Any]:
    """The JSON that a run writes, and the CPU seconds and the peak memory of its process."""
    command = [sys.executable, "-m", "segue", "run", *words, "--no-baselines", "--json", "result.json", "-o", "model"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    facts = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return {"facts": facts, "cpu_s": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss / 1024 * 1.048576}


def compare(model: str, log: str) -> dict[str, dict[str, float]]:
    """One estimate and one run: of an epoch (a fit), the test, the whole process and its memory."""
    data = log if log.startswith("ml-") else f"{os.environ['SEGUE_DATA']}/{log}.parquet"
    epochs = EPOCHS.get(model, 1)
    settings = ["--set", f"epochs={epochs}", "--patience", str(epochs)] if model in EPOCHS else []
    with tempfile.TemporaryDirectory() as name:
        guess = measure([model, data, *settings, "--estimate"], Path(name))["facts"]
        real = measure([model, data, *settings], Path(name))
    parts = {part["part"]: part["cpu_seconds"] for part in guess["parts"]}
    row, training = real["facts"]["models"][0], real["facts"]["training"]
    once = parts.get("epoch", parts.get("fit", 0.0))
    return {
        "epoch or fit": {"estimate": once, "real": training["cpu_seconds"] / epochs},
        "test": {"estimate": parts["test"], "real": row["test_cpu_seconds"]},
        "whole run": {"estimate": guess["most"]["cpu_seconds"], "real": real["cpu_s"]},
        "peak MB": {"estimate": guess["peak_mb"], "real": real["peak_mb"]},
    }


def medians(repeats: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """The median of each figure."""
    return {
        what: {side: float(f"{statistics.median(one[what][side] for one in repeats):.3g}") for side in pair}
        for what, pair in repeats[0].items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(MODELS))
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    stored = json.loads(STORED.read_text(encoding="utf-8")) if STORED.exists() else {"measured": {}, "rows": {}}
    about = {"repeats": args.repeats, "date": date.today().isoformat(), "machine": machine(), "software": software()}
    for model, log in RUNS:
        if model in args.only:
            run = f"{model}, {log}"
            stored["rows"][run] = medians([compare(model, log) for _ in range(args.repeats)])
            stored["measured"][run] = about
            content = {**stored, "command": "python -m benchmarks.estimates"}
            STORED.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
            print(run, stored["rows"][run], flush=True)


if __name__ == "__main__":
    main()
