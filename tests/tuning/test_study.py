"""Studies: pruning, locks between processes, errors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from segue.errors import ArtefactError, ConfigError
from segue.models.base.search_space import Uniform
from segue.tuning.importance import sort_trials
from segue.tuning.study import Study
from segue.tuning.trial import best_trial


def open_study(folder: Path, **changes: Any) -> Study:
    return Study(folder, {"x": Uniform(0.0, 1.0)}, identity={"a": 1}, **changes)


def test_successive_halving_prunes_the_worse_half(tmp_path: Path) -> None:
    study = open_study(tmp_path / "s", min_epochs=2)
    for metric, worse in ((0.5, False), (0.4, True), (0.6, False)):
        active = study.next_trial(9)
        assert active is not None
        assert not active.report(1, 0.0)
        assert active.report(2, metric) is worse
        study.finish(
            active,
            state="pruned" if worse else "complete",
            metric=metric,
            best_epoch=2,
            epochs=2,
            seconds=1.0,
            error="",
        )
    assert [t.state for t in study.trials()] == ["complete", "pruned", "complete"]
    assert [t.number for t in sort_trials(study.trials())] == [2, 0, 1]


def test_a_trial_is_locked_by_one_process_and_resumed_after_its_release(tmp_path: Path) -> None:
    study, other_study = open_study(tmp_path / "s"), open_study(tmp_path / "s")
    active = study.next_trial(9)
    other = other_study.next_trial(9)
    assert active is not None
    assert other is not None
    assert (active.trial.number, other.trial.number) == (0, 1)
    assert active.trial.settings != other.trial.settings
    active.release()
    again = other_study.next_trial(9)
    assert again is not None
    assert again.trial == active.trial
    assert again.folder == active.folder
    assert not again.report(1, 0.5)
    other_study.finish(again, state="timed_out", metric=0.5, best_epoch=1, epochs=1, seconds=1.0, error="")
    other_study.finish(other, state="complete", metric=0.1, best_epoch=1, epochs=1, seconds=1.0, error="")
    assert study.next_trial(2) is None
    resumed = study.resume_timed_out()
    assert resumed is not None
    assert (resumed.trial.number, resumed.trial.metric) == (0, 0.5)
    assert other_study.resume_timed_out() is None
    study.finish(resumed, state="complete", metric=0.7, best_epoch=3, epochs=4, seconds=2.0, error="")
    assert (
        other_study.trials()[0]
        == study.trials()[0]
        == replace(resumed.trial, state="complete", metric=0.7, best_epoch=3, epochs=4, seconds=2.0)
    )
    assert not any(path.name.startswith("trial-") for path in (tmp_path / "s").iterdir())


@pytest.mark.parametrize("metrics", [(None, -1.2, -0.9), (None, 0.0, 0.3)], ids=["errors", "scores"])
def test_a_trial_without_a_metric_is_continued_last(tmp_path: Path, metrics: tuple[float | None, ...]) -> None:
    study = open_study(tmp_path / "s")
    for metric in metrics:
        active = study.next_trial(9)
        assert active is not None
        study.finish(active, state="timed_out", metric=metric, best_epoch=0, epochs=0, seconds=1.0, error="")
    continued = [study.resume_timed_out() for _ in metrics]
    assert [active.trial.number for active in continued if active] == [2, 1, 0]
    best = best_trial(study.trials())
    assert best is not None
    assert best.metric == metrics[2]


def test_a_file_at_the_path_of_the_study_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("mine")
    with pytest.raises(ArtefactError, match=r"s: is a file, but the search keeps its trials in a folder there"):
        open_study(tmp_path / "s")


def test_the_error_without_optuna_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(ConfigError, match=r'searching needs optuna, .*pip install "segue\[tune\]"'):
        open_study(tmp_path / "s")
