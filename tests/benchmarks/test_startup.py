"""The benchmark of starts measures whole processes, and fills a store once."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.process import Cost
from benchmarks.startup import SOURCE, fill_store, measure, median

from benchmarks import startup
from segue.event_store.store import open_store


def test_a_command_is_measured_to_its_end(tmp_path: Path) -> None:
    cost = measure(["--version"], SOURCE, tmp_path)
    assert 0 < cost.cpu_s < 60
    assert 5 < cost.peak_mb < 10_000
    with pytest.raises(SystemExit, match="nothing: no such model folder"):
        measure(["recommend", "nothing", "--user", "1"], SOURCE, tmp_path)


def test_the_median_is_of_each_figure() -> None:
    assert median([Cost(1, 9, 4), Cost(2, 8, 5), Cost(3, 7, 9)]) == Cost(2, 8, 5)


def test_a_store_is_filled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "EVENTS", 70)
    monkeypatch.setattr(startup, "BLOCK", 30)
    url = f"sqlite:///{tmp_path}/events.db"
    for _ in range(2):
        fill_store(url)
        store = open_store(url)
        assert len(store.events) == 70
        store.close()
