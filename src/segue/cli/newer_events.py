"""`segue evaluate` on a log that is newer than the models: the test is what happened after their training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segue.cli.saved_models import stored_protocol
from segue.errors import ArtefactError, ConfigError, DataError

if TYPE_CHECKING:
    from segue.cli.options.protocol import EvaluationOptions
    from segue.data.log import Log
    from segue.data.newer import NewerEvents
    from segue.data.splits import Split
    from segue.evaluation.protocol import Protocol
    from segue.evaluation.ranking_protocol import RankingProtocol
    from segue.evaluation.table import Result
    from segue.serving.saved_model import SavedModel


@dataclass(frozen=True)
class NewerEvaluation:
    """Saved models, evaluated on newer events.

    Attributes:
        results: one for each model.
        split: of the merged log.
        notes: what was evaluated and what was left out, one sentence each.
        facts: the same as plain values.
    """

    results: list[Result]
    split: Split
    notes: list[str]
    facts: dict[str, Any]


def evaluate_newer(saved: Mapping[Path, SavedModel], log: Log, options: EvaluationOptions) -> NewerEvaluation:
    """The results of saved models on the events of a log that are newer than the training of all of them.

    Raises:
        ArtefactError: a model does not record its protocol, or was not trained to rank.
        DataError: no event of the log is newer, or none of its items is known.
    """
    from segue.data.diagnostics.leakage import leakage_warnings
    from segue.data.newer import merge_newer
    from segue.evaluation.table import Result
    from segue.serving.renumbered import Renumbered

    until = [newest_training_time(folder, model) for folder, model in saved.items()]
    try:
        newer = merge_newer([model.log for model in saved.values()], until, log)
    except DataError as error:
        folder, model = next(iter(saved.items()))
        about = model.about["log"]
        raise DataError(
            f"{folder}: was trained on another log ({about['name']}, fingerprint {about['fingerprint']}) than "
            f"{log.name} ({log.fingerprint}), and cannot be evaluated on newer events: {error}"
        ) from error
    protocols = {
        folder: options.apply_to(newer_protocol(model.about, newer.after).with_cut_offs(options.cut_offs, only=True))
        for folder, model in saved.items()
    }
    check_one_rule(protocols)
    results = []
    for folder, model in saved.items():
        protocol = protocols[folder]
        split = protocol.split(newer.log)
        ranked = Renumbered(model.model, model.log, newer.log.users, newer.log.items)
        results.append(
            Result(
                model=str(folder),
                predictions=protocol.evaluate(ranked, split, "test"),
                protocol=protocol,
                log=newer.log.fingerprint,
                items=newer.log.num_items,
                counts=split.train.counts(),
                seconds=model.about["training"]["seconds"],
                warnings=(*leakage_warnings(split, refit=False), *protocol.warnings(split)),
                tied=protocol.tied(split),
            )
        )
    facts = {name: value for name, value in vars(newer).items() if name != "log"}
    return NewerEvaluation(results, split, newer_notes(newer, len(saved)), {"newer": facts})


def newest_training_time(folder: Path, saved: SavedModel) -> int:
    """The time of the newest event that a saved model was trained on.

    Raises:
        ArtefactError: it is unknown, or the model was not trained to rank.
    """
    about, rows = saved.about, saved.trained_rows()
    newest = about.get("trained_on", {}).get("newest")
    if "experiment" not in about or (rows is None and newest is None):
        raise ArtefactError(
            f"{folder}: was trained on another log ({about['log']['name']}) than the given one, and does not say up to "
            "which time, so it is unknown which events are newer; give the data and the reading options that it was "
            "trained with"
        )
    task = stored_protocol(about).task.name
    if task != "ranking":
        raise ArtefactError(
            f"{folder}: was evaluated as a model of ratings; on newer events only models that rank the next item are "
            "evaluated; give the log that it was trained with"
        )
    if newest is None and rows is not None and rows.time is not None and len(rows):
        newest = rows.column(rows.time).max()
    if newest is None:
        raise DataError(
            f"{folder}: was trained on another log than the given one, and on one without times, so it is unknown "
            "which events are newer; give the log and the reading options that it was trained with"
        )
    return int(newest)


def newer_protocol(about: dict[str, Any], after: int) -> RankingProtocol:
    """The protocol of a saved model with the events after a time as its test; baskets stay baskets."""
    from segue.evaluation.ranking_protocol import RankingProtocol

    protocol = RankingProtocol.expect(stored_protocol(about), "not a protocol of rankings")
    gap = int(protocol.arguments["gap"]) if protocol.by == "next-basket" else -1
    return replace(protocol, name="newer-events", by="newer", arguments={"after": after, "gap": gap}, leak="keep")


def check_one_rule(protocols: Mapping[Path, Protocol]) -> None:
    """Raise `ConfigError` if models were trained under protocols that rank by other rules; the message names these."""
    (first, one), *others = protocols.items()
    for folder, other in others:
        differ = [name for name, value in one.as_dict().items() if name != "name" and other.as_dict()[name] != value]
        if not differ:
            continue
        rules = " on one side, ".join(
            ", ".join(f"{name}={protocol.as_dict()[name]}" for name in differ) for protocol in (one, other)
        )
        advice = (
            "give --exclude-seen or --include-seen for all" if differ == ["exclude_seen"] else "evaluate them apart"
        )
        raise ConfigError(
            f"{first} and {folder} were trained under protocols with other rules: {rules} on the other; {advice}"
        )


def newer_notes(newer: NewerEvents, num_models: int) -> list[str]:
    """What was evaluated and what was left out, one sentence each."""
    unit = newer.log.time_unit
    trained = "the model was" if num_models == 1 else "the models were"
    notes = [
        f"{newer.log.name} is another log than {trained} trained on: this is an evaluation on its {newer.events:,} "
        f"events after {time_text(newer.after, unit)}, with all earlier events as histories."
    ]
    if newer.unknown_events:
        share = newer.unknown_events / newer.events
        knows = "the model does not know" if num_models == 1 else "not all models know"
        notes.append(
            f"Left out: {newer.unknown_events:,} of them ({share:.1%}), with {newer.unknown_items:,} items that "
            f"{knows}; counted as misses, they would lower every figure by about {share:.1%} of its value."
        )
    if newer.new_users:
        notes.append(f"{newer.new_users:,} of their users are new; the model ranks for them by the history alone.")
    return notes


def time_text(time: int, unit: str | None) -> str:
    """A time for people: date and time in UTC, or the number itself if it is no date."""
    from datetime import UTC, datetime

    from segue.data.time_units import TICKS_PER_SECOND

    if unit is None:
        return f"time {time:,}"
    return f"{datetime.fromtimestamp(time // TICKS_PER_SECOND[unit], UTC):%Y-%m-%d %H:%M:%S} UTC"
