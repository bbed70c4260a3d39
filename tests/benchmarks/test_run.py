"""The command `python -m benchmarks` on prepared measurements."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from benchmarks.__main__ import parse, reason_not_to_publish, run_benchmark
from benchmarks.benchmark import segue_version
from benchmarks.jobs import Job, MeasurementFailed, Record
from benchmarks.plan import BENCHMARKS
from measured import PEERS, cells, entries, record

from benchmarks import __main__ as bench


def test_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse([]).only == list(BENCHMARKS)
    args = parse(["--only", "eval,whole", "--quick", "--peers", "folder"])
    assert (args.only, args.quick, args.peers) == (["whole", "eval"], True, Path("folder"))
    with pytest.raises(SystemExit, match="2"):
        parse(["--only", "evil"])
    assert "no benchmark 'evil'; there are: whole, epoch-ce" in capsys.readouterr().err


def test_variants_run_in_turn_and_every_run_has_its_seed() -> None:
    jobs_of_whole = BENCHMARKS["whole"].jobs("whole", "v", PEERS, quick=False)
    jobs = [(variant.label, job.command[job.command.index("--seed") + 1]) for variant, job in jobs_of_whole]
    assert jobs == [("RecBole", "2020"), ("segue", "0"), ("segue", "1"), ("segue", "2")]


def test_only_complete_results_of_one_version_are_published() -> None:
    full = {
        name: {variant.label: [record()] * benchmark.rounds * variant.runs_per_round for variant in benchmark.variants}
        for name, benchmark in BENCHMARKS.items()
    }
    version, everything = segue_version(), list(BENCHMARKS)
    assert reason_not_to_publish(full, everything, version) == ""
    changed = "the source was changed while it was measured; run it again"
    assert reason_not_to_publish(full, everything, "older") == changed
    del full["cds"], full["eval"]["RecBole"]
    assert reason_not_to_publish(full, everything, version) == "not measured: eval, cds"
    assert reason_not_to_publish(full, [], version) == ""
    assert reason_not_to_publish(full, [], "older") == changed


def test_a_failed_measurement_ends_its_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "false")
    jobs = list(BENCHMARKS["ingest"].jobs("ingest", "v", {}, quick=True))
    assert run_benchmark("ingest", jobs, tmp_path) == {"ingest": "failed: segue"}


CANNED = record(
    warm_up=[],
    examples=9,
    test={"recall@10": 0.1, "ndcg@10": 0.05, "mrr@10": 0.03},
    epochs=entries(1.0),
    readings=entries(9.0),
    rankings=entries(0.5),
    fits=entries(2.0),
    rows=20_000_000,
)


def test_an_interrupted_run_is_resumed_and_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "README.md"
    ran: list[str] = []
    page.write_text("".join(f"<!-- {name}: begin -->\n<!-- {name}: end -->\n" for name in ("results", "handwritten")))

    def run(job: Job, folder: Path) -> Record:
        if job.name.startswith("eval.segue") and not ran.count("eval.segue.0"):
            ran.append("eval.segue.0")
            raise MeasurementFailed("no such data")
        ran.append(job.name)
        stored = {**CANNED, "command": list(job.command), "version": job.version}
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{job.name}.json").write_text(json.dumps(stored))
        return stored

    monkeypatch.setattr(Job, "run", run)
    monkeypatch.setattr(bench, "BENCH", tmp_path)
    monkeypatch.setattr(bench, "README", page)
    monkeypatch.setattr(bench, "COMPLETE", tmp_path / "complete.json")
    monkeypatch.setattr(bench, "find_peers", lambda names, folder, set_up: PEERS)
    monkeypatch.setattr(bench, "missing_data", lambda: {"cds": "not measured: hgn-cds is not available"})
    with pytest.raises(SystemExit, match="1"):
        bench.main(["--only", "cds"])  # its data are missing, and nothing is measured
    assert not ran
    with pytest.raises(SystemExit, match="1"):
        bench.main([])
    assert "README.md is unchanged: not measured: eval" in capsys.readouterr().out
    assert "| what |" not in page.read_text()

    first = len(ran)
    bench.main([])
    assert ran[first:] == ["eval.segue.0", *(f"eval.{variant}.{n}" for n in (1, 2) for variant in ("recbole", "segue"))]
    text = page.read_text()
    assert cells(text, "full ranking of ml-1m")[10:] == ["2.5 times", "no: time"]
    assert cells(text, "full ranking of ml-1m", below=1)[5:7] == ["1.0", "1.0"]
    assert cells(text, "full ranking of Amazon")[-1] == "not measured: hgn-cds is not available"
    assert "Measured 2026-01-31 by `make bench`" in text
    assert "RecBole ran on recbole 1.2.1" in text
