"""The trials of a search as text, as table rows and as an HTML page with charts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segue.models.base.search_space import Choice, LogUniform, Space, format_setting
from segue.reporting import chart_files, charts
from segue.reporting.html import write_page
from segue.reporting.numbers import metric_text, setting_text, validation_figure
from segue.tuning.importance import importance_title, setting_importance, sort_trials
from segue.tuning.trial import Trial, best_trial

ENDINGS = {"pruned": "pruned", "timed_out": "ended by the time limit", "failed": "failed"}


def describe_trial(trial: Trial, trials: Sequence[Trial], max_trials: int) -> str:
    """One line about a finished trial.

    Args:
        trial: the trial.
        trials: all trials so far.
        max_trials: number of trials that the search will run.
    """
    epoch = f" in epoch {trial.best_epoch} of {trial.epochs}" if trial.best_epoch else ""
    outcome = {
        "failed": f"failed ({trial.error})",
        "pruned": f"{format_metric(trial.metric)} after {trial.epochs} epochs, pruned (not in the better half)",
        "timed_out": f"{trial.error or format_metric(trial.metric)}{epoch}, time is up",
    }.get(trial.state, f"{format_metric(trial.metric)}{epoch}")
    best = best_trial(trials)
    best_so_far = f"; best {format_metric(best.metric)}, trial {best.number}" if best else ""
    settings = f": {format_settings(trial.settings)}" if trial.settings else ""
    progress = f"trial {trial.number} ({len(trials)} of {max_trials}), {trial.seconds:.0f} s"
    return f"{progress}: {outcome}{best_so_far}{settings}"


def trial_rows(trials: Sequence[Trial], monitor: str) -> list[dict[str, Any]]:
    """The trials as rows of a table, the best first."""
    endings = {"complete": "", "timed_out": "timed out"}
    return [
        {
            "trial": trial.number,
            f"validation {monitor}": trial.figure,
            "epoch": trial.best_epoch or None,
            "of": trial.epochs or None,
            "seconds": round(trial.seconds, 1),
            "ended": trial.error or endings.get(trial.state, trial.state),
            **{name: setting_text(value) for name, value in trial.settings.items()},
        }
        for trial in sort_trials(trials)
    ]


def best_trial_text(trials: Sequence[Trial], monitor: str) -> str:
    """The best trial and its settings in words, and how the trials ended."""
    best = best_trial(trials)
    if best is None:
        return "No trial has a metric on validation."
    counts: Counter[str] = Counter(trial.state for trial in trials)
    endings = ", ".join(f"{counts[state]} {ENDINGS[state]}" for state in ENDINGS if counts[state])
    settings = f": {format_settings(best.settings)}" if best.settings else ""
    return (
        f"Trial {best.number} is the best of {len(trials)}{f' ({endings})' if endings else ''}, with {monitor} "
        f"{format_metric(best.metric)} on validation{settings}."
    )


def write_report(
    trials: Sequence[Trial], space: Space, *, title: str, monitor: str, folder: Path, pictures: bool
) -> Path:
    """Write `search.html`, and with pictures `importance.svg`, to `folder`; returns the path of the page.

    Args:
        trials: of the search.
        space: the search space.
        title: of the page.
        monitor: the metric that was maximised.
        folder: of the study.
        pictures: whether to draw charts, which needs the extra `viz`.

    Raises:
        ConfigError: pictures are requested and the extra is not installed.
    """
    importance = setting_importance(trials, space)
    content: list[Any] = (
        [f"{importance_title(trials)}.", importance] if importance else ["Too few trials for an estimate."]
    )
    if importance and pictures:
        chart = charts.bar_chart(
            importance, x="importance", y="setting", title="Share of the variance of the trials' ranks"
        )
        chart_files.save_chart(chart, folder / "importance.svg")
        content += [chart, *_setting_charts(trials, space, monitor)]
    sections: list[tuple[str, list[Any]]] = [
        ("Best trial", [best_trial_text(trials, monitor)]),
        ("Trials", [_with_settings_together(trial_rows(trials, monitor), space)]),
        ("Importance of the settings", content),
    ]
    return write_page(title, sections, folder / "search.html")


def _with_settings_together(rows: list[dict[str, Any]], space: Space) -> list[dict[str, Any]]:
    """The rows with all settings in one column, so that a page holds them."""
    return [
        {name: value for name, value in row.items() if name not in space}
        | {"settings": " ".join(f"{name}={row[name]}" for name in space) or "none"}
        for row in rows
    ]


def _setting_charts(trials: Sequence[Trial], space: Space, monitor: str) -> list[Any]:
    """A chart for each setting: the validation metric by its values."""
    drawn = []
    measured = [trial for trial in trials if trial.metric is not None]
    best_first = sorted(measured, key=lambda trial: -trial.rank)
    for name, domain in space.items():
        points = [{name: t.settings[name], monitor: t.figure, "ended": t.state} for t in measured]
        if not isinstance(domain, Choice):
            log_axis = "x" if isinstance(domain, LogUniform) else ""
            drawn.append(charts.scatter_chart(points, x=name, y=monitor, by="ended", title=name, log=log_axis))
        elif len(domain.values) > 1:
            figures = {value: [t.figure for t in best_first if t.settings[name] == value] for value in domain.values}
            best = f"best {monitor}"
            bars = [{name: format_setting(value), best: listed[0]} for value, listed in figures.items() if listed]
            drawn.append(charts.bar_chart(bars, x=best, y=name, title=name))
    return drawn


def format_settings(settings: Mapping[str, Any]) -> str:
    """Settings for people: `lr=0.0012 embedding_dim=64`."""
    return " ".join(f"{name}={setting_text(value)}" for name, value in settings.items())


def format_metric(metric: float | None) -> str:
    """The figure of a maximised metric with four decimals, such as .0931."""
    return "no metric" if metric is None else metric_text(validation_figure(metric))
