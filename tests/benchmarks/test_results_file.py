"""The file of a complete run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.results_file import CompleteRun
from measured import entries, record

from benchmarks import __main__ as bench
from benchmarks import report


def test_results_are_stored_without_commands(tmp_path: Path) -> None:
    path = tmp_path / "results" / "complete.json"
    own = {**record(2.0, readings=entries(1.0)), "command": ["/a/folder/python"], "version": "9f2c"}
    run = CompleteRun.here({"ingest": {"segue": [own]}}, {"eval": "no data"}, {"RecBole": "1.2.1"})
    run.write(path)
    assert "command" not in path.read_text()
    read = CompleteRun.read(path)
    assert (read.machine, read.software, read.missing) == (run.machine, run.software, run.missing)
    assert report.blocks(read) == report.blocks(run)


def test_newer_results_join_those_of_the_same_machine() -> None:
    old, new = record(2.0, readings=entries(1.0)), record(3.0, readings=entries(2.0))
    run = CompleteRun.here({"ingest": {"segue": [old]}}, {"eval": "no data", "hstu": "no data"}, {"RecBole": "1.2.1"})
    newer = CompleteRun.here({"ingest": {"segue": [new]}, "hstu": {"segue": [new]}}, {}, {"RecTools": "0.19.0"})
    both = run.with_results(newer, ["hstu"])
    assert both.results == {"ingest": {"segue": [old]}, "hstu": {"segue": [new]}}
    assert both.missing == {"eval": "no data"}
    assert both.peers == {"RecBole": "1.2.1", "RecTools": "0.19.0"}
    with pytest.raises(SystemExit, match="--add: measured on another, the results that are there on"):
        run.with_results(replace(newer, machine="another"), ["hstu"])


def test_without_results_no_page_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "COMPLETE", tmp_path / "complete.json")
    with pytest.raises(SystemExit, match=r"complete\.json: there is none; a complete run"):
        bench.main(["--page"])
    for text in ("{", '{"results": {}}'):
        (tmp_path / "complete.json").write_text(text)
        with pytest.raises(SystemExit, match=r"complete\.json: not a file of results"):
            bench.main(["--page"])
