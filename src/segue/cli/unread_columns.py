"""`say_unread`: columns of the events that options name, and that no model of the command reads."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from segue.cli.options.reading import ReadingOptions
from segue.reporting.console import say

if TYPE_CHECKING:
    from segue.experiments.experiment import Experiment

MANY = 5  # models that are not named one by one
READERS = {  # a value of each setting that lets a model read a column, and what then says that it does
    "event_types": ("true", "reads_event_types"),
    "event_features": ("true", "reads_event_features"),
    "sessions": ("starts", "session_rule"),
}


def say_unread(reading: ReadingOptions, experiments: Sequence[Experiment], searched: Collection[str] = ()) -> None:
    """Say which columns of the events are read from the data, and then used by no model and in no other way.

    Args:
        reading: the options that may name columns.
        experiments: those of the command, with their protocol.
        searched: the settings that are tried besides.
    """
    if reading.event_features:
        _say_unread(f"--event-features {' '.join(reading.event_features)}", experiments, "event_features", searched)
    targets = any(getattr(one.protocol, "targets", ()) for one in experiments)
    if reading.event_col and not (reading.events or targets or _set(experiments, "event_weights", searched)):
        _say_unread(f"--event-col {reading.event_col}", experiments, "event_types", searched)
    if reading.session_col and not any(one.protocol.by == "last-session" for one in experiments):
        option = f"--session-col {reading.session_col}"
        if _set(experiments, "session_gap", searched):
            say(f"{option}: not read, as session_gap tells the sessions apart")
        else:
            _say_unread(option, experiments, "sessions", searched)


def _say_unread(option: str, experiments: Sequence[Experiment], setting: str, searched: Collection[str]) -> None:
    """Say that no model reads the columns of an option, unless one does or may; `setting` lets a model read them."""
    from segue.models.base.model import Model
    from segue.models.registry import find

    value, fact = READERS[setting]
    kinds = {one.name: find(one.model) for one in experiments}
    able = [name for name, kind in kinds.items() if setting in kind.Config.model_fields]
    # a model from outside may say without such a setting that it reads them
    others = [
        kind for name, kind in kinds.items() if name not in able and getattr(kind, fact) is not getattr(Model, fact)
    ]
    if others or _set(experiments, setting, searched):
        return
    names = ", ".join(kinds) if len(kinds) < MANY else "any of the models"
    advice = f"; --set {setting}={value} of segue run and segue fit lets {', '.join(able)} read them" if able else ""
    say(f"{option}: not read by {names}{advice}")


def _set(experiments: Sequence[Experiment], setting: str, searched: Collection[str]) -> bool:
    """Whether an experiment has a value for a setting that is off by default, or may get one."""
    return setting in searched or any(one.all_settings.get(setting) for one in experiments)
