"""`segue run`: train a model on a log, test it once, and save it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segue.cli.better_baseline import BetterBaseline, better_baseline
from segue.cli.check_outputs import check_outputs, source_files
from segue.cli.estimate import check_estimate, estimate_run, show_estimate, time_so_far
from segue.cli.garbage_collection import paused_garbage_collection
from segue.cli.next_step import replaced_model, run_command, say_next
from segue.cli.options.breakdown import BREAKDOWN_DEFAULTS, BreakdownOptions
from segue.cli.options.protocol import PROTOCOL_DEFAULTS, ProtocolOptions
from segue.cli.options.reading import READING_DEFAULTS, ReadingOptions
from segue.cli.options.rerank import RERANK_DEFAULTS, RerankOptions
from segue.cli.options.tie_range import TIE_RANGE_DEFAULTS, TieRangeOptions
from segue.cli.options.training import (
    MODEL_DEFAULTS,
    RUN_TRAINING_DEFAULTS,
    ModelOptions,
    RunTrainingOptions,
    make_experiment,
)
from segue.cli.output import RUN_OUTPUT_DEFAULTS, RunOutputOptions, finish
from segue.cli.unread_columns import say_unread
from segue.reporting.console import say

if TYPE_CHECKING:
    from segue.data.log import Log
    from segue.evaluation.result import Result
    from segue.experiments.experiment import Experiment
    from segue.experiments.outcome import Outcome
    from segue.experiments.repeated import Repeated
    from segue.training.budget import TimeBudget


def run(
    model: str,
    data: str,
    *,
    settings: ModelOptions = MODEL_DEFAULTS,
    training: RunTrainingOptions = RUN_TRAINING_DEFAULTS,
    protocol: ProtocolOptions = PROTOCOL_DEFAULTS,
    rerank: RerankOptions = RERANK_DEFAULTS,
    reading: ReadingOptions = READING_DEFAULTS,
    output: RunOutputOptions = RUN_OUTPUT_DEFAULTS,
    breakdown: BreakdownOptions = BREAKDOWN_DEFAULTS,
    ties: TieRangeOptions = TIE_RANGE_DEFAULTS,
) -> None:
    """Train a model on a log, choose its epoch on the validation data, test it once, and save it.

    The model is saved in the folder models/MODEL, or with --rerank FIRST in models/MODEL-after-FIRST.

    Args:
        model: Name of the model (`segue models` lists them), or a class of your own: ./FILE.py:CLASS or
            package.module:CLASS.
        data: A named data set (ml-100k, ml-1m, ...), a file (CSV, TSV, Parquet, .inter) or a folder.
    """
    with paused_garbage_collection():
        from segue import distributed
        from segue.serving.saved_model import check_target, training_folder
        from segue.training.state import kept

    distributed.init()
    inputs = [*reading.paths(data), rerank.rerank, *source_files(model, *rerank.classes)]
    training.check()
    if output.estimate:
        check_estimate(rerank.rerank)
    experiment = make_experiment(model, protocol.without_log(), settings, training)
    breakdown.check(experiment.protocol)
    ties.check(experiment.protocol, final=experiment.final, seeds=training.seeds)
    names = rerank.stage_names(experiment)
    folder = output.out or Path("models") / "-after-".join(names)
    check_target(folder)
    check_outputs({"--json": output.json, "--picture": breakdown.picture}, folder, inputs=inputs)
    log = _read(data, reading, breakdown, ties)
    experiment = replace(experiment, protocol=protocol.for_log(log))
    say_unread(reading, rerank.stages(experiment))
    if output.estimate:
        _show_estimate(experiment, log, training, output)
        return
    with kept(training_folder(folder)):
        outcome = _train_and_test(experiment, log, rerank, training, folder)
        compared = baseline_results(experiment, log, skip=names) if output.baselines else []
        if distributed.process_rank() > 0:
            return
        replaced = _save(outcome, log, folder)
    results, metrics = [*compared, *outcome.results], experiment.protocol.table_metrics(protocol.cut_offs)
    content = _show(results, metrics, outcome, log, breakdown, ties, output.json)
    better = better_baseline(results, experiment.monitor, content)
    words = (data, training.of_another_model, protocol, reading)
    command = _next_command(better, compared, rerank, log, *words)
    remarks = [*replaced, *outcome.remarks(), *([better] if better else [])]
    say_next(folder, log, outcome.about(), classes=[model, *rerank.classes], remarks=remarks, command=command)
    breakdown.draw(content)


def _show_estimate(experiment: Experiment, log: Log, training: RunTrainingOptions, output: RunOutputOptions) -> None:
    """Show what the run would take."""
    started = time_so_far()
    names = [name for name in experiment.protocol.baselines(log) if name != experiment.name] if output.baselines else []
    found = estimate_run(experiment, log, seeds=training.seeds, baselines=names)
    show_estimate(found, started, output.json, minutes=training.minutes)


def _read(data: str, reading: ReadingOptions, breakdown: BreakdownOptions, ties: TieRangeOptions) -> Log:
    """The log, after a check that it has what the tables below the results need."""
    log = reading.load(data)
    breakdown.check_log(log)
    ties.check_log(log)
    return log


def _train_and_test(
    experiment: Experiment, log: Log, rerank: RerankOptions, training: RunTrainingOptions, folder: Path
) -> Repeated:
    """The outcomes of all seeds; with --final, the kept model is fitted on the whole log."""
    from segue.experiments.repeated import repeat
    from segue.serving.saved_model import training_folder

    if training.minutes is not None:
        _say_what_is_not_stopped(rerank.stages(experiment))
    run_seed = partial(_run_seed, experiment, log, rerank)
    outcome = repeat(run_seed, training.all_seeds, training_folder(folder), training.budget())
    return outcome.add_final(log) if experiment.final else outcome


def _save(outcome: Repeated, log: Log, folder: Path) -> list[str]:
    """Save the kept model, and delete the states of all trainings; a remark on what was replaced, if it is another."""
    from segue.serving.saved_model import save, training_folder
    from segue.training.state import delete_training_files

    replaced = replaced_model(folder, outcome.model, log)
    save(outcome.model, log, folder, training_log=outcome.folders[outcome.best] / "training.jsonl", **outcome.about())
    delete_training_files(training_folder(folder))
    return replaced


def _show(
    results: Sequence[Result],
    metrics: Sequence[str],
    outcome: Repeated,
    log: Log,
    breakdown: BreakdownOptions,
    ties: TieRangeOptions,
    json: Path | None,
) -> dict[str, Any]:
    """Print the table, the groups and the range over orders of ties, and write the JSON; what the JSON holds."""
    refit, about = outcome.kept.experiment.refit, outcome.about()
    tables, groups = breakdown.tables(results, metrics, outcome.split, refit=refit)
    others, ranges = ties.tables(results, outcome.models, metrics, log, refit=refit)
    others += ties.advice(results, final=outcome.kept.experiment.final, seeds=len(outcome.outcomes))
    facts: dict[str, Any] = {key: about[key] for key in ("experiment", "training", "seeds") if key in about}
    return finish(results, metrics, after=[*tables, *others], facts={**facts, **groups, **ranges}, json=json)


def _next_command(
    better: BetterBaseline | None,
    compared: Sequence[Result],
    rerank: RerankOptions,
    log: Log,
    data: str,
    *options: object,
) -> str | None:
    """The command that trains a baseline that is certainly better, or recommends with it; None without one."""
    if better is None or not better.is_certain:
        return None
    if better.baseline in [result.model for result in compared]:
        return run_command(better.baseline, data, *options)
    return rerank.command(log, data, *options)


def _say_what_is_not_stopped(stages: Iterable[Experiment]) -> None:
    """Say which models of a run have no epochs after which --minutes could stop them."""
    from segue.models.registry import find

    for stage in stages:
        if not find(stage.model).trained_by_gradient:
            say(f"--minutes: {stage.name} is fitted in one step, which is not stopped")


def _run_seed(
    experiment: Experiment, log: Log, rerank: RerankOptions, seed: int, folder: Path, budget: TimeBudget | None
) -> Outcome:
    """The outcome of an experiment with another seed, without the fit on the whole log."""
    return rerank.train_and_test(replace(experiment, seed=seed), log, folder, budget)


def baseline_results(experiment: Experiment, log: Log, *, skip: list[str]) -> list[Result]:
    """The test results of the simple models beside an experiment, except those whose names are in `skip`."""
    from segue.experiments.experiment import Experiment

    names = [name for name in experiment.protocol.baselines(log) if name not in skip]
    baselines = [
        Experiment(model=name, protocol=experiment.protocol, refit=experiment.refit, baseline=True) for name in names
    ]
    return [baseline.run(log).result for baseline in baselines]
