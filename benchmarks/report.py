"""The table in README.md, made of the records that the measurements left."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks.jobs import Record, write
from benchmarks.plan import ROWS, Line
from benchmarks.programs import PROGRAMS, Peers

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
Results = dict[str, dict[str, list[Record]]]  # row -> side -> its runs
HEAD = (
    "| what | peer | CPU s | wall s | peak MB | segue: CPU s | wall s | peak MB | ratio CPU | ratio wall "
    "| target | met |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---|---|\n"
)


@dataclass(frozen=True)
class Figures:
    """Medians of one side."""

    cpu_s: float
    wall_s: float
    peak_mb: float

    def cells(self) -> list[str]:
        return [number(self.cpu_s), number(self.wall_s), f"{self.peak_mb:,.0f}"]


def figures(records: list[Record], part: str | None) -> Figures | None:
    """Over the runs of a side, the median of each run's median; None where there is no run."""
    runs = []
    for record in records:
        entries: list[Record] = [record] if part is None else record["said"][part]
        peak = [float(entry.get("peak_mb") or record["peak_mb"]) for entry in entries]
        runs.append((median(e["cpu_s"] for e in entries), median(e["wall_s"] for e in entries), median(peak)))
    return Figures(*(median(values) for values in zip(*runs, strict=True))) if runs else None


def quality(records: list[Record], metric: str) -> float:
    """A test metric, on average over the runs."""
    return mean(record["said"]["test"][metric] for record in records)


def fastest(runs: dict[str, list[Record]], part: str | None) -> tuple[str, Figures] | None:
    """The peer with the fewest CPU seconds, where there is one."""
    peers = {label: figures(records, part) for label, records in runs.items() if label in PROGRAMS}
    known = [(label, of) for label, of in peers.items() if of]
    return min(known, key=lambda peer: peer[1].cpu_s) if known else None


def line_cells(line: Line, runs: dict[str, list[Record]], missing: str | None) -> list[str]:
    """The cells of one line of the table."""
    own, peer = figures(runs.get(line.side, []), line.part), fastest(runs, line.part)
    other = [peer[0], *peer[1].cells()] if peer else ["–", *_elsewhere(line)]
    if own is None:
        return [line.what, *other, "–", "–", "–", "–", "–", target(line), missing or "not measured"]
    ratios = ["–", "–"]
    if peer:
        ratios = [f"{peer[1].cpu_s / own.cpu_s:.1f}", f"{peer[1].wall_s / own.wall_s:.1f}"]
    return [line.what, *other, *own.cells(), *ratios, target(line), verdict(line, own, runs)]


def _elsewhere(line: Line) -> list[str]:
    return [f"{cell}†" if cell != "–" else cell for cell in line.elsewhere or ["–"] * 3]


def target(line: Line) -> str:
    """What is expected, in words."""
    words = [
        f"{line.faster:g} times" if line.faster else "",
        f"{line.cpu_s:g} CPU s" if line.cpu_s else "",
        f"{line.peak_mb:,.0f} MB" if line.peak_mb else "",
        f"no worse {' and '.join(map(titled, line.quality))}" if line.quality else "",
    ]
    return ", ".join(filter(None, words))


def verdict(line: Line, own: Figures, runs: dict[str, list[Record]]) -> str:
    """Whether all that is expected holds, else what does not."""
    failing = []
    peer = fastest(runs, line.part)
    if (line.faster or line.quality) and peer is None:
        return "no peer"
    if peer and line.faster and peer[1].cpu_s / own.cpu_s < line.faster:
        failing.append("time")
    if line.cpu_s and own.cpu_s > line.cpu_s:
        failing.append("time")
    if line.peak_mb and own.peak_mb > line.peak_mb:
        failing.append("memory")
    for metric in line.quality:
        theirs = max(quality(records, metric) for label, records in runs.items() if label in PROGRAMS)
        if quality(runs[line.side], metric) < theirs:
            failing.append(titled(metric))
    return f"no: {', '.join(failing)}" if failing else "yes"


def titled(metric: str) -> str:
    """A metric as people write it: Recall@10, NDCG@10."""
    name, _, k = metric.partition("@")
    return f"{name.upper() if name in ('ndcg', 'mrr') else name.capitalize()}@{k}"


def number(value: float) -> str:
    """Three digits or so."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:,.{digits}f}"


def table(results: Results, missing: dict[str, str]) -> str:
    """All lines, in Markdown."""
    lines = [
        line_cells(line, results.get(name, {}), missing.get(name)) for name, row in ROWS.items() for line in row.lines
    ]
    return HEAD + "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def notes(results: Results) -> str:
    """What the table has no room for: quality, what was learnt by epochs of the same work, and the floor of the CDs."""
    told = [_quality(results.get("whole", {})), *map(_learnt, ROWS, map(results.get, ROWS))]
    return "\n".join(filter(None, [*told, *_floors(results.get("cds", {}))]))


def _learnt(name: str, runs: dict[str, list[Record]] | None) -> str:
    """Of a row whose sides train a few epochs and are then tested: each side's seconds and quality."""
    told = []
    for side, records in (runs or {}).items():
        said, own = records[0]["said"], figures(records, "epochs") if name.startswith("sasrec") else None
        if own and "test" in said:
            epochs = len(said["warm_up"]) + len(said["epochs"])
            values = f"NDCG@10 {quality(records, 'ndcg@10'):.4f} after {epochs} epochs"
            told.append(f"{side} {number(own.cpu_s)} CPU s an epoch of {said['examples']:,} pairs, {values}")
    return f"{name}: {'; '.join(told)}.\n" if told else ""


def _quality(runs: dict[str, list[Record]]) -> str:
    told = []
    for side, records in runs.items():
        values = ", ".join(
            f"{titled(metric)} {quality(records, metric):.4f}" for metric in ("recall@10", "ndcg@10", "mrr@10")
        )
        epochs = ", ".join(str(record["said"]["epochs"]) for record in records)
        told.append(f"{side} {values} (mean of {len(records)} seeds; {epochs} epochs)")
    return f"Test of the whole command: {'; '.join(told)}.\n" if told else ""


def _floors(runs: dict[str, list[Record]]) -> list[str]:
    told = []
    for side in ("per_row=1", "per_row=4"):
        own, said = figures(runs.get(side, []), "epochs"), _said(runs, f"floor {side}")
        if own and said:
            told.append(_epoch_floor(side, own, said))
    own, said = figures(runs.get("per_row=1", []), "test"), _said(runs, "floor per_row=1")
    if own and said:
        floor = said["eval_flops"] / said["gemm_flops_s"]
        told.append(
            f"Floor of the ranking: {said['eval_flops'] / 1e9:.1f} GFLOP at the same rate, {number(floor)} s; "
            f"segue takes {own.cpu_s / floor:.1f} times that.\n"
        )
    return told


def _epoch_floor(side: str, own: Figures, said: dict[str, Any]) -> str:
    arithmetic = said["epoch_flops"] / said["gemm_flops_s"]
    traffic = said["epoch_bytes"] / said["memory_bytes_s"]
    return (
        f"Floor of an epoch on Amazon CDs, {side}: {said['epoch_flops'] / 1e9:.1f} GFLOP at the "
        f"{said['gemm_flops_s'] / 1e9:.0f} GFLOP/s that a large product reaches here, {number(arithmetic)} s; "
        f"{said['steps']} dense Adam steps over {said['parameters'] / 1e6:.2f} M weights, 28 bytes each, at "
        f"{said['memory_bytes_s'] / 1e9:.0f} GB/s, {number(traffic)} s; together {number(arithmetic + traffic)} s. "
        f"segue takes {own.cpu_s / (arithmetic + traffic):.1f} times that.\n"
    )


def _said(runs: dict[str, list[Record]], side: str) -> dict[str, Any] | None:
    return runs[side][0]["said"] if runs.get(side) else None


def setting(results: Results, peers: Peers) -> str:
    """When, on what and by which command."""
    whens = sorted(record["when"] for sides in results.values() for records in sides.values() for record in records)
    dates = sorted({when[:10] for when in whens[:1] + whens[-1:]})
    theirs = "".join(f" {name} ran on {peer.versions}." for name, peer in peers.items())
    return (
        f"Measured {' to '.join(dates)} by `make bench` (`python -m benchmarks`) on {machine()}; "
        f"Python {platform.python_version()}, {_versions('torch', 'numpy', 'polars')}, one thread.{theirs}\n"
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
    """All that a run has to say."""
    marks = "† The authors' own program, measured elsewhere: no ratio is taken.\n"
    return "\n".join([table(results, missing), marks, notes(results), setting(results, peers)])


def replace(path: Path, content: str) -> None:
    """Put `content` between the two markers of a file."""
    text = path.read_text("utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{path}: has no {BEGIN} ... {END}; put both lines back, the table goes between them")
    write(path, f"{before}{BEGIN}\n\n{content.strip()}\n\n{END}{after}")
