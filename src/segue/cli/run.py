"""`segue run`: train a model on a log, test it once, and save it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segue.cli.better_baseline import better_baseline
from segue.cli.check_outputs import check_json, check_out
from segue.cli.next_step import run_command, say_next
from segue.cli.options.breakdown import BREAKDOWN_DEFAULTS, BreakdownOptions
from segue.cli.options.protocol import PROTOCOL_DEFAULTS, ProtocolOptions
from segue.cli.options.reading import READING_DEFAULTS, ReadingOptions
from segue.cli.options.rerank import RERANK_DEFAULTS, RerankOptions
from segue.cli.options.tie_range import TIE_RANGE_DEFAULTS, TieRangeOptions
from segue.cli.options.training import (
    MODEL_DEFAULTS,
    RUN_TRAINING_DEFAULTS,
    Baselines,
    ModelOptions,
    RunTrainingOptions,
    experiment,
)
from segue.cli.output import OUTPUT_DEFAULTS, OutputOptions, finish

if TYPE_CHECKING:
    from segue.data.log import Log
    from segue.evaluation.table import Result
    from segue.experiments.experiment import Experiment
    from segue.experiments.outcome import Outcome
    from segue.experiments.rerank import Reranked
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
    output: OutputOptions = OUTPUT_DEFAULTS,
    baselines: Baselines = True,
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
    from segue import distributed
    from segue.experiments.repeated import repeat
    from segue.serving.saved_model import check_target, save, training_folder
    from segue.training.state import delete_training_files

    distributed.init()
    inputs = [*reading.paths(data), rerank.rerank]
    check_json(output.json, *inputs)
    training.budget()
    seeds = training.all_seeds
    described = experiment(model, protocol.without_log(), settings, training)
    breakdown.check(described.protocol)
    ties.check(described.protocol, final=described.final, seeds=training.seeds)
    rerank.first_stage(described)
    stages = [described.name, *([rerank.name] if rerank.name else [])]
    folder = output.out or Path("models") / "-after-".join(stages)
    check_target(folder)
    check_out(folder, inputs)
    log = reading.load(data)
    breakdown.check_log(log)
    ties.check_log(log)
    described = replace(described, protocol=protocol.for_log(log))
    progress = training_folder(folder)
    outcome = repeat(partial(_run_seed, described, log, rerank), seeds, progress, training.budget())
    compared = baseline_results(described, log, skip=stages) if baselines else []
    if distributed.process_rank() > 0:
        return
    about = outcome.about()
    save(outcome.model, log, folder, training_log=outcome.folders[outcome.best] / "training.jsonl", **about)
    delete_training_files(progress)
    results, metrics = [*compared, *outcome.results], described.protocol.table_metrics(protocol.cut_offs)
    tables, groups = breakdown.tables(results, metrics, outcome.split, refit=described.refit)
    other, ranges = ties.tables(results, outcome.models, metrics, log, refit=described.refit)
    facts: dict[str, Any] = {key: about[key] for key in ("experiment", "training", "seeds") if key in about}
    content = finish(results, metrics, after=[*tables, *other], facts={**facts, **groups, **ranges}, json=output.json)
    better = better_baseline(results, described.monitor, content)
    command = None
    if better and better.is_certain:
        again = RunTrainingOptions(refit=training.refit, final=training.final)
        same = (data, again, protocol, reading)
        is_simple = any(better.baseline == result.model for result in compared)
        command = run_command(better.baseline, *same) if is_simple else rerank.command(log, *same)
    remarks = [*outcome.remarks(), *([better] if better else [])]
    say_next(folder, log, about, classes=[model, *rerank.classes], remarks=remarks, command=command)


def _run_seed(
    described: Experiment, log: Log, rerank: RerankOptions, seed: int, folder: Path, budget: TimeBudget | None
) -> Outcome | Reranked:
    """The outcome of an experiment with another seed."""
    return rerank.run(replace(described, seed=seed), log, folder, budget)


def baseline_results(described: Experiment, log: Log, *, skip: list[str]) -> list[Result]:
    """The test results of the simple models beside an experiment, except those whose names are in `skip`."""
    from segue.experiments.experiment import Experiment

    names = [name for name in described.protocol.baselines(log) if name not in skip]
    baselines = [
        Experiment(model=name, protocol=described.protocol, refit=described.refit, baseline=True) for name in names
    ]
    return [baseline.run(log).result for baseline in baselines]
