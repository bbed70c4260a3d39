"""The file of a complete run."""

from __future__ import annotations

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


def test_without_results_no_page_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "COMPLETE", tmp_path / "complete.json")
    with pytest.raises(SystemExit, match=r"complete\.json: there is none; a complete run"):
        bench.main(["--page"])
    for text in ("{", '{"results": {}}'):
        (tmp_path / "complete.json").write_text(text)
        with pytest.raises(SystemExit, match=r"complete\.json: not a file of results"):
            bench.main(["--page"])
