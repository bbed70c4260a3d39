"""`say_unread`: columns of the events that options name, and that no model of the command reads."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from segue.cli.options.reading import ReadingOptions
from segue.reporting.console import say

if TYPE_CHECKING:
    from segue.experiments.experiment import Experiment

MANY = 5  # models that are not named one by one


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


def _say_unread(option: str, experiments: Sequence[Experiment], setting: str, searched: Collection[str]) -> None:
    """Say that no model reads the columns of an option, unless one does or may; `setting` lets a model read them."""
    from segue.models.registry import find

    able = [one.name for one in experiments if setting in find(one.model).Config.model_fields]
    if _set(experiments, setting, searched) or any(_reads_by_itself(one, setting) for one in experiments):
        return
    names = ", ".join(one.name for one in experiments) if len(experiments) < MANY else "any of the models"
    advice = f"; --set {setting}=true of segue run and segue fit lets {', '.join(able)} read them" if able else ""
    say(f"{option}: not read by {names}{advice}")


def _set(experiments: Sequence[Experiment], setting: str, searched: Collection[str]) -> bool:
    """Whether an experiment has a value for a setting that is off by default, or may get one."""
    return setting in searched or any(one.all_settings.get(setting) for one in experiments)


def _reads_by_itself(experiment: Experiment, setting: str) -> bool:
    """Whether a model from outside says without such a setting that it reads these columns."""
    from segue.models.base.model import Model
    from segue.models.registry import find

    kind, name = find(experiment.model), f"reads_{setting}"
    return setting not in kind.Config.model_fields and getattr(kind, name) is not getattr(Model, name)
