"""`evaluate_newer`: saved models on newer events: the test is what happened after their training.

saved = [load_model("models/hgn"), load_model("models/pop")]
print(table(evaluate_newer(saved, read_log("this-week.csv")).results))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from segue.data.extent import Extent
from segue.data.log import Log
from segue.data.newer import NewerEvents, merge_newer
from segue.data.splits import Split
from segue.data.time_units import time_text
from segue.errors import ArtefactError, ConfigError, DataError, require
from segue.evaluation.protocol import Protocol, differences, differing_settings
from segue.evaluation.ranking_protocol import RankingProtocol
from segue.evaluation.result import Result, measured_test
from segue.experiments.saved_models import Adapt, stored_protocol, unchanged
from segue.serving.saved_model import SavedModel
from segue.serving.vocabulary_adapter import VocabularyAdapter


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


def evaluate_newer(saved: Sequence[SavedModel], log: Log, *, adapt: Adapt = unchanged) -> NewerEvaluation:
    """The results of saved models on the events of a log that are newer than the training of all of them.

    Args:
        saved: at least one saved model.
        log: a log with newer events, read with the same options as that of the training.
        adapt: returns a protocol with other settings, such as other cut-offs; by default they are those of the models.

    Raises:
        ArtefactError: a model does not record its protocol, or was not trained to rank.
        ConfigError: the models were trained under protocols that rank by other rules.
        DataError: no event of the log is newer, or none of its items is known.
    """
    _check_sessions(saved)
    until = [newest_training_time(one) for one in saved]
    try:
        newer = merge_newer([one.log for one in saved], until, log)
    except DataError as error:
        raise _not_newer(saved, until, log, error) from error
    protocols = [adapt(newer_protocol(one, newer.after)) for one in saved]
    check_one_rule([one.name for one in saved], protocols)
    split = protocols[0].split(newer.log)
    results = [_result(one, protocol, newer, split) for one, protocol in zip(saved, protocols, strict=True)]
    facts = {name: value for name, value in vars(newer).items() if name != "log"}
    return NewerEvaluation(results, split, [*newer_notes(newer, len(saved)), *extent_notes(saved)], {"newer": facts})


def _check_sessions(saved: Sequence[SavedModel]) -> None:
    """Raise `ConfigError` if a model reads sessions that its log names: those of two logs have no common names."""
    for one in saved:
        rule = one.model.session_rule
        require(
            rule is None or rule.gap is not None,
            f"{one.name}: reads the sessions that its log names, and those of two logs cannot be matched; train it "
            "with session_gap=1800 (seconds), and a pause tells them apart",
        )


def _not_newer(saved: Sequence[SavedModel], until: Sequence[int], log: Log, error: DataError) -> DataError:
    """The error that names the model of another log that cannot be evaluated, or all of them if each alone could."""
    for one, time in zip(saved, until, strict=True):
        about = one.about["log"]
        if about["fingerprint"] == log.fingerprint:
            continue
        try:
            merge_newer([one.log], [time], log)
        except DataError as own:
            return DataError(
                f"{one.name}: was trained on another log ({about['name']}, fingerprint {about['fingerprint']}) than "
                f"{log.name} ({log.fingerprint}), and cannot be evaluated on newer events: {own}"
            )
    names = " and ".join(one.name for one in saved)
    return DataError(f"{names} cannot be evaluated on newer events{' together' if len(saved) > 1 else ''}: {error}")


def _result(saved: SavedModel, protocol: Protocol, newer: NewerEvents, split: Split) -> Result:
    training = saved.about["training"]
    model = VocabularyAdapter(
        saved.model,
        saved.log,
        newer.log.users,
        newer.log.items,
        event_types=newer.log.event_types,
        event_features=newer.log.event_feature_columns,
    )
    return Result(
        model=saved.name,
        **measured_test(protocol, model, split, training_peak=training.get("peak_mb"))._asdict(),
        protocol=protocol,
        log=newer.log.fingerprint,
        items=newer.log.num_items,
        counts=split.train.counts(),
        seconds=training["seconds"],
        cpu_seconds=training["cpu_seconds"],
        **protocol.check(split)._asdict(),
    )


def newest_training_time(saved: SavedModel) -> int:
    """The time of the newest event that a saved model was trained on.

    Raises:
        ArtefactError: it is unknown, or the model was not trained to rank.
    """
    about, rows = saved.about, saved.trained_rows()
    newest = about.get("trained_on", {}).get("newest")
    if "experiment" not in about or (rows is None and newest is None):
        raise ArtefactError(
            f"{saved.name}: was trained on another log ({about['log']['name']}) than the given one, and does not say "
            "up to which time, so it is unknown which events are newer; give the data and the reading options that "
            "it was trained with"
        )
    task = stored_protocol(saved).task.name
    if task != "ranking":
        raise ArtefactError(
            f"{saved.name}: was evaluated as a model of ratings; on newer events only models that rank the next item "
            "are evaluated; give the log that it was trained with"
        )
    if newest is None and rows is not None and rows.time is not None and len(rows):
        newest = rows.column(rows.time).max()
    if newest is None:
        raise DataError(
            f"{saved.name}: was trained on another log than the given one, and on one without times, so it is unknown "
            "which events are newer; give the log and the reading options that it was trained with"
        )
    return int(newest)


def newer_protocol(saved: SavedModel, after: int) -> RankingProtocol:
    """The protocol of a saved model with the events after a time as its test; baskets stay baskets.

    There is no validation, so a sample of its users is not part of it. A saved model is not trained anew meanwhile.
    """
    protocol = RankingProtocol.expect(stored_protocol(saved), "not a protocol of rankings")
    gap = protocol.arguments["gap"] if protocol.by == "next-basket" else None
    protocol = replace(protocol, name="newer-events", by="newer", arguments={"after": after, "gap": gap}, leak="keep")
    return replace(protocol, sample_users=None, retrain="never")


def check_one_rule(names: Sequence[str], protocols: Sequence[Protocol]) -> None:
    """Raise `ConfigError` if models were trained under protocols that rank by other rules; the message names these."""
    one = protocols[0]
    for name, other in zip(names[1:], protocols[1:], strict=True):
        differ = differing_settings(one, other)
        if not differ:
            continue
        advice = (
            "give --exclude-seen or --include-seen for all"
            if list(differ) == ["exclude_seen"]
            else "evaluate them apart"
        )
        raise ConfigError(
            f"{names[0]} and {name} were trained under protocols with other rules: {differences(one, other)}; {advice}"
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


def extent_notes(saved: Sequence[SavedModel]) -> list[str]:
    """A sentence about how much each model was trained on, if that differs: it may decide which one is better."""
    extents = [_extent(one) for one in saved]
    if len({(extent.events, extent.newest) for extent in extents}) < 2:
        return []
    texts = [
        f"{one.name} on {extent.events:,}{f', the newest at {extent.newest_text}' if extent.newest_text else ''}"
        for one, extent in zip(saved, extents, strict=True)
    ]
    return [
        "The models were trained on different numbers of events or up to different times, which alone may make one "
        f"better: {'; '.join(texts)}."
    ]


def _extent(saved: SavedModel) -> Extent:
    if "trained_on" in saved.about:
        return Extent(**saved.about["trained_on"])
    rows = saved.trained_rows()
    return Extent.of(saved.log if rows is None else rows, "training")
