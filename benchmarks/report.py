"""The tables and notes in README.md, from the records of the measurements."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks.benchmark import TableRow
from benchmarks.jobs import Record, write
from benchmarks.peer_setups import PEER_SETUPS
from benchmarks.plan import BENCHMARKS
from benchmarks.results_file import CompleteRun, Results

BEGIN, END = "<!-- {}: begin -->", "<!-- {}: end -->"
HEAD = (
    "| what | program | CPU s | wall s | peak MB | ratio CPU | ratio wall | Recall@10 | NDCG@10 | epochs "
    "| target | reached |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---|---|---|\n"
)
SHOWN = ("recall@10", "ndcg@10")


@dataclass(frozen=True)
class Figures:
    """Medians of one variant."""

    cpu_s: float
    wall_s: float
    peak_mb: float

    def cells(self) -> list[str]:
        return [number(self.cpu_s), number(self.wall_s), f"{self.peak_mb:,.0f}"]


def figures(records: list[Record], part: str | None) -> Figures | None:
    """The median over runs of the median within a run; None if there is no run."""
    runs = []
    for record in records:
        entries: list[Record] = [record] if part is None else record["output"][part]
        peak = [float(entry.get("peak_mb") or record["peak_mb"]) for entry in entries]
        runs.append((median(e["cpu_s"] for e in entries), median(e["wall_s"] for e in entries), median(peak)))
    return Figures(*(median(values) for values in zip(*runs, strict=True))) if runs else None


def quality(records: list[Record], metric: str) -> float:
    """The mean of a test metric over the runs."""
    return mean(record["output"]["test"][metric] for record in records)


def peers_of(runs: dict[str, list[Record]], part: str | None) -> dict[str, Figures]:
    """The figures of the peers, the fastest first."""
    found = {label: figures(records, part) for label, records in runs.items() if label in PEER_SETUPS}
    known = {label: of for label, of in found.items() if of}
    return dict(sorted(known.items(), key=lambda peer: peer[1].cpu_s))


def row_lines(row: TableRow, runs: dict[str, list[Record]], missing: str | None) -> list[list[str]]:
    """The lines of a row, each a list of cells: segue, then the peers."""
    segue, peers = figures(runs.get(row.variant, []), row.part), peers_of(runs, row.part)
    lines = []
    if segue is None:
        lines.append([row.label, "segue", *["–"] * 8, target(row), missing or "not measured"])
    else:
        tested = _quality_cells(runs[row.variant])
        lines.append([row.label, "segue", *segue.cells(), "", "", *tested, target(row), verdict(row, segue, runs)])
    for label, peer in peers.items():
        ratios = [_ratio(peer.cpu_s / segue.cpu_s), _ratio(peer.wall_s / segue.wall_s)] if segue else ["–", "–"]
        lines.append(["", label, *peer.cells(), *ratios, *_quality_cells(runs[label]), "", ""])
    if row.reported_elsewhere:
        lines.append(["", "authors' program†", *row.reported_elsewhere, *["–"] * 5, "", ""])
    return lines


def _ratio(value: float) -> str:
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def is_tested(records: list[Record]) -> bool:
    """Whether the models were tested; they are not if only some batches of an epoch were run."""
    return all("test" in record["output"] for record in records)


def _quality_cells(records: list[Record]) -> list[str]:
    """Recall, NDCG and the number of epochs before the test."""
    if not is_tested(records):
        return ["–", "–", "–"]
    epochs = [_num_epochs(record["output"]) for record in records]
    shown = epochs[:1] if len(set(epochs)) == 1 else epochs
    return [*(f"{quality(records, metric):.4f}" for metric in SHOWN), ", ".join(shown)]


def _num_epochs(output: dict[str, Any]) -> str:
    epochs = output.get("epochs")
    if epochs is None:
        return "–"
    return str(epochs if isinstance(epochs, int) else len(output["warm_up"]) + len(epochs))


def target(row: TableRow) -> str:
    """The target as text."""
    words = [
        _speedup(row.min_speedup) if row.min_speedup else "",
        f"{row.cpu_s:g} CPU s" if row.cpu_s else "",
        f"{row.peak_mb:,.0f} MB" if row.peak_mb else "",
        f"no worse {' and '.join(map(titled, row.quality_metrics))}" if row.quality_metrics else "",
    ]
    return ", ".join(filter(None, words))


def _speedup(ratio: float) -> str:
    return f"{ratio:g} times" if ratio >= 1 else f"at most {1 / ratio:g} times as long"


def verdict(row: TableRow, segue: Figures, runs: dict[str, list[Record]]) -> str:
    """Whether the target is reached against every peer; otherwise what is not."""
    failing = []
    peers = peers_of(runs, row.part)
    if (row.min_speedup or row.quality_metrics) and not peers:
        return "no peer"
    if row.quality_metrics and not all(map(is_tested, [runs[row.variant], *map(runs.__getitem__, peers)])):
        return "not tested"
    if row.min_speedup and min(peer.cpu_s for peer in peers.values()) / segue.cpu_s < row.min_speedup:
        failing.append("time")
    if row.cpu_s and segue.cpu_s > row.cpu_s:
        failing.append("time")
    if row.peak_mb and segue.peak_mb > row.peak_mb:
        failing.append("memory")
    for metric in row.quality_metrics:
        if quality(runs[row.variant], metric) < max(quality(runs[label], metric) for label in peers):
            failing.append(titled(metric))
    return f"no: {', '.join(failing)}" if failing else "yes"


def titled(metric: str) -> str:
    """The title of a metric: Recall@10, NDCG@10."""
    name, _, k = metric.partition("@")
    return f"{name.upper() if name in ('ndcg', 'mrr') else name.capitalize()}@{k}"


def number(value: float) -> str:
    """A number with about three digits."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:,.{digits}f}"


def table(results: Results, missing: dict[str, str]) -> str:
    """All rows as Markdown."""
    lines = [
        cells
        for name, benchmark in BENCHMARKS.items()
        for row in benchmark.table_rows
        for cells in row_lines(row, results.get(name, {}), missing.get(name))
    ]
    return HEAD + "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def handwritten_table(parts: dict[str, dict[str, Any]]) -> str:
    """The hand-written parts and the plain ways in torch as Markdown: CPU milliseconds and ratios."""
    lines = [
        "| hand-written part | instead of | layer: segue, ms | plain, ms | ratio | training step: ratio |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for name, part in parts.items():
        layer = part["layer"]
        cells = [number(1e3 * layer["segue_s"]), number(1e3 * layer["plain_s"]), number(layer["ratio"])]
        cells.append(number(part["step"]["ratio"]) if "step" in part else "–")
        lines.append(f"| `{name}` | {part['plain']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _floor_notes(runs: dict[str, list[Record]]) -> list[str]:
    parts = []
    for variant in ("windows_per_row=1", "windows_per_row=4"):
        segue, output = figures(runs.get(variant, []), "epochs"), _output(runs, f"floor {variant}")
        if segue and output:
            parts.append(_epoch_floor_note(variant, segue, output))
    segue, output = figures(runs.get("windows_per_row=1", []), "rankings"), _output(runs, "floor windows_per_row=1")
    if segue and output:
        floor = output["eval_flops"] / output["gemm_flops_s"]
        parts.append(
            f"Lower bound of the ranking: {output['eval_flops'] / 1e9:.1f} GFLOP at the same rate, {number(floor)} s; "
            f"segue takes {segue.cpu_s / floor:.1f} times that.\n"
        )
    return parts


def _epoch_floor_note(variant: str, segue: Figures, output: dict[str, Any]) -> str:
    arithmetic = output["epoch_flops"] / output["gemm_flops_s"]
    traffic = output["epoch_bytes"] / output["memory_bytes_s"]
    return (
        f"Lower bound of an epoch on Amazon CDs, {variant}: {output['epoch_flops'] / 1e9:.1f} GFLOP at the "
        f"{output['gemm_flops_s'] / 1e9:.0f} GFLOP/s that a large matrix product reaches, {number(arithmetic)} s; "
        f"{output['steps']} dense Adam steps over {output['parameters'] / 1e6:.2f} M parameters, 28 bytes each, at "
        f"{output['memory_bytes_s'] / 1e9:.0f} GB/s, {number(traffic)} s; together {number(arithmetic + traffic)} s. "
        f"segue takes {segue.cpu_s / (arithmetic + traffic):.1f} times that.\n"
    )


def _output(runs: dict[str, list[Record]], variant: str) -> dict[str, Any] | None:
    return runs[variant][0]["output"] if runs.get(variant) else None


def setting(run: CompleteRun) -> str:
    """The date, command, machine, load and versions of the measurements."""
    records = [record for variants in run.results.values() for runs in variants.values() for record in runs]
    if not records:
        return ""
    dates = sorted({record["when"][:10] for record in records})
    loads = [record["load"] for record in records]
    peers = "".join(f" {name} ran on {versions}." for name, versions in run.peers.items())
    return (
        f"Measured {' to '.join(dict.fromkeys([dates[0], dates[-1]]))} by `make bench` (`python -m benchmarks`) on "
        f"{run.machine}; the load average before a measurement was {median(loads):.1f} (median; highest "
        f"{max(loads):.1f}). {run.software}, one thread.{peers}\n"
    )


def target_notes() -> str:
    """Why some targets are no higher, as a list."""
    labels: dict[str, list[str]] = {}
    for benchmark in BENCHMARKS.values():
        for row in benchmark.table_rows:
            if row.target_note:
                labels.setdefault(row.target_note, []).append(row.label)
    return "".join(f"* {'; '.join(rows)}: {note}.\n" for note, rows in labels.items())


def blocks(run: CompleteRun) -> dict[str, str]:
    """The generated parts of README.md, by the name in their markers."""
    marks = "† Measured on another machine: there is no ratio.\n\nTargets that were lowered, or are below 1:\n"
    notes = [target_notes(), *_floor_notes(run.results.get("cds", {}))]
    parts = (_output(run.results.get("handwritten", {}), "segue") or {}).get("parts", {})
    return {
        "results": "\n".join([table(run.results, run.missing), marks, *notes, setting(run)]),
        "handwritten": handwritten_table(parts),
    }


def replace(path: Path, contents: dict[str, str]) -> None:
    """Replace the texts between the markers of a file."""
    text = path.read_text("utf-8")
    for name, content in contents.items():
        begin, end = BEGIN.format(name), END.format(name)
        before, found, rest = text.partition(begin)
        _, ended, after = rest.partition(end)
        if not found or not ended:
            raise SystemExit(f"{path}: has no {begin} ... {end}; put both lines back, the table goes between them")
        text = f"{before}{begin}\n\n{content.strip()}\n\n{end}{after}"
    write(path, text)
