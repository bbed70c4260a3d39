"""`segue compare`: tune every model with the same budget on one log, and rank the best of each."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from segue.cli.check_outputs import Inputs, check_outputs, source_files
from segue.cli.comparison_report import left_out, take_first, write_comparison_report
from segue.cli.help import MODEL_GROUP
from segue.cli.next_step import say_next
from segue.cli.options.protocol import PROTOCOL_DEFAULTS, ProtocolOptions
from segue.cli.options.reading import READING_DEFAULTS, ReadingOptions
from segue.cli.options.training import BUDGET_DEFAULTS, TRAINING_DEFAULTS, BudgetOptions, TrainingOptions
from segue.cli.output import OUTPUT_DEFAULTS, OutputOptions, charts_in, finish, grid, write_json_output
from segue.cli.unread_columns import say_unread
from segue.errors import ConfigError
from segue.reporting.console import say

if TYPE_CHECKING:
    from segue.data.log import Log
    from segue.evaluation.protocol import Protocol
    from segue.tuning.comparison import Comparison
    from segue.tuning.entry import Entry

TRIALS, MINUTES = 10, 40.0
MAX_JOBS = 4  # by default, as each process holds the log, a model and torch in memory
COSTS = "Cost (training and test of the best in CPU seconds; peak memory of its process, with torch and the log)"
CHOSEN = "Settings chosen on validation (to three digits; in full in the JSON file and in the saved models)"


def compare(
    data: str,
    *,
    models: Annotated[str, Parameter(group=MODEL_GROUP)] = "all",
    exclude: Annotated[str, Parameter(group=MODEL_GROUP)] = "",
    budget: BudgetOptions = BUDGET_DEFAULTS,
    training: TrainingOptions = TRAINING_DEFAULTS,
    protocol: ProtocolOptions = PROTOCOL_DEFAULTS,
    reading: ReadingOptions = READING_DEFAULTS,
    output: OutputOptions = OUTPUT_DEFAULTS,
) -> None:
    """Tune every model with the same budget, test the best of each once, and rank them: which to use on a new log.

    The models, their trials and a report are saved to compare/DATA.

    Args:
        data: A named data set (ml-100k, ml-1m, ...), a file (CSV, TSV, Parquet, .inter) or a folder.
        models: Names of models, separated by commas; a class of your own is given as ./FILE.py:CLASS or
            package.module:CLASS. The name all stands for every built-in model that ranks items.
        exclude: Names of models to leave out, separated by commas.
    """
    from segue.tuning.optuna_space import import_optuna

    check_outputs({"--json": output.json}, inputs=[*reading.paths(data), *source_files(*split_names(models))])
    plan = comparison_plan(chosen_models(models, exclude), protocol.without_log(), budget, training)
    import_optuna()
    if output.out is not None:
        _check_folder(output.out, plan, output.json, reading.paths(data), final=training.final)
    charts = charts_in("report.html")
    log = reading.load(data)
    plan = replace(plan, protocol=protocol.for_log(log))
    searches = [plan.search(name) for name in plan.references]
    say_unread(reading, [one.experiment for one in searches], {name for one in searches for name in one.space})
    folder = output.out or Path("compare") / log.name
    _check_folder(folder, plan, output.json, reading.paths(data), final=training.final)
    entries = plan.run(log, folder)
    facts = _show(plan, entries, plan.protocol.table_metrics(protocol.cut_offs), output.json)
    write_json_output(folder / "result.json", facts)
    write_comparison_report(facts, entries, folder, log.name, charts=charts)
    best, about = folder / facts["serve"], facts["best_models"][facts["serve"]]
    if training.final:
        best, about = _fit_best(plan, about, log, best)
    say_next(best, log, about, classes=[plan.references[facts["serve"]]], verb="best on validation:")


def _check_folder(folder: Path, plan: Comparison, json: Path | None, inputs: Inputs, *, final: bool) -> None:
    """Check that the comparison, and with --final its best model, can be saved to a folder."""
    from segue.folders import check_folder
    from segue.serving.saved_model import check_target

    check_outputs({"--json": json}, folder, inputs=inputs)
    check_folder(folder, "comparison")
    for name in plan.references:
        check_target(folder / name)
        if final:
            check_target(_final_folder(folder / name))


def _final_folder(folder: Path) -> Path:
    """Where a model that is fitted on the whole log is saved, beside the tested one."""
    return folder.with_name(f"{folder.name}-final")


def _fit_best(plan: Comparison, about: dict[str, Any], log: Log, folder: Path) -> tuple[Path, dict[str, Any]]:
    """Fit the best model on the whole log and save it beside the tested one; its folder, and what it stores."""
    from segue.serving.saved_model import save, training_folder
    from segue.training.state import delete_training_files

    say(f"fitting {folder.name} on the whole log, which is not part of the {plan.minutes:g} minutes")
    target = _final_folder(folder)
    experiment = replace(plan.search(folder.name).experiment, settings=about["experiment"]["settings"], final=True)
    model, final = experiment.fit_whole(log, folder=training_folder(target))
    extents = {"trained_on": final.extent.as_dict(), "tested_model_trained_on": about.get("tested_model_trained_on")}
    content = {**about, "experiment": experiment.as_dict(), **extents, **final.about()}
    save(model, log, target, **content)
    delete_training_files(training_folder(target))
    return target, content


def comparison_plan(
    models: tuple[str, ...], protocol: Protocol, budget: BudgetOptions, training: TrainingOptions
) -> Comparison:
    """The comparison that the options describe."""
    from segue.tuning.comparison import Comparison

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Comparison(
        models=models,
        protocol=protocol,
        trials=TRIALS if budget.trials is None else budget.trials,
        minutes=MINUTES if budget.minutes is None else budget.minutes,
        jobs=min(MAX_JOBS, cores) if budget.jobs is None else budget.jobs,
        seed=training.seed,
        monitor=training.monitor or "ndcg@10",
        eval_every=training.eval_every,
        patience=training.patience,
        refit=protocol.name == "hgn" if training.refit is None else training.refit,
    )


def chosen_models(models: str, exclude: str) -> tuple[str, ...]:
    """The models of a list of names without those of another; `all` stands for those that do not predict ratings."""
    from segue.models.registry import MODELS, find

    ranking = [name for name, kind in MODELS.items() if kind.task == "ranking"]
    named = [name for part in split_names(models) for name in (ranking if part == "all" else [part])]
    left_out = {find(name).name for name in split_names(exclude)}
    chosen = tuple(name for name in dict.fromkeys(named) if find(name).name not in left_out)
    if not chosen:
        raise ConfigError("no model is left to compare; name some, such as --models hgn,sasrec")
    return chosen


def split_names(names: str) -> list[str]:
    """The names between the commas."""
    return [name.strip() for name in names.split(",") if name.strip()]


def _show(plan: Comparison, entries: list[Entry], metrics: list[str], json: Path | None) -> dict[str, Any]:
    """Show the ranking, the cost and the chosen settings, and write the JSON; returns what it holds."""
    from segue.tuning.comparison import best_on_validation, cost_rows
    from segue.tuning.entry import trials_sentence

    tested = [entry for entry in entries if entry.result is not None]
    budget = {name: getattr(plan, name) for name in ("trials", "minutes", "jobs", "monitor", "refit")}
    rows = cost_rows(entries, plan.monitor)
    missing = left_out(entries)
    if missing:
        missing.insert(0, f"{len(tested)} of {len(entries)} models were compared.")
    first, trials = take_first(entries, plan.monitor), trials_sentence(entries, plan.trials)
    return finish(
        [entry.result for entry in tested if entry.result is not None],
        metrics,
        before=[first],
        after=[
            grid([{**row, "settings": None} for row in rows], COSTS),
            grid([{"model": row["model"], "settings": row["settings"] or "none"} for row in rows], CHOSEN),
            "",
            trials,
            *missing,
        ],
        facts={
            "comparison": budget,
            "take_first": first,
            "trials": {entry.model: entry.trials.as_dict() for entry in tested},
            "best_models": {entry.model: entry.about for entry in tested},
            "left_out_models": {entry.model: entry.reason for entry in entries if entry.result is None},
            "serve": best_on_validation(entries).model,
        },
        json=json,
    )
