"""`segue compare`: every model tuned alike on one log, one ranking."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from segue.cli.options import CutOffs, JsonFile, ReadingOptions, check_json, cut_offs, grid, show, write_json
from segue.cli.protocol_options import ProtocolOptions
from segue.cli.run import PROTOCOL
from segue.errors import ConfigError, did_you_mean
from segue.reporting.console import say

if TYPE_CHECKING:
    from segue.tuning.scheduler import Entry

DEFAULT, AS_THEY_ARE = ReadingOptions(), ProtocolOptions()
MOST_JOBS = 4  # by default: each holds the log, a model and torch in memory
NAMES = "such as --models hgn,sasrec"
COSTS = "What it took (the winner alone in a process: its training, the most memory, torch and log included)"
CHOSEN = "What validation chose, where a model has a choice"


def compare(
    data: str,
    *,
    models: str = "all",
    exclude: str = "",
    trials: int = 10,
    minutes: float = 40.0,
    jobs: int | None = None,
    reading: ReadingOptions = DEFAULT,
    protocol: Annotated[str | None, Parameter(help=PROTOCOL)] = None,
    questions: ProtocolOptions = AS_THEY_ARE,
    seed: int = 0,
    monitor: str = "ndcg@10",
    eval_every: int = 1,
    patience: int = 10,
    refit: Annotated[bool | None, Parameter(show_default=False)] = None,
    k: CutOffs = None,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    json: JsonFile = None,
) -> None:
    """Tune every model alike, test the winner of each once, and rank them: what to run first on a new log.

    Parameters
    ----------
    data
        A named data set (ml-100k, ml-1m, ...), a file (CSV, TSV, Parquet, .inter), or a folder.
    models
        Names with commas between them, or all: every model that ranks by nature, none that predicts ratings.
    exclude
        Names to be left out.
    trials
        Choices of settings that each model may try.
    minutes
        For everything, at most about so long; each model gets the same share, and later ones what is left over.
    jobs
        Processes at a time; by default one for each core, up to four.
    seed
        Of the settings that are proposed and of every training.
    monitor
        The validation metric that chooses epochs, settings, and the model to serve.
    eval_every
        Epochs between two looks at validation.
    patience
        Looks without progress before a training stops.
    refit
        Train each winner anew on train and validation before the test; by default under the protocol hgn only.
    out
        Folder of the models, their trials and the report; by default compare/DATA.
    """
    from segue.evaluation.protocol import Protocol
    from segue.evaluation.table import summary, table
    from segue.tuning.comparison import Comparison, best_on_validation, cost_rows

    cuts = cut_offs(k)
    check_json(json, reads=data)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    plan = Comparison(
        models=_names(models, exclude),
        protocol=questions.of(Protocol.named(protocol or "leave-one-out").at(cuts)),
        trials=trials,
        minutes=minutes,
        jobs=min(MOST_JOBS, cores) if jobs is None else jobs,
        seed=seed,
        monitor=monitor,
        eval_every=eval_every,
        patience=patience,
        refit=protocol == "hgn" if refit is None else refit,
    )
    log = reading.load(data)
    if protocol is None:
        plan = replace(plan, protocol=questions.of(Protocol.guess(log).at(cuts)))
    folder = out or Path("compare") / log.name
    entries = plan.run(log, folder)
    results = [entry.result for entry in entries if entry.result is not None]
    metrics = plan.protocol.shown(cuts)
    facts = {
        **summary(results, metrics),
        "comparison": {
            "trials": trials,
            "minutes": minutes,
            "jobs": plan.jobs,
            "monitor": monitor,
            "refit": plan.refit,
        },
        "winners": {entry.model: entry.about for entry in entries if entry.result is not None},
        "left_out_models": {entry.model: entry.reason for entry in entries if entry.result is None},
        "serve": best_on_validation(entries).model,
    }
    taken = cost_rows(entries, monitor)
    show(table(results, metrics), grid([{**row, "settings": None} for row in taken], COSTS))
    show(grid([{name: row[name] for name in ("model", "settings")} for row in taken], CHOSEN), *_left_out(entries))
    write_json(json, facts)
    write_json(folder / "result.json", facts)
    _page(facts, entries, folder, log.name)
    best = folder / best_on_validation(entries).model
    say(f"best on validation: {best}; next: segue recommend {best} --user {log.users.names([1])[0]}")


def _names(models: str, exclude: str) -> tuple[str, ...]:
    """The models that are meant by two lists of names; all are those that do not predict ratings."""
    from segue.models.base.rating import PairScorer
    from segue.models.registry import MODELS

    ranking = [name for name, kind in MODELS.items() if not issubclass(kind, PairScorer)]
    named = ranking if models.strip() == "all" else _split(models)
    left_out = _split(exclude)
    for name in [*named, *left_out]:
        if name not in MODELS:
            raise ConfigError(f"no model {name!r}{did_you_mean(name, MODELS)}; there are: {', '.join(MODELS)}")
    chosen = tuple(name for name in dict.fromkeys(named) if name not in left_out)
    if not chosen:
        raise ConfigError(f"no model is left to compare; name some, {NAMES}")
    return chosen


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _left_out(entries: list[Entry]) -> list[str]:
    return [f"{entry.model} is left out: {entry.reason}" for entry in entries if entry.result is None]


def _page(facts: dict[str, Any], entries: list[Entry], folder: Path, log: str) -> None:
    """`report.html`, and `quality.svg` where pictures can be drawn."""
    from segue.reporting import charts as plots
    from segue.tuning.comparison import cost_rows

    how, monitor = facts["comparison"], facts["comparison"]["monitor"]
    metrics = list(facts["models"][0]["metrics"])
    taken = {row["model"]: row for row in cost_rows(entries, monitor)}
    ranking = [_row(model, metrics, taken[model["model"]]) for model in facts["models"]]
    pictures: list[Any] = []
    try:
        points = [{**row, "training, CPU s": max(0.01, row["train CPU s"])} for row in ranking]
        shown = monitor if monitor in metrics else metrics[1]
        chart = plots.scatter_chart(points, x="training, CPU s", y=shown, label="model", log="x")
        plots.write(chart, folder / "quality.svg")
        pictures.append(chart)
    except ConfigError as error:
        say(str(error))
    words = [
        facts["protocol"]["sentence"],
        f"{facts['questions']:,} questions, {facts['items']:,} items; protocol {facts['protocol']['fingerprint']}, "
        f"log {facts['log']}.",
        f"Each model had {how['trials']} trials over the space that it declares, and the same cap on seconds, out of "
        f"{how['minutes']:g} minutes, {how['jobs']} at a time. {monitor} on validation chose epochs and settings; "
        "each winner was tested once. Intervals are 95% bootstrap intervals over the questions; marks compare with "
        "the best of the column (paired t test, Holm-corrected): ▾ ▾▾ ▾▾▾ worse, p < .05, .01, .001.",
        *_left_out(entries),
    ]
    sections = [
        ("Ranking", [ranking, *pictures]),
        ("What was chosen", [[{"model": name, "settings": row["settings"]} for name, row in taken.items()]]),
        ("How", words),
    ]
    say(f"report: {plots.page(f'Models for {log}', sections, folder / 'report.html')}")


def _row(model: dict[str, Any], metrics: list[str], cost: dict[str, Any]) -> dict[str, Any]:
    """A line of the ranking."""
    row: dict[str, Any] = {"model": model["model"]}
    for metric in metrics:
        cell = model["metrics"][metric]
        stars = cell.get("against", {"stars": ""})["stars"].replace("*", "▾")
        row |= {metric: cell["mean"], f"{metric} 95%": f"{cell['low']:.4f}–{cell['high']:.4f} {stars}".strip()}
    return {**row, **{name: value for name, value in cost.items() if name not in ("model", "settings")}}
