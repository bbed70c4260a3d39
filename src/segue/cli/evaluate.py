"""`segue evaluate`: saved models side by side on their test data, with intervals and paired tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from segue.cli.check_outputs import check_outputs, source_files
from segue.cli.options.breakdown import BREAKDOWN_DEFAULTS, BreakdownOptions
from segue.cli.options.protocol import EVALUATION_DEFAULTS, EvaluationOptions
from segue.cli.options.reading import READING_DEFAULTS, ReadingOptions
from segue.cli.options.tie_range import TIE_RANGE_DEFAULTS, TieRangeOptions
from segue.cli.output import JsonFile, finish
from segue.cli.saved_models import ModelClasses, folder_names, load_saved
from segue.errors import ConfigError

if TYPE_CHECKING:
    from segue.experiments.saved_models import Adapt
    from segue.serving.saved_model import SavedModel


def evaluate(
    *models: Path,
    data: Annotated[str, Parameter(metavar="DATA")],
    model_class: ModelClasses = (),
    evaluation: EvaluationOptions = EVALUATION_DEFAULTS,
    reading: ReadingOptions = READING_DEFAULTS,
    breakdown: BreakdownOptions = BREAKDOWN_DEFAULTS,
    ties: TieRangeOptions = TIE_RANGE_DEFAULTS,
    json: JsonFile = None,
) -> None:
    """Evaluate saved models on the test data of their protocol, or on events that are newer than their training.

    Args:
        models: Folders of saved models.
        data: The log that they were trained on, or one with newer events: a named data set, a file or a folder.
    """
    from segue.experiments.newer_events import evaluate_newer
    from segue.experiments.saved_models import evaluate_saved

    if not models:
        raise ConfigError("no model given: name the folders of saved models, such as models/hgn")
    places = [folder.resolve() for folder in models]
    for folder, place in zip(models, places, strict=True):
        if places.count(place) > 1:
            raise ConfigError(f"{folder} is given twice; a table shows each model once")
    cut_offs = evaluation.cut_offs
    inputs = [*reading.paths(data), *models, *source_files(*model_class)]
    check_outputs({"--json": json, "--picture": breakdown.picture}, inputs=inputs)
    breakdown.check()
    ties.check()
    saved = {folder: load_saved(folder, model_class) for folder in models}
    log = reading.load(data)
    breakdown.check_log(log)
    ties.check_log(log)
    adapt = _one_validation(saved, evaluation)
    is_newer = any(model.about["log"]["fingerprint"] != log.fingerprint for model in saved.values())
    if is_newer:
        if ties.tie_range is not None:
            raise ConfigError("--tie-range: needs the log that the models were trained on; this one has newer events")
        newer = evaluate_newer(list(saved.values()), log, adapt=adapt)
        results, split, refit, notes, facts = newer.results, newer.split, False, newer.notes, newer.facts
    else:
        refit = _refit(saved, [*(["--by leak"] if breakdown.by == "leak" else []), *ties.words])
        results = [evaluate_saved(model, log, adapt=adapt) for model in saved.values()]
        split, notes, facts = results[0].protocol.split(log), [], {}
    names = folder_names(saved)
    results = [replace(r, model=name) for r, name in zip(results, names, strict=True)]
    metrics = results[0].protocol.table_metrics(cut_offs)
    tables, groups = breakdown.tables(results, metrics, split, refit=refit)
    trained = {name: model.model for name, model in zip(names, saved.values(), strict=True)}
    other, ranges = ties.tables(results, trained, metrics, log, refit=refit)
    other += [] if is_newer else ties.advice(results)
    finish(results, metrics, before=notes, after=[*tables, *other], facts={**facts, **groups, **ranges}, json=json)
    breakdown.draw(groups)


def _one_validation(saved: Mapping[Path, SavedModel], evaluation: EvaluationOptions) -> Adapt:
    """How the stored protocols are adapted: without the users of validation, if these differ between the models.

    Only the test is evaluated, so such models can be compared.
    """
    from segue.experiments.saved_models import stored_protocol

    stored = [stored_protocol(model) for model in saved.values() if "experiment" in model.about]
    samples = {protocol.sample_users and (protocol.sample_users, protocol.sample_seed) for protocol in stored}
    if len(samples) < 2:
        return evaluation.adapt
    return lambda protocol: evaluation.adapt(protocol.with_settings({"sample_users": None}))


def _refit(saved: Mapping[Path, SavedModel], options: Sequence[str]) -> bool:
    """Whether the models were trained on the validation data as well.

    Raises:
        ConfigError: some were and some were not, and one of the options depends on it.
    """
    refit = [folder for folder, model in saved.items() if model.about.get("experiment", {}).get("refit")]
    others = [folder for folder in saved if folder not in refit]
    if refit and others and options:
        raise ConfigError(
            f"{options[0]}: {refit[0]} was trained on the validation data too (--refit), and {others[0]} was not; "
            "evaluate them apart"
        )
    return bool(refit)
