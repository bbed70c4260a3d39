"""What the trials of a search have taught, in words, rows and pictures: which were best, and which settings mattered.

    setting    share   the best quarter
    lr           .61   0.0012–0.0034
    dim          .12   64, 128
    dropout      .00   0.02–0.41

The share of a setting is how much of the variation of the trials' ranks goes along with it alone (the correlation ratio
eta squared, less what chance gives: Kelley's epsilon squared); numbers of a range are cut into thirds. What was pruned
counts with the best that it had reached, which puts it where it belongs, behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segue.models.base.search_space import Choice, Space, text
from segue.reporting import charts as plots
from segue.tuning.trial import Trial, best

THIRDS = 3
FEW = 4  # trials below which nothing can be said


def line(trial: Trial, trials: Sequence[Trial], most: int) -> str:
    """What became of a trial, in a line.

    Args:
        trial: which.
        trials: all so far.
        most: how many there will be.
    """
    epoch = f" in epoch {trial.best} of {trial.epochs}" if trial.best else ""
    outcome = {
        "failed": f"failed ({trial.error})",
        "pruned": f"{short(trial.metric)} after {trial.epochs} epochs, behind the better half",
        "cut": f"{short(trial.metric)}{epoch}, time is up",
    }.get(trial.state, f"{short(trial.metric)}{epoch}")
    first = best(trials)
    leader = f"; best {short(first.metric)}, trial {first.number}" if first else ""
    settings = f": {shown(trial.settings)}" if trial.settings else ""
    return f"trial {trial.number} ({len(trials)} of {most}), {trial.seconds:.0f} s: {outcome}{leader}{settings}"


def ordered(trials: Sequence[Trial]) -> list[Trial]:
    """The best first; then what was pruned, the farthest first; then what failed."""
    return sorted(trials, key=lambda trial: (not trial.eligible, trial.metric is None, -(trial.metric or 0.0)))


def rows(trials: Sequence[Trial], monitor: str) -> list[dict[str, Any]]:
    """The trials as rows of a table, the best first."""
    return [
        {
            "trial": trial.number,
            f"validation {monitor}": trial.metric,
            "epoch": trial.best or None,
            "of": trial.epochs or None,
            "seconds": round(trial.seconds, 1),
            "ended": trial.error or {"complete": "", "pruned": "behind", "cut": "time"}.get(trial.state, trial.state),
            **{name: digits(value) for name, value in trial.settings.items()},
        }
        for trial in ordered(trials)
    ]


def matters(trials: Sequence[Trial], space: Space) -> list[dict[str, Any]]:
    """Which settings mattered, the most first: rows of setting, share (0 to 1) and values of the best quarter.

    Nothing where fewer than four trials have a figure, or they are all the same.
    """
    known = [trial for trial in ordered(trials) if trial.metric is not None]
    metric = np.array([trial.metric for trial in known])
    if len(known) < FEW or (metric == metric[0]).all():
        return []
    rank = np.searchsorted(np.sort(metric), metric, "left") + np.searchsorted(np.sort(metric), metric, "right")
    found = []
    for name, domain in space.items():
        values = [trial.settings[name] for trial in known]
        if len(set(values)) > 1:
            groups = [text(value) for value in values] if isinstance(domain, Choice) else _thirds(values)
            leaders = values[: max(2, len(known) // 4)]
            found.append({"setting": name, "share": _share(rank, groups), "the best quarter": _spread(leaders, domain)})
    return sorted(found, key=lambda row: -float(row["share"]))


def _share(rank: np.ndarray, groups: Sequence[Any]) -> float:
    """Epsilon squared of ranks by group; 0 where there are as many groups as trials."""
    place = np.unique(np.array(groups), return_inverse=True)[1]
    sizes = np.bincount(place)
    within = ((rank - (np.bincount(place, rank) / sizes)[place]) ** 2).sum()
    around = ((rank - rank.mean()) ** 2).sum()
    free = len(rank) - len(sizes)
    return float(max(0.0, 1 - within / around * (len(rank) - 1) / free)) if free else 0.0


def _thirds(values: Sequence[float]) -> list[int]:
    """Which third of the values each is in."""
    cuts = np.quantile(values, np.arange(1, THIRDS) / THIRDS)
    return [int(place) for place in np.searchsorted(cuts, values, "left")]


def _spread(values: Sequence[Any], domain: Any) -> str:
    if isinstance(domain, Choice):
        return ", ".join(dict.fromkeys(text(value) for value in values))
    low, high = f"{min(values):.3g}", f"{max(values):.3g}"
    return low if low == high else f"{low}–{high}"


def page(trials: Sequence[Trial], space: Space, *, title: str, monitor: str, folder: Path, pictures: bool) -> Path:
    """`search.html` in `folder`, and with pictures `matters.svg` too: the trials, and what mattered.

    Args:
        trials: of the search.
        space: that was searched.
        title: of the page.
        monitor: the metric that chose.
        folder: of the study.
        pictures: whether to draw, which needs the extra `viz`.

    Raises:
        ConfigError: pictures are wanted, and the extra is not installed.
    """
    found = matters(trials, space)
    parts: list[Any] = [found or "Too few trials to say."]
    if found and pictures:
        chart = plots.bar_chart(found, x="share", y="setting", title="Share of the variation of the trials' ranks")
        plots.write(chart, folder / "matters.svg")
        parts += [chart, *_scatters(trials, space, monitor)]
    sections = [("Trials", [rows(trials, monitor)]), ("What mattered", parts)]
    return plots.page(title, sections, folder / "search.html")


def _scatters(trials: Sequence[Trial], space: Space, monitor: str) -> list[Any]:
    """A picture for each setting: the validation metric against its values."""
    drawn = []
    measured = [trial for trial in trials if trial.metric is not None]
    for name, domain in space.items():
        points = [{name: t.settings[name], monitor: t.metric, "ended": t.state} for t in measured]
        if not isinstance(domain, Choice):
            log = "x" if type(domain).__name__ == "LogUniform" else ""
            drawn.append(plots.scatter_chart(points, x=name, y=monitor, by="ended", title=name, log=log))
        elif len(domain.values) > 1:
            tops = {text(v): [p[monitor] for p in points if p[name] == v] for v in domain.values}
            bars = [{name: value, f"best {monitor}": max(figures)} for value, figures in tops.items() if figures]
            drawn.append(plots.bar_chart(bars, x=f"best {monitor}", y=name, title=name))
    return drawn


def shown(settings: Mapping[str, Any]) -> str:
    """Settings in a few digits, for people."""
    return " ".join(f"{name}={digits(value)}" for name, value in settings.items())


def digits(value: Any) -> str:
    """A setting in a few digits."""
    return f"{value:.4g}" if isinstance(value, float) else text(value)


def short(metric: float | None) -> str:
    """.0931"""
    return "nothing" if metric is None else f"{metric:.4f}".removeprefix("0")
