"""A measurement in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from benchmarks.jobs import Job, MeasurementFailed, measure


def test_a_stored_result_is_valid_only_for_the_same_measurement(tmp_path: Path) -> None:
    code = "import json; print('noise'); print(json.dumps({'x': 1}))"
    job = Job("job", (sys.executable, "-c", code), version="1")
    assert job.load(tmp_path) is None
    stored = job.run(tmp_path)
    assert stored["output"] == {"x": 1}
    assert stored["cpu_s"] > 0
    assert stored["peak_mb"] > 1
    assert job.load(tmp_path) == stored
    assert Job("job", job.command, version="2").load(tmp_path) is None
    assert Job("job", (*job.command, "more"), version="1").load(tmp_path) is None
    (tmp_path / "job.json").write_text("{")
    assert job.load(tmp_path) is None


def test_processes_have_one_thread() -> None:
    code = "import json, os; print(json.dumps(os.environ['OMP_NUM_THREADS'] + os.environ['POLARS_MAX_THREADS']))"
    assert measure([sys.executable, "-c", code])["output"] == "11"


def test_the_error_ends_with_the_last_lines(tmp_path: Path) -> None:
    job = Job("job", (sys.executable, "-c", "raise SystemExit('no such data')"), version="")
    with pytest.raises(MeasurementFailed, match="exit code 1; its last lines:\nno such data"):
        job.run(tmp_path)
    assert not list(tmp_path.iterdir())
