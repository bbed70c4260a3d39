"""`segue search`: choose the settings of a model on the validation data, and test the best once."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from segue.cli.better_baseline import better_baseline
from segue.cli.check_outputs import check_outputs, source_files
from segue.cli.help import MODEL_GROUP
from segue.cli.next_step import run_command, say_next
from segue.cli.options.protocol import PROTOCOL_DEFAULTS, ProtocolOptions
from segue.cli.options.reading import READING_DEFAULTS, ReadingOptions
from segue.cli.options.training import (
    BUDGET_DEFAULTS,
    MODEL_DEFAULTS,
    TRAINING_DEFAULTS,
    BudgetOptions,
    ModelOptions,
    RunTrainingOptions,
    TrainingOptions,
    make_experiment,
)
from segue.cli.output import EXPERIMENT_OUTPUT_DEFAULTS, ExperimentOutputOptions, charts_in, finish, grid
from segue.cli.run import baseline_results
from segue.cli.unread_columns import say_unread
from segue.reporting.console import say

if TYPE_CHECKING:
    from segue.experiments.experiment import Experiment
    from segue.reporting.tables import FittedTable
    from segue.tuning.search import Search
    from segue.tuning.trial import Trial

_TRIALS = 30
SHOWN = 10  # trials in the printed table


def search(
    model: str,
    data: str,
    *,
    space: Annotated[Path | None, Parameter(group=MODEL_GROUP)] = None,
    settings: ModelOptions = MODEL_DEFAULTS,
    budget: BudgetOptions = BUDGET_DEFAULTS,
    training: TrainingOptions = TRAINING_DEFAULTS,
    protocol: ProtocolOptions = PROTOCOL_DEFAULTS,
    reading: ReadingOptions = READING_DEFAULTS,
    output: ExperimentOutputOptions = EXPERIMENT_OUTPUT_DEFAULTS,
) -> None:
    """Search the settings of a model on the validation data, train the best once more, test it once, and save it.

    The model is saved to models/MODEL; the trials are saved beside it, in models/MODEL.search. Settings of --set stay
    fixed.

    Args:
        model: Name of the model (`segue models` lists them), or a class of your own: ./FILE.py:CLASS or
            package.module:CLASS.
        data: A named data set (ml-100k, ml-1m, ...), a file (CSV, TSV, Parquet, .inter) or a folder.
        space: File with the search space: TOML (*.toml), or lines as RecBole's pages have them. The default is the
            search space that the model declares.
    """
    from segue.serving.saved_model import check_target
    from segue.tuning.best_model import refit_and_test, search_folder
    from segue.tuning.importance import setting_importance
    from segue.tuning.optuna_space import import_optuna

    experiment = make_experiment(model, protocol.without_log(), settings, training)
    plan = _plan(experiment, space, budget)
    import_optuna()
    folder = output.out or Path("models") / experiment.name
    check_target(folder)
    inputs = [*reading.paths(data), space, *source_files(model)]
    check_outputs({"--json": output.json}, folder, inputs=inputs)
    charts = charts_in("search.html")
    log = reading.load(data)
    experiment = replace(experiment, protocol=protocol.for_log(log))
    say_unread(reading, [experiment], plan.space)
    plan = replace(plan, experiment=experiment)
    trials = plan.run(log, search_folder(folder), jobs=budget.jobs or 1)
    result, about = refit_and_test(plan, log, trials, folder)
    compared = baseline_results(experiment, log, skip=[experiment.name]) if output.baselines else []
    importance = setting_importance(trials, plan.space)
    facts = {"trials": [trial.as_dict() for trial in trials], "importance": importance}
    content = finish(
        [*compared, result],
        experiment.protocol.table_metrics(protocol.cut_offs),
        before=[_trials_table(trials, experiment.monitor), *_importance_tables(importance, trials)],
        facts={**about, "search": {**about["search"], **facts}},
        json=output.json,
    )
    _write_report(plan, trials, search_folder(folder), log.name, charts=charts)
    better = better_baseline([*compared, result], experiment.monitor, content)
    again = RunTrainingOptions(refit=training.refit, final=training.final)
    command = run_command(better.baseline, data, again, protocol, reading) if better and better.is_certain else None
    say_next(folder, log, about, classes=[model], remarks=[better] if better else [], command=command)


def _plan(experiment: Experiment, space: Path | None, budget: BudgetOptions) -> Search:
    """The search that the options describe.

    Raises:
        ConfigError: a value of the budget or of the search space is out of its range.
    """
    from segue.errors import require
    from segue.tuning.search import Search
    from segue.tuning.workers import check_jobs

    minutes = budget.minutes
    require(minutes is None or minutes > 0, f"minutes={minutes}: must be above 0")
    check_jobs(1 if budget.jobs is None else budget.jobs)
    return Search(
        experiment=experiment,
        space=_space(experiment, space),
        trials=_TRIALS if budget.trials is None else budget.trials,
        seconds=None if minutes is None else 60 * minutes,
    )


def _space(experiment: Experiment, path: Path | None) -> dict[str, Any]:
    """The search space of a file, or the one that the model declares without the settings that are fixed."""
    from segue.models.registry import find
    from segue.tuning.space_files import read_space

    kind = find(experiment.model)
    if path is not None:
        return read_space(path, kind.Config.known_settings(experiment.settings))
    space = kind.space_for(kind.configure(dict(experiment.settings), experiment.preset))
    return {name: domain for name, domain in space.items() if name not in experiment.settings}


def _trials_table(trials: list[Trial], monitor: str) -> FittedTable:
    """The best trials; the title says which is the best, and how many there are in all."""
    from segue.tuning.report import best_trial_text, trial_rows

    title = best_trial_text(trials, monitor)
    if len(trials) > SHOWN:
        title += f" The {SHOWN} best:"
    return grid(trial_rows(trials, monitor)[:SHOWN], title)


def _importance_tables(rows: list[dict[str, Any]], trials: list[Trial]) -> list[FittedTable]:
    from segue.tuning.importance import importance_title

    return [grid(rows, importance_title(trials))] if rows else []


def _write_report(plan: Search, trials: list[Trial], folder: Path, log: str, *, charts: bool) -> None:
    """Write the HTML report of the search, without charts if they cannot be drawn."""
    from segue.errors import DataError
    from segue.tuning.report import write_report

    title, monitor = f"{plan.experiment.name} on {log}", plan.experiment.monitor
    write = partial(write_report, trials, plan.space, title=title, monitor=monitor, folder=folder)
    try:
        path = write(pictures=charts)
    except DataError as error:
        say(str(error))
        path = write(pictures=False)
    say(f"all trials and the importance of settings: {path}")
