"""The importance of settings, and the trials of a search as text, rows and HTML."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from segue.models.base.search_space import Choice, LogUniform, Space, Uniform
from segue.reporting import chart_files, charts
from segue.tuning.importance import importance_title, setting_importance
from segue.tuning.report import best_trial_text, describe_trial, trial_rows, write_report
from segue.tuning.trial import Trial


def trial(number: int, metric: float | None, state: Any = "complete", **settings: Any) -> Trial:
    return Trial(number, settings, state, metric, 3, 5, 1.0, error="no memory" if state == "failed" else "")


def test_importance_is_epsilon_squared() -> None:
    trials = [trial(n, (n % 2) + n / 1000, a="xy"[n % 2], b=float(n * 7 % 12), c=1) for n in range(12)]
    importance = setting_importance(trials, {"a": Choice("x", "y"), "b": Uniform(0.0, 12.0), "c": Choice(1)})
    assert [row["setting"] for row in importance] == ["a", "b"]
    within, around = 2 * sum((2 * k - 5) ** 2 for k in range(6)), sum((2 * k - 11) ** 2 for k in range(12))
    assert importance[0]["importance"] == pytest.approx(1 - within / around * 11 / 10)
    assert importance[0]["best quarter"] == "y"
    assert importance[1]["importance"] < 0.3
    assert setting_importance(trials[:3], {"a": Choice("x", "y")}) == []
    assert setting_importance([replace(t, metric=0.5) for t in trials], {"a": Choice("x", "y")}) == []


def test_the_importance_of_few_trials_is_called_chance() -> None:
    trials = [trial(n, 0.1, "complete" if n < 9 else "pruned") for n in range(12)]
    assert "Only 9 trials are complete, so this is mostly chance" in importance_title(trials)
    assert "chance" not in importance_title([*trials, trial(12, 0.1)])


def test_trials_as_rows_and_text() -> None:
    trials = [
        trial(0, 0.25, a=(0.1, 2.0)),
        trial(1, 0.5, "pruned", a=(0.0, 0.0)),
        trial(2, None, "failed", a=(0.0, 1.0)),
        trial(3, 0.125, "timed_out", a=(0.0, 2.0)),
    ]
    assert [row["trial"] for row in trial_rows(trials, "m")] == [0, 3, 1, 2]
    assert trial_rows(trials, "m")[0] == {
        "trial": 0,
        "validation m": 0.25,
        "epoch": 3,
        "of": 5,
        "seconds": 1.0,
        "ended": "",
        "a": "0.1,2",
    }
    assert (
        describe_trial(trials[0], trials, 9)
        == "trial 0 (4 of 9), 1 s: .2500 in epoch 3 of 5; best .2500, trial 0: a=0.1,2"
    )
    assert describe_trial(trials[1], trials, 9).startswith(
        "trial 1 (4 of 9), 1 s: .5000 after 5 epochs, pruned (not in the better half); best "
    )
    assert describe_trial(trials[2], trials, 9).startswith("trial 2 (4 of 9), 1 s: failed (no memory); best ")
    assert describe_trial(trials[3], trials, 9).startswith(
        "trial 3 (4 of 9), 1 s: .1250 in epoch 3 of 5, time is up; best "
    )


def test_a_trial_without_settings_or_epochs_is_described_by_its_figure() -> None:
    alone = replace(trial(0, 0.25), best_epoch=0, epochs=0)
    assert describe_trial(alone, [alone], 1) == "trial 0 (1 of 1), 1 s: .2500; best .2500, trial 0"
    failed = trial(1, None, "failed")
    assert describe_trial(failed, [failed], 2) == "trial 1 (1 of 2), 1 s: failed (no memory)"
    assert best_trial_text([alone], "m") == "Trial 0 is the best of 1, with m .2500 on validation."
    assert best_trial_text([failed], "m") == "No trial has a metric on validation."
    ended = [trial(n, 0.1 * n, state, a=1) for n, state in enumerate(("complete", "pruned", "pruned", "timed_out"))]
    assert best_trial_text([*ended, trial(4, None, "failed")], "m") == (
        "Trial 3 is the best of 5 (2 pruned, 1 ended by the time limit, 1 failed), with m .3000 on validation: a=1."
    )
    assert [row["ended"] for row in trial_rows([*ended[2:], failed], "m")] == ["timed out", "pruned", "no memory"]


@pytest.mark.parametrize("pictures", [True, False])
def test_the_report_of_a_search(tmp_path: Path, pictures: bool) -> None:
    if pictures:
        pytest.importorskip("vl_convert")
    space: Space = {"a": Choice("x", "y"), "b": LogUniform(1.0, 20.0), "c": Choice(1)}
    trials = [trial(n, n / 10, a="xy"[n % 2], b=float(n + 1), c=1) for n in range(8)]
    path = write_report(trials, space, title="hgn on log", monitor="ndcg@10", folder=tmp_path, pictures=pictures)
    text = path.read_text()
    assert "hgn on log" in text
    assert text.count("<img") == (3 if pictures else 0)
    assert (tmp_path / "importance.svg").exists() is pictures


def test_charts_and_json_show_errors_without_the_minus_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(chart_files, "save_chart", lambda chart, path: None)
    for kind in ("bar_chart", "scatter_chart"):
        monkeypatch.setattr(charts, kind, lambda rows, **options: drawn.append(rows) or "a chart")
    space: Space = {"a": Choice("x", "y"), "b": LogUniform(1.0, 20.0)}
    trials = [trial(n, -0.9 - n / 100, a="xy"[n % 2], b=float(n + 1)) for n in range(8)]
    write_report(trials, space, title="mf on log", monitor="rmse", folder=tmp_path, pictures=True)
    _, bars, points = drawn
    assert bars == [{"a": "x", "best rmse": 0.9}, {"a": "y", "best rmse": 0.91}]
    assert [point["rmse"] for point in points] == pytest.approx([0.9 + n / 100 for n in range(8)])
    assert trials[1].as_dict()["metric"] == 0.91
    assert [row["validation rmse"] for row in trial_rows(trials[:2], "rmse")] == [0.9, 0.91]
