"""A study whose process is killed at any entry of the journal ends as if it had not been killed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.pruners import SuccessiveHalvingPruner
from optuna.storages.journal import JournalFileBackend
from optuna.study import create_study

from segue.errors import ConfigError
from segue.models.base.search_space import Choice, LogUniform, Space, Uniform
from segue.tuning.pruning import is_pruned
from segue.tuning.study import Study
from segue.tuning.trial import Trial

SPACE: Space = {"x": Uniform(0.0, 1.0), "lr": LogUniform(1e-4, 1e-1), "size": Choice(4, 8, 16)}
SMALL: Space = {"size": Choice(4, 8, 16), "depth": Choice(1, 2)}  # enumerated: has as many points as trials
TRIALS, EPOCHS = 7, 5


class Killed(BaseException):
    """In place of the signal."""


def metric(settings: dict[str, Any], epoch: int) -> float:
    """A validation metric that rises with the epochs and that an optimiser can climb."""
    return round(settings.get("x", 0.5) * settings["size"] / 16 + 0.01 * epoch, 6)


def run(folder: Path, space: Space, trials: int) -> list[Trial]:
    """Run all trials of a study, as a search does, without training a model."""
    study = Study(folder, space, identity={"a": 1}, defaults={"x": 0.3}, seed=4)
    while (active := study.next_trial(trials)) is not None:
        settings, state, epoch = active.trial.settings, "complete", 0
        for epoch in range(1, EPOCHS + 1):
            if active.report(epoch, metric(settings, epoch)):
                state = "pruned"
                break
        best = metric(settings, epoch)
        study.finish(active, state=state, metric=best, best_epoch=epoch, epochs=epoch, seconds=0.0, error="")
    return study.trials()


def outcome(trials: list[Trial]) -> list[tuple[Any, ...]]:
    return [(trial.settings, trial.state, trial.metric, trial.epochs) for trial in trials]


def kill_at(monkeypatch: pytest.MonkeyPatch, entry: int, *, written: str) -> Callable[[], int]:
    """Raise `Killed` at one append to the journal: before it, after it, or in the middle of its line."""
    append, count = JournalFileBackend.append_logs, 0

    def counted(self: JournalFileBackend, logs: list[dict[str, Any]]) -> None:
        nonlocal count
        count += 1
        if count == entry and written == "half":
            with open(self._file_path, "ab") as file:
                file.write(b'{"op_code":4,"work')
        elif count != entry or written == "all":
            append(self, logs)
        if count == entry:
            raise Killed

    monkeypatch.setattr(JournalFileBackend, "append_logs", counted)
    return lambda: count


@pytest.mark.parametrize(("space", "trials"), [(SPACE, TRIALS), (SMALL, 6)], ids=["sampled", "enumerated"])
@pytest.mark.parametrize("written", ["none", "half", "all"])
@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_a_study_killed_at_any_entry_ends_as_an_uninterrupted_one(
    tmp_path: Path, every: int, written: str, space: Space, trials: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        count = kill_at(patch, -1, written="all")
        expected = outcome(run(tmp_path / "whole", space, trials))
    assert len(expected) == trials
    for entry in range(1, count() + 1, every):
        folder = tmp_path / f"killed-{entry}"
        with pytest.MonkeyPatch.context() as patch:
            kill_at(patch, entry, written=written)
            with pytest.raises(Killed):
                run(folder, space, trials)
        assert outcome(run(folder, space, trials)) == expected, f"killed at entry {entry} of {count()}"


@given(
    curves=st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=9), min_size=1, max_size=8),
    min_epochs=st.integers(1, 3),
)
def test_pruning_is_that_of_optuna(curves: list[list[int]], min_epochs: int) -> None:
    study = create_study(
        direction="maximize", pruner=SuccessiveHalvingPruner(min_resource=min_epochs, reduction_factor=2)
    )
    reported: dict[int, dict[int, float]] = {}
    for number, curve in enumerate(curves):
        trial, best = study.ask(), 0.0
        reported[number] = {}
        for epoch, value in enumerate(curve, 1):
            best = max(best, float(value))
            trial.report(best, epoch)
            reported[number][epoch] = best
            pruned = is_pruned(reported, number, epoch, min_epochs=min_epochs)
            assert pruned == trial.should_prune()
            assert pruned == is_pruned(reported, number, epoch, min_epochs=min_epochs)  # and again after a crash
            if pruned:
                break
        study.tell(trial, best)


def test_more_trials_than_can_be_enumerated_on_a_continuous_space(tmp_path: Path) -> None:
    study = Study(tmp_path / "s", {"x": Uniform(0.0, 1.0)}, identity={"a": 1})
    first, second = study.next_trial(20_000), study.next_trial(20_000)
    assert first is not None
    assert second is not None
    assert first.trial.settings != second.trial.settings


def test_a_study_does_not_depend_on_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = Study(Path("s"), {"x": Uniform(0.0, 1.0)}, identity={"a": 1})
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert study.next_trial(3) is not None
    assert (tmp_path / "s" / "trial-0000").is_dir()


def test_a_space_of_very_many_whole_numbers_is_not_listed(tmp_path: Path) -> None:
    space: Space = {"n": Uniform(1, 10**12), "width": LogUniform(1, 10**12)}
    study = Study(tmp_path / "s", space, identity={"a": 1}, defaults={"n": 7.2, "width": 10**13})
    active = study.next_trial(3)
    assert active is not None
    assert active.trial.settings == {"n": 7, "width": 10**12}
    with pytest.raises(ConfigError, match=r"step=1e-12 makes over 100,000 values; leave out the step"):
        Uniform(0.0, 1.0, 1e-12)
