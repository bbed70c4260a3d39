"""`say_unread`: columns of the events that options name, and that no model of the command reads."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, get_args

from segue.cli.options.reading import ReadingOptions
from segue.reporting.console import say

if TYPE_CHECKING:
    from segue.experiments.experiment import Experiment

MANY = 5  # models that are not named one by one
READERS = {  # what lets a model read a column; and what a class of a model from outside says by itself
    "event_types": ("true", "reads_event_types"),
    "event_features": ("true", "reads_event_features"),
    "sessions": ("starts", "session_rule"),
    "negative_sampling": ("impressions", None),
}
OFF = (None, False, "none", "per_target", "shared")  # values of these settings with which no column is read


def say_unread(reading: ReadingOptions, experiments: Sequence[Experiment], searched: Collection[str] = ()) -> None:
    """Say which columns of the events are read from the data, and then used by no model and in no other way.

    Args:
        reading: the options that may name columns.
        experiments: those of the command, with their protocol.
        searched: the settings that are tried besides.
    """

    def is_set(name: str) -> bool:
        return name in searched or any(one.setting(name) not in OFF for one in experiments)

    targets = any(getattr(one.protocol, "targets", ()) for one in experiments)
    held_out = any(one.protocol.by == "last-session" for one in experiments)
    columns = {
        "event_features": ("--event-features", " ".join(reading.event_features or ()), False),
        "event_types": ("--event-col", reading.event_col, reading.events or targets or is_set("event_weights")),
        "sessions": ("--session-col", reading.session_col, held_out),
        "negative_sampling": ("--impressions-col", reading.impressions_col, False),
    }
    for setting, (option, column, is_used) in columns.items():
        if not column or is_used:
            continue
        if setting == "sessions" and is_set("session_gap"):
            say(f"{option} {column}: not read, as session_gap tells the sessions apart")
        elif not is_set(setting):
            _say_unread(f"{option} {column}", experiments, setting)


def _say_unread(option: str, experiments: Sequence[Experiment], setting: str) -> None:
    """Say that no model reads a column, and which one would with a setting."""
    from segue.models.base.model import Model as BaseModel
    from segue.models.registry import find

    value, says_so = READERS[setting]
    kinds = {one.name: find(one.model) for one in experiments}
    able = {one.name: None for one in experiments if _takes(one, setting, value)}
    others = [kind for name, kind in kinds.items() if name not in able]
    if says_so and any(getattr(kind, says_so) is not getattr(BaseModel, says_so) for kind in others):
        return
    names = ", ".join(kinds) if len(kinds) < MANY else "any of the models"
    advice = f"; --set {setting}={value} of segue run and segue fit lets {', '.join(able)} read them" if able else ""
    say(f"{option}: not read by {names}{advice}")


def _takes(experiment: Experiment, setting: str, value: str) -> bool:
    """Whether the model of an experiment, or the network in it, has a setting, which may have this value."""
    from segue.models.registry import find

    field = find(experiment.model).Config.known_settings(experiment.settings).get(setting)
    return field is not None and (field.annotation is bool or value in get_args(field.annotation))
