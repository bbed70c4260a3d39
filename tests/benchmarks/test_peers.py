"""The peers: their set-ups and scripts, and the log and the metrics that these share."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks.jobs import ROOT
from benchmarks.peer_setups import PEER_SETUPS, PEERS, find_peers
from benchmarks.peers.events import Events, ranking_metrics

from segue.evaluation.ranks import Ranks
from segue.evaluation.task import measure as measure_ranks


@pytest.mark.parametrize("label", PEER_SETUPS)
def test_every_peer_has_a_script_and_a_setup(label: str) -> None:
    setup = PEER_SETUPS[label]
    assert all(path.is_file() for path in setup.files)
    assert (PEERS / f"{setup.name}_setup.sh").is_file()
    assert (PEERS / f"{setup.environment or setup.name}_setup.sh").is_file()


def imports_at_the_top(path: Path) -> set[str]:
    """The packages that a module imports outside of its functions; of this project the whole name."""
    names: set[str] = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name if name.startswith("benchmarks") else name.partition(".")[0] for name in names}


@pytest.mark.parametrize("label", PEER_SETUPS)
def test_a_script_and_what_it_imports_run_in_every_environment(label: str) -> None:
    files = PEER_SETUPS[label].files
    own = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files}
    for path in files:
        assert imports_at_the_top(path) <= {*sys.stdlib_module_names, "numpy", *own}


def test_a_peer_without_setup_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert find_peers(["RePlay"], tmp_path, set_up=False) == {}
    assert f"RePlay is left out: it is not in {tmp_path}" in capsys.readouterr().out
    monkeypatch.setenv("PYTHON", "false")
    assert find_peers(["RePlay"], tmp_path, set_up=True) == {}
    assert "RePlay is left out: its set-up failed" in capsys.readouterr().out


# users of 5, 3 and 2 rows
EVENTS = Events(np.array([1, 2, 3, 4, 5, 3, 1, 2, 2, 4]), np.array([0, 5, 8, 10]), np.array([7, 9, 8]))


def test_peers_read_the_training_rows_of_segue() -> None:
    user, item, position = EVENTS.without_last(2)
    assert (user.tolist(), item.tolist(), position.tolist()) == ([1, 1, 1, 2], [1, 2, 3, 3], [0, 1, 2, 0])
    assert EVENTS.matrix(2).toarray().tolist() == [[1, 1, 1, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]]
    assert EVENTS.metrics(np.array([[5, 1], [1, 2], [1, 3]])) == {"recall@2": 0.66667, "ndcg@2": 0.54364, "mrr@2": 0.5}
    assert EVENTS.count_pairs() == 2
    assert EVENTS.count_pairs(1) == 1


def test_metrics_of_peers_agree_with_those_of_segue() -> None:
    rng = np.random.default_rng(0)
    lists = np.array([rng.permutation(30)[:10] for _ in range(200)])
    targets = rng.integers(0, 30, 200)
    rank = [[*row, target].index(target) + 1 for row, target in zip(lists, targets, strict=True)]
    ranks = Ranks(np.arange(200), np.array(rank), np.arange(201), lists.astype(np.int32), depth=10, dropped={})
    for metric, value in ranking_metrics(lists, targets).items():
        assert value == pytest.approx(measure_ranks(ranks, metric).mean(), abs=1e-5)
