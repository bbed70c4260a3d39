"""The table in README.md, from the records of the measurements."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks.benchmark import TableRow
from benchmarks.jobs import Record, write
from benchmarks.peer_setups import PEER_SETUPS, Peers
from benchmarks.plan import BENCHMARKS

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
Results = dict[str, dict[str, list[Record]]]  # benchmark -> variant -> runs
HEAD = (
    "| what | peer | CPU s | wall s | peak MB | segue: CPU s | wall s | peak MB | ratio CPU | ratio wall "
    "| target | reached |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---|---|\n"
)


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


def fastest(runs: dict[str, list[Record]], part: str | None) -> tuple[str, Figures] | None:
    """The peer with the fewest CPU seconds, if there is one."""
    peers = {label: figures(records, part) for label, records in runs.items() if label in PEER_SETUPS}
    known = [(label, of) for label, of in peers.items() if of]
    return min(known, key=lambda peer: peer[1].cpu_s) if known else None


def row_cells(row: TableRow, runs: dict[str, list[Record]], missing: str | None) -> list[str]:
    """The cells of a row of the table."""
    segue, peer = figures(runs.get(row.variant, []), row.part), fastest(runs, row.part)
    other = [peer[0], *peer[1].cells()] if peer else ["–", *_reported_cells(row)]
    if segue is None:
        return [row.label, *other, "–", "–", "–", "–", "–", target(row), missing or "not measured"]
    ratios = ["–", "–"]
    if peer:
        ratios = [f"{peer[1].cpu_s / segue.cpu_s:.1f}", f"{peer[1].wall_s / segue.wall_s:.1f}"]
    return [row.label, *other, *segue.cells(), *ratios, target(row), verdict(row, segue, runs)]


def _reported_cells(row: TableRow) -> list[str]:
    return [f"{cell}†" if cell != "–" else cell for cell in row.reported_elsewhere or ["–"] * 3]


def target(row: TableRow) -> str:
    """The target as text."""
    words = [
        f"{row.min_speedup:g} times" if row.min_speedup else "",
        f"{row.cpu_s:g} CPU s" if row.cpu_s else "",
        f"{row.peak_mb:,.0f} MB" if row.peak_mb else "",
        f"no worse {' and '.join(map(titled, row.quality_metrics))}" if row.quality_metrics else "",
    ]
    return ", ".join(filter(None, words))


def verdict(row: TableRow, segue: Figures, runs: dict[str, list[Record]]) -> str:
    """Whether the target is reached; otherwise what is not."""
    failing = []
    peer = fastest(runs, row.part)
    if (row.min_speedup or row.quality_metrics) and peer is None:
        return "no peer"
    if peer and row.min_speedup and peer[1].cpu_s / segue.cpu_s < row.min_speedup:
        failing.append("time")
    if row.cpu_s and segue.cpu_s > row.cpu_s:
        failing.append("time")
    if row.peak_mb and segue.peak_mb > row.peak_mb:
        failing.append("memory")
    for metric in row.quality_metrics:
        best_peer = max(quality(records, metric) for label, records in runs.items() if label in PEER_SETUPS)
        if quality(runs[row.variant], metric) < best_peer:
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
        row_cells(row, results.get(name, {}), missing.get(name))
        for name, benchmark in BENCHMARKS.items()
        for row in benchmark.table_rows
    ]
    return HEAD + "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def notes(results: Results) -> str:
    """Notes below the table: test metrics, and lower bounds of the time on Amazon CDs."""
    parts = [_test_note(results.get("whole", {})), *map(_training_note, BENCHMARKS, map(results.get, BENCHMARKS))]
    parts += [*_floor_notes(results.get("cds", {})), _handwritten_note(results.get("handwritten", {}))]
    return "\n".join(filter(None, parts))


def _handwritten_note(runs: dict[str, list[Record]]) -> str:
    output = _output(runs, "segue") or {}
    return handwritten_table(output["parts"]) if "parts" in output else ""


def handwritten_table(parts: dict[str, dict[str, Any]]) -> str:
    """The hand-written parts and the plain ways in torch as Markdown: CPU milliseconds and ratios."""
    lines = [
        "| hand-written part | instead of | layer: segue, ms | plain, ms | ratio | training step: ratio |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for name, part in parts.items():
        layer = part["layer"]
        cells = [number(1e3 * layer["segue_s"]), number(1e3 * layer["plain_s"]), f"{layer['ratio']:.2f}"]
        cells.append(f"{part['step']['ratio']:.2f}" if "step" in part else "–")
        lines.append(f"| `{name}` | {part['plain']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _training_note(name: str, runs: dict[str, list[Record]] | None) -> str:
    """For variants that train some epochs and are then tested: seconds per epoch and NDCG@10."""
    parts = []
    for variant, records in (runs or {}).items():
        output, segue = records[0]["output"], figures(records, "epochs") if name.startswith("sasrec") else None
        if segue and "test" in output:
            epochs = len(output["warm_up"]) + len(output["epochs"])
            values = f"NDCG@10 {quality(records, 'ndcg@10'):.4f} after {epochs} epochs"
            parts.append(f"{variant} {number(segue.cpu_s)} CPU s per epoch of {output['examples']:,} pairs, {values}")
    return f"{name}: {'; '.join(parts)}.\n" if parts else ""


def _test_note(runs: dict[str, list[Record]]) -> str:
    parts = []
    for variant, records in runs.items():
        values = ", ".join(
            f"{titled(metric)} {quality(records, metric):.4f}" for metric in ("recall@10", "ndcg@10", "mrr@10")
        )
        epochs = ", ".join(str(record["output"]["epochs"]) for record in records)
        parts.append(f"{variant} {values} (mean of {len(records)} seeds; {epochs} epochs)")
    return f"Test of the whole command: {'; '.join(parts)}.\n" if parts else ""


def _floor_notes(runs: dict[str, list[Record]]) -> list[str]:
    parts = []
    for variant in ("windows_per_row=1", "windows_per_row=4"):
        segue, output = figures(runs.get(variant, []), "epochs"), _output(runs, f"floor {variant}")
        if segue and output:
            parts.append(_epoch_floor_note(variant, segue, output))
    segue, output = figures(runs.get("windows_per_row=1", []), "test"), _output(runs, "floor windows_per_row=1")
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


def setting(results: Results, peers: Peers) -> str:
    """The date, command, machine and versions of the measurements."""
    records = [record for variants in results.values() for runs in variants.values() for record in runs]
    whens = sorted(record["when"] for record in records)
    dates = sorted({when[:10] for when in whens[:1] + whens[-1:]})
    best_peer = "".join(f" {name} ran on {peer.versions}." for name, peer in peers.items())
    return (
        f"Measured {' to '.join(dates)} by `make bench` (`python -m benchmarks`) on {machine()}; "
        f"Python {platform.python_version()}, {_versions('torch', 'numpy', 'polars')}, one thread.{best_peer}\n"
    )


def machine() -> str:
    """Processor, cores, memory."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}"


def _versions(*packages: str) -> str:
    found = []
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def block(results: Results, missing: dict[str, str], peers: Peers) -> str:
    """The table, the notes and the setting of a run."""
    marks = "† The authors' own program, measured elsewhere: no ratio is taken.\n"
    return "\n".join([table(results, missing), marks, notes(results), setting(results, peers)])


def replace(path: Path, content: str) -> None:
    """Replace the text between the two markers of a file."""
    text = path.read_text("utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{path}: has no {BEGIN} ... {END}; put both lines back, the table goes between them")
    write(path, f"{before}{BEGIN}\n\n{content.strip()}\n\n{END}{after}")
